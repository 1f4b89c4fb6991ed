"""A plain loop, and how it takes turns with ours in one process: see ``../fidelity.py``."""

import importlib.util
import random
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from runtimes.base import Array
from runtimes.measuring import measure_child
from runtimes.session_child import session

Call = Callable[[], Any]


def timed(calls: Sequence[Call], seconds: float) -> list[float]:
    """Seconds of single runs, as anyone would take them."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        call = calls[len(times) % len(calls)]
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return times


_loaded: dict[str, Any] = {}


def load(runtime: str, path: str, threads: int) -> None:
    """Open the file a second time in this process, as ``<runtime>_loop.py`` does it."""
    file = Path(__file__).parent / f"{runtime}_loop.py"
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    _loaded["bind"], _loaded["around"] = module.load(path, threads), getattr(module, "around", nullcontext)


def turns(
    samples: dict[str, Array], batch: int, seconds: float, count: int, warm_s: float
) -> list[list[float]]:
    """Medians in seconds of ``count`` turns: ``[[ours, plain], ...]``. Who begins is drawn by lot; both warm up first."""
    open_, order = session(), random.Random(batch)
    inputs = measure_child.rotation(samples, batch)
    ours = [open_.bind(each) for each in inputs]
    plain = [_loaded["bind"](next(iter(each.values()))) for each in inputs]
    sides = {
        "ours": lambda s: open_.sample(ours, s, 3, measure_child.AT_MOST) / 1e9,
        "plain": lambda s: np.array(timed(plain, s)),
    }
    medians: list[list[float]] = []
    for turn in range(count + 1):
        found = {}
        for side in order.sample(sorted(sides), 2):
            with _loaded["around"]():
                times = sides[side](seconds if turn else warm_s)
            # The first of a turn only bring back what the other side drove out of the caches.
            found[side] = float(np.median(times[len(times) // 10 :]))
        if turn:
            medians.append([found["ours"], found["plain"]])
    return medians
