"""Statistics on run times. Pure: arrays of nanoseconds in, frozen figures out; no sample is ever deleted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from runtimes.base import Array

WINDOWS = 3
STEADY_SPREAD = 0.05
UNSTABLE_SPREAD = 0.10
SMALLEST_FOR_P90 = 44


Flag = Literal["drift", "bimodal", "unsteady", "not warm"]


@dataclass(frozen=True)
class Latency:
    """Figures of single runs in their steady state, in seconds. None where there are too few runs to say.

    Percentiles are nearest rank, their intervals of 95 % by order statistics. ``p90_bound_s`` is what 90 % of all runs
    stay below with 99 % confidence (early stopping, MLPerf). ``rounds_p50_s`` has the median of each round, in order, for
    each process. ``flags`` say what makes the figures doubtful.
    """

    n: int
    p50_s: float
    mean_s: float
    p90_s: float | None = None
    p99_s: float | None = None
    p999_s: float | None = None
    p50_interval: tuple[float, float] | None = None
    p90_interval: tuple[float, float] | None = None
    p99_interval: tuple[float, float] | None = None
    p90_bound_s: float | None = None
    rounds_p50_s: tuple[tuple[float, ...], ...] = ()
    flags: tuple[Flag, ...] = ()


def percentile(sorted_times: Array, p: float) -> float:
    """Nearest rank: the smallest time that at least the share ``p`` of all times do not exceed."""
    return float(sorted_times[max(0, math.ceil(p * len(sorted_times)) - 1)])


def summarise(rounds: Sequence[Sequence[Array]], warm: bool = True) -> Latency:
    """Figures from raw times in nanoseconds: ``rounds[process][round]``, each in the order of its runs, shape (n,).

    ``warm`` is whether every warm-up ended by itself.
    """
    flat = [times for process in rounds for times in process]
    times = np.concatenate(flat)
    ordered = np.sort(times)
    unsteady = spread([part for part in np.array_split(times, WINDOWS) if len(part)]) > UNSTABLE_SPREAD
    flags: list[Flag] = ["unsteady"] if unsteady else []
    if not warm:
        flags.append("not warm")
    return Latency(
        n=len(times),
        p50_s=percentile(ordered, 0.5) / 1e9,
        mean_s=float(times.mean()) / 1e9,
        p90_s=percentile(ordered, 0.9) / 1e9 if len(times) >= SMALLEST_FOR_P90 else None,
        rounds_p50_s=tuple(
            tuple(percentile(np.sort(part), 0.5) / 1e9 for part in process) for process in rounds
        ),
        flags=tuple(flags),
    )


def steady(windows: Sequence[Array]) -> bool:
    """Whether warm-up is over: the medians of the last three windows lie within 5 % of each other."""
    return len(windows) >= WINDOWS and spread(windows[-WINDOWS:]) <= STEADY_SPREAD


def spread(windows: Sequence[Array]) -> float:
    """The largest median over the smallest, minus one."""
    medians = [float(np.median(window)) for window in windows]
    return max(medians) / max(min(medians), 1e-9) - 1.0
