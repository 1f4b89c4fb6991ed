"""What is timed inside the child of one session, opened by ``session_child``: a batch warms up, then visits sample it.

The clock runs here, or where the session says that it computes; nothing crosses to the parent while it does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from runtimes.base import Array, Feeds
from runtimes.measuring.latency import steady
from runtimes.process import peak_rss_bytes, reset_peak_rss
from runtimes.session_child import session

T = TypeVar("T")

# A warm-up is judged by windows of this length, or of one run where that takes longer.
WINDOW_S = 0.05
# So much of each visit, at most, brings back what the visits to others have driven out of the caches.
REWARM_S = 0.02
# A run as long as this fills the caches in a part of it too small to see.
SLOW_S = 0.25
# Batches that take turns, so that no run sees the input that is still in the cache; and about their size together.
ROTATION = 8
ROTATION_BYTES = 64 << 20
AT_MOST = 1_000_000
EMPTY: Array = np.empty(0, np.int64)


@dataclass(frozen=True)
class Warmed:
    """What the warm-up of one batch took, and the memory while it ran, of the process that computes.

    ``warm`` is whether it ended by itself: its windows agreed. ``run_s`` are the seconds of a run in its quickest window,
    which other programs disturbed least.
    """

    seconds: float
    n: int
    warm: bool
    run_s: float
    peak_rss_bytes: int
    gpu_memory_bytes: int | None


@dataclass(frozen=True)
class Visit:
    """Raw times of single runs in nanoseconds, each of shape (n,). ``end_to_end_ns`` is empty where it is ``compute``."""

    compute_ns: Array
    end_to_end_ns: Array


# The samples that were given, and for each batch of them what takes turns: host arrays, and runs with inputs bound. All
# of it stays: freeing a large block makes malloc keep more of what others free, and the runtime faster for it.
_held: dict[str, Array] = {}
_inputs: dict[int, list[dict[str, Array]]] = {}
_calls: dict[int, list[Callable[[], object]]] = {}


def warm_up(feeds: dict[str, Array], seconds: float) -> Warmed:
    """Run one batch until it is steady, for ``seconds`` at most, but no fewer than three windows."""
    open_ = session()
    reset_peak_rss(*open_.pids)
    batch = len(next(iter(feeds.values())))
    _inputs[batch], _calls[batch] = [feeds], [open_.bind(feeds)]
    windows: list[Array] = []
    begin = time.perf_counter()
    while not steady(windows) and (len(windows) < 3 or time.perf_counter() - begin < seconds):
        windows.append(open_.sample(_calls[batch], WINDOW_S, 1, AT_MOST))
    taken = time.perf_counter() - begin
    run_s = min(float(np.median(window)) for window in windows) / 1e9
    runs = sum(map(len, windows))
    memory = peak_rss_bytes(*open_.pids), open_.gpu_memory_bytes()
    return Warmed(taken, runs, steady(windows), run_s, *memory)


def hold(samples: dict[str, Array]) -> None:
    """Keep these samples, in the artifact's own layout, for the visits to come."""
    _held.update(samples)


def visit(batch: int, seconds: float, rewarm: bool, end_to_end: bool) -> Visit:
    """Time single runs of ``batch`` samples for ``seconds``, but one at least; and as long from host to host."""
    open_ = session()
    inputs, calls = _inputs.setdefault(batch, []), _calls.setdefault(batch, [])
    for each in rotation(_held, batch, len(inputs)):
        inputs.append(each)
        calls.append(open_.bind(each))
    compute = _sampled(open_.sample, calls, seconds, rewarm)
    if not end_to_end:
        return Visit(compute, EMPTY)
    return Visit(compute, _sampled(open_.sample_from_host, inputs, seconds, rewarm))


def rotation(samples: Feeds, batch: int, have: int = 0) -> list[dict[str, Array]]:
    """A few batches of the samples, taken in turn: as many as ROTATION, or fewer where large ones fill the cache alone.

    Without the first that the caller has already: they would be large blocks that are freed at once.
    """
    total = len(next(iter(samples.values())))
    batch_bytes = sum(array.nbytes for array in samples.values()) * batch // total
    count = max(2, min(ROTATION, ROTATION_BYTES // max(1, batch_bytes)))
    picks = [(np.arange(batch) + start * batch) % total for start in range(have, count)]
    return [{name: array[pick] for name, array in samples.items()} for pick in picks]


def _sampled(
    sample: Callable[[list[T], float, int, int], Array], turns: list[T], seconds: float, rewarm: bool
) -> Array:
    if rewarm:
        sample(turns, min(REWARM_S, seconds / 10), 1, AT_MOST)
    return sample(turns, seconds, 1, AT_MOST)
