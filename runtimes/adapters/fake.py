"""A runtime for tests, real but for its arithmetic: a ``.fake`` file is JSON that says how it answers and misbehaves.

    {"inputs": [TensorSpec], "outputs": [TensorSpec], "weights": [[..]], "does": "", "seconds": 0.0, "sleep": Sleep}

It computes ``x.reshape(n, -1) @ weights`` in float32. ``does``: crash (or large: with more than 8 samples alone), exit,
hang, missing or raise; or more than 8 samples end the process in which it pretends to compute (engine); or it answers otherwise in a batch, the second time (again), or on one thread (threads); or a
thread of it never rests (spin). A bound run takes ``seconds``, and ``sample_seconds`` more for each sample: slept
without a ``sleep``, else as ``sleep`` says, so that statistics on times can be held against a truth that is known.
Where the environment has FWEXPORT_FAKE_GPU there is a GPU too, played by ``emulated`` if the file names it, and
``copy_seconds`` is what copies to and from it take.
"""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from runtimes.base import Array, Feeds, Inspection, Session, SessionOptions
from runtimes.bundle import TensorSpec
from runtimes.errors import NotAModelError, WorkerCrashed

FORMATS = ("fake",)
DEVICES = {"cpu": ("fake",), "gpu": ("fake",)}
PRECISIONS = ("float32",)
THREADS: Literal["session", "process"] = "session"
IN_BROWSER = False
FIXED_BATCH: tuple[str, ...] = ()

GPU = "FWEXPORT_FAKE_GPU"


@dataclass(frozen=True)
class Sleep:
    """The distribution of the times of bound runs, around the file's ``seconds``.

    Each time is ``seconds``, times exp(normal(0, ``spread``)) unless it is constant. bimodal: the share ``second`` of the
    runs takes ``apart`` longer. drift: each run takes ``apart`` / 1000 longer than the one before. Whoever loads the file
    draws a factor exp(normal(0, ``process``)), and each call of ``sample`` one of ``round``. Times are spun, to about a
    microsecond; where ``simulated``, none passes and the clock is a fiction too. Without a ``seed`` every load differs.
    """

    kind: Literal["constant", "lognormal", "bimodal", "drift"] = "constant"
    spread: float = 0.0
    second: float = 0.0
    apart: float = 0.0
    process: float = 0.0
    round: float = 0.0
    simulated: bool = False
    seed: int | None = None


@dataclass(frozen=True)
class FakeFile:
    """The content of a ``.fake`` file."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    weights: list[list[float]]
    does: str = ""
    seconds: float = 0.0
    sample_seconds: float = 0.0
    copy_seconds: float = 0.0
    sleep: Sleep | None = None
    emulated: str = ""


def check(device: str) -> str | None:
    """It has no GPU, unless the environment says so."""
    return None if device == "cpu" or os.environ.get(GPU) else "the fake runtime has no GPU: buy one"


def versions() -> dict[str, str]:
    """Its own."""
    return {"fake": "1"}


def inspect(path: Path) -> Inspection:
    """The file's tensors."""
    found = _read(path)
    return Inspection(found.inputs, found.outputs, {"MatMul": 1})


def load(path: Path, device: str, options: SessionOptions) -> Session:
    """Open the file, or misbehave at once when it says so."""
    found = _read(path)
    if found.does == "missing":
        import a_library_that_no_one_has  # type: ignore[import-not-found]  # noqa: F401
    if found.does == "spin":
        threading.Thread(target=_spin, daemon=True).start()
    return _Session(found, device, options.threads or 2)


