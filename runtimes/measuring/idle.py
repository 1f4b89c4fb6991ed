"""Proof that the children which wait use no CPU while another is measured: threads that spin would take its cores."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from runtimes.doubts import Doubt
from runtimes.process import at_rest, cpu_seconds

# The share of one core that all that wait may use together, while one is measured; and what each browser among them may
# use besides. Its dozen processes are never quite at rest: Chromium takes 0.3 % of a core in its first half a minute, and
# 0.05 % later.
ALLOWED = 0.01
BROWSER_ALLOWED = 0.003
# How long threads that wait for the next run may go on spinning before others are measured beside them, and between
# two looks at them.
SETTLE_S = 0.25
LOOK_S = 0.005


class Idleness:
    """Adds up, over a whole measurement, the CPU time of processes that wait; each is told by a name."""

    def __init__(self) -> None:
        self._wall_s = 0.0
        self._allowed_s = 0.0
        self._used_s: dict[str, float] = defaultdict(float)

    @contextmanager
    def watched(self, waiting: Mapping[str, Sequence[int]], browsers: int = 0) -> Iterator[None]:
        """Count what these processes, by name, use while the block runs; so many of the names are of browsers."""
        before = {name: _used(pids) for name, pids in waiting.items()}
        begin = time.perf_counter()
        try:
            yield
        finally:
            wall_s = time.perf_counter() - begin
            self._wall_s += wall_s
            self._allowed_s += wall_s * (ALLOWED + BROWSER_ALLOWED * browsers)
            for name, pids in waiting.items():
                self._used_s[name] += max(0.0, _used(pids) - before[name])

    def doubts(self) -> tuple[Doubt, ...]:
        """One when they used more than they may, with the names of those that did most of it."""
        return judged(self._used_s, self._wall_s, self._allowed_s)


def judged(used_s: Mapping[str, float], wall_s: float, allowed_s: float) -> tuple[Doubt, ...]:
    """The doubt about CPU seconds of waiting processes, by name, within ``wall_s`` seconds."""
    used = sum(used_s.values())
    if used <= allowed_s:
        return ()
    share = used / wall_s
    busiest = sorted(used_s.items(), key=lambda item: -item[1])[:3]
    names = ", ".join(f"{name} {used / wall_s:.1%}" for name, used in busiest if used)
    return (
        Doubt(
            "idle",
            f"processes that waited used {share:.1%} of a core while another was measured ({names}): "
            "their threads spin, or a browser works by itself",
        ),
    )


def settle(pids: Sequence[int]) -> bool:
    """Wait until no thread of these processes runs, for SETTLE_S at most; whether they came to rest.

    Threads of ONNX Runtime spin for 20 ms after a run, ready for the next.
    """
    end = time.perf_counter() + SETTLE_S
    while not all(map(at_rest, pids)):
        if time.perf_counter() > end:
            return False
        time.sleep(LOOK_S)
    return True


def _used(pids: Sequence[int]) -> float:
    return sum(map(cpu_seconds, pids))
