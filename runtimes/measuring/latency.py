"""Statistics on run times. Pure: arrays of nanoseconds in, frozen figures out; no sample is ever deleted."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from runtimes.base import Array
from runtimes.measuring import flags, rounds
from runtimes.measuring.flags import Flag
from runtimes.measuring.percentiles import early_stop, interval, nearest_rank, percentile
from runtimes.verdict.statistics import CONFIDENCE, Interval, student_t

WINDOWS = 3
STEADY_SPREAD = 0.05
# The rounds of a process show its course in time; fewer than these are cut into so many stretches.
ENOUGH_ROUNDS = 5
STRETCHES = 8
# A round has a percentile of its own where at least so many of its runs are slower.
ENOUGH_SLOWER = 5


@dataclass(frozen=True)
class Latency:
    """Figures of single runs in their steady state, in seconds. None where there are too few runs to say.

    Percentiles are nearest rank (``runtimes.measuring.percentiles`` says from how many runs on, and why one is missing). Intervals
    are of 95 %, for the machine as it was in these rounds: order statistics, which assume independent runs, or what the
    differences between rounds, and between processes where there are several, say, whichever is wider. In simulation, of
    independent runs and of rounds that differ by up to 5 %, that of p50 covered in 95 to 99 %; those of p90 and p99 in 93
    to 99 %, and in 90 % where the share of late runs differs ninefold between five rounds. ``p90_bound_s`` is what 90 % of all runs stay below with 99 %
    confidence (early stopping, MLPerf; for independent runs). ``rounds_p50_s`` has the median of each round, in order, for
    each process. ``flags`` say what makes the figures doubtful: see ``runtimes.measuring.flags``.
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


def summarise(times: Sequence[Sequence[Array]], warm: bool = True) -> Latency:
    """Figures from raw times in nanoseconds: ``times[process][round]``, each in the order of its runs, shape (n,).

    ``warm`` is whether every warm-up ended by itself.
    """
    each = [part for process in times for part in process]
    ordered = np.sort(np.concatenate(each))
    stretches = [_stretches(process) for process in times]
    course = [_medians(process) for process in stretches]
    medians = [_medians(process) for process in times]
    whole, parts = (medians, times) if len(each) > 1 else (course, stretches)
    found: dict[Flag, bool] = {
        "drift": flags.drift(course),
        "bimodal": flags.bimodal(each),
        "unsteady": flags.unsteady(list(itertools.chain(*whole))),
        "not warm": not warm,
    }
    p90, p99 = percentile(ordered, 0.9), percentile(ordered, 0.99)
    return Latency(
        n=len(ordered),
        p50_s=nearest_rank(ordered, 0.5) / 1e9,
        mean_s=float(ordered.mean()) / 1e9,
        p90_s=_seconds(p90),
        p99_s=_seconds(p99),
        p999_s=_seconds(percentile(ordered, 0.999)),
        p50_interval=_interval(ordered, parts, 0.5),
        p90_interval=None if p90 is None else _interval(ordered, parts, 0.9),
        p99_interval=None if p99 is None else _interval(ordered, parts, 0.99),
        p90_bound_s=_seconds(early_stop(ordered, 0.9)),
        rounds_p50_s=tuple(tuple(median / 1e9 for median in process) for process in medians),
        flags=tuple(flag for flag, seen in found.items() if seen),
    )


def _stretches(process: Sequence[Array]) -> list[Array]:
    """A process's times in their order: round by round, or in pieces of rounds where there are few."""
    if len(process) >= ENOUGH_ROUNDS:
        return list(process)
    pieces = math.ceil(STRETCHES / len(process))
    return [piece for part in process for piece in np.array_split(part, min(pieces, len(part)))]


def _medians(parts: Sequence[Array]) -> list[float]:
    return [float(np.median(part)) for part in parts]


def _interval(ordered: Array, parts: Sequence[Sequence[Array]], p: float) -> Interval | None:
    """That of a percentile, in seconds: the wider of two. None where order statistics have none.

    By order statistics, as if runs were independent; and by how the percentile differs between whole processes, or else
    rounds. Where rounds are too short for one of their own, the share of slow runs is taken in its place, which Woodruff's
    method for clusters (JASA 47, 1952) turns into percentiles. No end lies beyond all runs: two processes that differ may
    say nothing more than that.
    """
    independent = interval(ordered, p)
    if independent is None:
        return None
    at = nearest_rank(ordered, p)
    flat = list(itertools.chain(*parts))
    ends = [independent]
    if p == 0.5 or all(len(part) * (1 - p) >= ENOUGH_SLOWER for part in flat):
        reach = math.exp(_reach([[nearest_rank(np.sort(part), p) for part in process] for process in parts]))
        ends.append((max(float(ordered[0]), at / reach), min(float(ordered[-1]), at * reach)))
    elif len(flat) > 1:
        error = _share_error(at, flat) * student_t(CONFIDENCE, len(flat) - 1)
        ends.append((nearest_rank(ordered, max(p - error, 0.0)), nearest_rank(ordered, min(p + error, 1.0))))
    lows, highs = zip(*ends, strict=True)
    return min(lows) / 1e9, max(highs) / 1e9


def _reach(percentiles: Sequence[Sequence[float]]) -> float:
    """How far the logarithm of a percentile may be off because processes, or else rounds, differ as a whole."""
    seen = rounds.location(rounds.logarithms(percentiles))
    return student_t(CONFIDENCE, seen.units - 1) * seen.error if seen.units > 1 else 0.0


def _share_error(at: float, parts: Sequence[Array]) -> float:
    """The standard error of the share of runs that take ``at`` or less, each part counted whole."""
    n = sum(map(len, parts))
    share = sum(int(np.sum(part <= at)) for part in parts) / n
    off = sum((float(np.sum(part <= at)) - share * len(part)) ** 2 for part in parts)
    return math.sqrt(off * len(parts) / (len(parts) - 1)) / n


def _seconds(time_ns: float | None) -> float | None:
    return None if time_ns is None else time_ns / 1e9


def steady(windows: Sequence[Array]) -> bool:
    """Whether warm-up is over: the medians of the last three windows lie within 5 % of each other."""
    return len(windows) >= WINDOWS and spread(windows[-WINDOWS:]) <= STEADY_SPREAD


def spread(windows: Sequence[Array]) -> float:
    """The largest median over the smallest, minus one."""
    medians = [float(np.median(window)) for window in windows]
    return max(medians) / max(min(medians), 1e-9) - 1.0