class _Session(Session):
    def __init__(self, file: FakeFile, device: str, threads: int) -> None:
        self._file, self._device = file, device
        self.inputs, self.outputs = file.inputs, file.outputs
        self.threads = threads
        self.emulated = file.emulated if device != "cpu" else ""
        self._answered: set[bytes] = set()
        self._weights = np.array(file.weights, np.float32)
        self._pace = _Pace(file.seconds, file.sleep) if file.sleep else None
        self._engine_died = False

    def run(self, feeds: Feeds) -> dict[str, Array]:
        x = feeds[self.inputs[0].name]
        self._misbehave(len(x))
        if self._device != "cpu":
            time.sleep(self._file.seconds + self._file.sample_seconds * len(x) + self._file.copy_seconds)
        y = x.reshape(len(x), -1).astype(np.float32) @ self._weights
        return {self.outputs[0].name: y + self._error(x)}

    def prove(self) -> str:
        return f"fake {self._device}"

    def bind(self, feeds: Feeds) -> Callable[[], None]:
        count = len(feeds[self.inputs[0].name])
        seconds, pace = self._file.seconds + self._file.sample_seconds * count, self._pace

        def call() -> None:
            self._misbehave(count)
            if pace:
                pace.spin()
            elif seconds:
                time.sleep(seconds)

        return call

    def sample(
        self, calls: Sequence[Callable[[], object]], seconds: float, at_least: int, at_most: int
    ) -> Array:
        if self._pace:
            self._pace.new_round()
        if self._pace and self._pace.simulated:
            return self._pace.pretend(seconds, at_least, at_most)
        return super().sample(calls, seconds, at_least, at_most)

    def _error(self, x: Array) -> np.float32:
        seen = x.tobytes() in self._answered
        self._answered.add(x.tobytes())
        wrong = {"batch": 1 < len(x) < 4, "again": seen and len(x) > 7, "threads": self.threads == 1}
        return np.float32(wrong.get(self._file.does, False))

    def _misbehave(self, count: int) -> None:
        match self._file.does:
            case "crash" | "large" if self._file.does == "crash" or count > 8:
                os.kill(os.getpid(), signal.SIGSEGV)
            case "engine" if self._engine_died or count > 8:
                self._engine_died = True
                raise WorkerCrashed("the fake runtime's engine is dead")
            case "exit":
                os._exit(3)
            case "hang":
                time.sleep(3600)
            case "raise":
                raise ValueError("the fake runtime was told to fail")


class _Pace:
    """Draws the times of runs, a block ahead so that drawing costs a run nothing."""

    BLOCK = 4096

    def __init__(self, seconds: float, sleep: Sleep) -> None:
        self._random = np.random.default_rng(sleep.seed)
        self._sleep = sleep
        self._seconds = seconds * math.exp(self._random.normal(0, sleep.process))
        self._runs = 0
        self._ahead: list[int] = []
        self.simulated = sleep.simulated
        self.new_round()

    def new_round(self) -> None:
        self._round_s = self._seconds * math.exp(self._random.normal(0, self._sleep.round))
        self._ahead = []

    def spin(self) -> None:
        now = time.perf_counter_ns()
        if not self._ahead:
            self._ahead = self._draw(self.BLOCK)[::-1].tolist()
        end = now + self._ahead.pop()
        self._runs += 1
        while time.perf_counter_ns() < end:
            pass

    def pretend(self, seconds: float, at_least: int, at_most: int) -> Array:
        """As many times as would pass in ``seconds``."""
        times = self._draw(min(at_most, max(at_least, math.ceil(2 * seconds / self._round_s))))
        enough = int(np.searchsorted(np.cumsum(times), seconds * 1e9)) + 1
        times = times[: max(at_least, min(enough, at_most))]
        self._runs += len(times)
        return times

    def _draw(self, n: int) -> Array:
        """The next ``n`` times in nanoseconds."""
        sleep, factor = self._sleep, np.ones(n)
        match sleep.kind:
            case "bimodal":
                factor += sleep.apart * (self._random.random(n) < sleep.second)
            case "drift":
                factor += sleep.apart / 1000 * (self._runs + np.arange(n))
        if sleep.kind != "constant":
            factor *= np.exp(self._random.normal(0, sleep.spread, n))
        return np.rint(factor * self._round_s * 1e9).astype(np.int64)


def _spin() -> None:
    while True:
        pass


def _read(path: Path) -> FakeFile:
    try:
        return msgspec.json.decode(path.read_bytes(), type=FakeFile)
    except (OSError, msgspec.DecodeError) as error:
        raise NotAModelError(f"{path} is no fake model: {error}") from error
