"""Statistics on run times. Pure: arrays of nanoseconds in, frozen figures out; no sample is ever deleted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from runtimes.base import Array

WINDOWS = 3
STEADY_SPREAD = 0.05
UNSTABLE_SPREAD = 0.10
SMALLEST_FOR_P90 = 44


@dataclass(frozen=True)
class Latency:
    """Figures of one steady run, in seconds. ``p90_s`` is None below 44 samples, where it would say nothing.

    ``stable`` is whether the medians of three equal parts of the run lie within 10 % of each other.
    """

    n: int
    p50_s: float
    p90_s: float | None
    mean_s: float
    stable: bool


def percentile(sorted_times: Array, p: float) -> float:
    """Nearest rank: the smallest time that at least the share ``p`` of all times do not exceed."""
    return float(sorted_times[max(0, math.ceil(p * len(sorted_times)) - 1)])


def summarise(times_ns: Array) -> Latency:
    """Figures from raw times in their order, shape (n,) nanoseconds."""
    ordered = np.sort(times_ns)
    return Latency(
        n=len(times_ns),
        p50_s=percentile(ordered, 0.5) / 1e9,
        p90_s=percentile(ordered, 0.9) / 1e9 if len(times_ns) >= SMALLEST_FOR_P90 else None,
        mean_s=float(times_ns.mean()) / 1e9,
        stable=spread([part for part in np.array_split(times_ns, WINDOWS) if len(part)]) <= UNSTABLE_SPREAD,
    )


def steady(windows: Sequence[Array]) -> bool:
    """Whether warm-up is over: the medians of the last three windows lie within 5 % of each other."""
    return len(windows) >= WINDOWS and spread(windows[-WINDOWS:]) <= STEADY_SPREAD


def spread(windows: Sequence[Array]) -> float:
    """The largest median over the smallest, minus one."""
    medians = [float(np.median(window)) for window in windows]
    return max(medians) / max(min(medians), 1e-9) - 1.0
