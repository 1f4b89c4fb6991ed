"""What is timed inside the child of one session, opened by ``session_child``: a batch warms up, then visits sample it.

The clock runs here, or where the session says that it computes; nothing crosses to the parent while it does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from runtimes.base import Array, Feeds, Session, sample_calls
from runtimes.latency import steady
from runtimes.process import peak_rss_bytes, reset_peak_rss
from runtimes.session_child import session

# A warm-up is judged by windows of this length, or of one run where that takes longer.
WINDOW_S = 0.05
# So much of each visit, at most, brings back what the visits to others have driven out of the caches.
REWARM_S = 0.02
# A run as long as this fills the caches in a part of it too small to see.
SLOW_S = 0.25
# Batches that take turns, so that no run sees the input that is still in the cache.
ROTATION = 8
AT_MOST = 1_000_000
EMPTY: Array = np.empty(0, np.int64)


@dataclass(frozen=True)
class Warmed:
    """What the warm-up of one batch took, the seconds of a run at its end, and the memory while it ran.

    ``warm`` is whether it ended by itself: its windows agreed. Bytes are of the process that computes.
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


_held: dict[str, Array] = {}


def warm_up(feeds: dict[str, Array], seconds: float) -> Warmed:
    """Run one batch until it is steady, for ``seconds`` at most, but no fewer than three windows."""
    open_ = session()
    reset_peak_rss(open_.pid)
    call = open_.bind(feeds)
    windows: list[Array] = []
    begin = time.perf_counter()
    while not steady(windows) and (len(windows) < 3 or time.perf_counter() - begin < seconds):
        windows.append(open_.sample([call], WINDOW_S, 1, AT_MOST))
    taken = time.perf_counter() - begin
    run_s = float(np.median(np.concatenate(windows[-3:]))) / 1e9
    runs = sum(map(len, windows))
    memory = peak_rss_bytes(open_.pid), open_.gpu_memory_bytes()
    return Warmed(taken, runs, steady(windows), run_s, *memory)


def hold(samples: dict[str, Array]) -> None:
    """Keep these samples, in the artifact's own layout, for the visits to come."""
    _held.clear()
    _held.update(samples)


def visit(batch: int, seconds: float, rewarm: bool, end_to_end: bool) -> Visit:
    """Time single runs of ``batch`` samples for ``seconds``, but one at least; and as long from host to host."""
    open_, inputs = session(), rotation(_held, batch)
    compute = _sampled(open_.sample, [open_.bind(each) for each in inputs], seconds, rewarm)
    if not end_to_end:
        return Visit(compute, EMPTY)
    return Visit(compute, _sampled(sample_calls, _host_calls(open_, inputs), seconds, rewarm))


def rotation(samples: Feeds, batch: int) -> list[dict[str, Array]]:
    """A few batches of the samples, taken in turn."""
    total = len(next(iter(samples.values())))
    picks = [(np.arange(batch) + start * batch) % total for start in range(ROTATION)]
    return [{name: array[pick] for name, array in samples.items()} for pick in picks]


def _sampled(
    sample: Callable[[list[Callable[[], object]], float, int, int], Array],
    calls: list[Callable[[], object]],
    seconds: float,
    rewarm: bool,
) -> Array:
    if rewarm:
        sample(calls, min(REWARM_S, seconds / 10), 1, AT_MOST)
    return sample(calls, seconds, 1, AT_MOST)


def _host_calls(open_: Session, inputs: list[dict[str, Array]]) -> list[Callable[[], object]]:
    """Runs from host arrays to host arrays, the copies both ways inside."""
    return [partial(open_.run, each) for each in inputs]
