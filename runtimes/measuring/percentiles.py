"""Percentiles of run times, and how sure they are. Pure; nothing is assumed of the distribution but independent runs."""

from __future__ import annotations

import bisect
import math
from functools import cache

from runtimes.base import Array
from runtimes.verdict.statistics import CONFIDENCE, Interval, binomial_tail

# The fewest runs from which each percentile is reported. A p90 needs one early stop of MLPerf's (no run may be slower
# than the bound), the rarer ones need two: a single outlier must not be the figure.
FEWEST = {0.5: 1, 0.9: 44, 0.99: 662, 0.999: 6636}
# The chance at which an early stop's bound may be too low.
EARLY_STOP_ERROR = 0.01


def nearest_rank(ordered: Array, p: float) -> float:
    """The smallest of the ``ordered`` times that at least the share ``p`` of all do not exceed."""
    return float(ordered[rank(len(ordered), p) - 1])


def rank(n: int, p: float) -> int:
    """The nearest rank of the percentile ``p`` among ``n``, counted from 1: ceil(p n), safe from rounding."""
    return max(1, math.ceil(p * n - 1e-9))


def percentile(ordered: Array, p: float) -> float | None:
    """``nearest_rank``, or None where ``why_missing`` has a reason."""
    return None if why_missing(len(ordered), p) else nearest_rank(ordered, p)


def why_missing(n: int, p: float) -> str | None:
    """Why the percentile ``p``, a key of FEWEST, is not reported for ``n`` runs; None where it is."""
    if n >= FEWEST[p]:
        return None
    return f"a {name(p)} needs {FEWEST[p]} runs, and {n} were timed"


def name(p: float) -> str:
    """p50, p90, p99 or p99.9."""
    return f"p{100 * p:g}"


def interval(ordered: Array, p: float, confidence: float = CONFIDENCE) -> Interval | None:
    """The distribution-free interval of the percentile ``p`` by two order statistics, from independent times.

    Its coverage is at least ``confidence``, exactly by the binomial distribution (David and Nagaraja, Order Statistics,
    section 7.1). None where even the fastest and the slowest run are not enough.
    """
    ranks = interval_ranks(len(ordered), p, confidence)
    return ranks and (float(ordered[ranks[0] - 1]), float(ordered[ranks[1] - 1]))


@cache
def interval_ranks(n: int, p: float, confidence: float = CONFIDENCE) -> tuple[int, int] | None:
    """The ranks, from 1, of the order statistics that enclose the percentile ``p``, each end wrong half of the time.

    How many of the times lie below the percentile is binomial (n, p), and the one of rank r exceeds it when fewer than
    r do.
    """
    tail = (1 - confidence) / 2
    low = first_above(n, p, tail)
    high = first_above(n, p, 1 - tail) + 1
    return (low, high) if low >= 1 and high <= n else None


def first_above(n: int, p: float, chance: float) -> int:
    """The smallest k with P(X <= k) >= ``chance`` for X binomial (n, p)."""
    # Ten standard deviations hold every chance that is asked for, and spare most of the search.
    around, reach = round(n * p), 10 * math.ceil(math.sqrt(n * p * (1 - p))) + 10
    start, stop = max(0, around - reach), min(n, around + reach)
    return start + bisect.bisect_left(
        range(start, stop), True, key=lambda k: binomial_tail(k, n, p) >= chance
    )


def early_stop(ordered: Array, p: float) -> float | None:
    """What the share ``p`` of all runs stay below with 99 % confidence: MLPerf's early stopping estimate.

    It is the time that ``allowed_slower`` of the runs exceed. None where not even the slowest run will do.
    """
    allowed = allowed_slower(len(ordered), p)
    return None if allowed is None else float(ordered[len(ordered) - 1 - allowed])


@cache
def allowed_slower(n: int, p: float) -> int | None:
    """The largest t with P(Binomial(n, 1 - p) <= t) <= 1 %: as many of ``n`` runs may be slower than the bound.

    The rule of MLPerf's loadgen (Reddi et al., MLPerf Inference Benchmark, 2020, and its early stopping appendix).
    """
    below = first_above(n, 1 - p, EARLY_STOP_ERROR)
    exactly = binomial_tail(below, n, 1 - p) <= EARLY_STOP_ERROR
    t = below if exactly else below - 1
    return t if t >= 0 else None
