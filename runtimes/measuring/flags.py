"""What makes the figures of a latency doubtful, each by a test with a rate of false alarms. Pure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import cache
from typing import Literal

import numpy as np

from runtimes.base import Array

Flag = Literal["drift", "bimodal", "unsteady", "not warm"]

# Medians of rounds further apart than this are unsteady.
UNSTEADY = 0.10
# A drift: a change from the first to the last stretch of more than this...
DRIFT = 0.05
# ... in an order that chance gives less often than this.
DRIFT_CHANCE = 0.02
# More stretches of a process than this are merged with their neighbours.
MOST_STRETCHES = 40
# Two groups: this share of the runs lies in a second one, in excess of what a single group can have there.
SECOND_GROUP = 0.05
# That excess, times the square root of n, is below this in 99 % of samples of a uniform distribution.
EXCESS_BY_CHANCE = 1.1
# Times closer than this are one group: the width of the kernel, relative to the time.
KERNEL = 0.015
LEVELS = 48


def unsteady(medians: Sequence[float]) -> bool:
    """Whether medians of rounds spread over more than 10 % of the smallest."""
    return max(medians) > (1 + UNSTEADY) * max(min(medians), 1e-9)


def drift(processes: Sequence[Sequence[float]]) -> bool:
    """Whether the medians of each process's stretches, in their order, go up, or down, by more than 5 % and than chance.

    The test is Mann's and Kendall's, exact, its counts added over the processes (Hirsch and Slack, Water Resources
    Research 20, 1984): stretches in an order without meaning are flagged in at most 2 % of cases, and far fewer where they
    differ by little. The change is the slope of Theil and Sen, from the first to the last.
    """
    logs = [np.log(np.maximum(_merged(each), 1e-10)) for each in processes]
    rises, slopes = zip(*map(_rises, logs), strict=True)
    if not sum(map(len, rises)):
        return False
    change = float(np.median(np.concatenate(slopes))) * (max(map(len, logs)) - 1)
    score = int(np.sign(np.concatenate(rises)).sum())
    return abs(change) > math.log1p(DRIFT) and _chance(score, tuple(map(len, logs))) <= DRIFT_CHANCE


def _merged(medians: Sequence[float]) -> Array:
    """Medians of neighbours, where there are more than the test needs."""
    return np.array([np.median(part) for part in np.array_split(medians, min(len(medians), MOST_STRETCHES))])


def _rises(logs: Array) -> tuple[Array, Array]:
    """From each value to each later one: the difference, and the slope."""
    first, later = np.triu_indices(len(logs), 1)
    rises = logs[later] - logs[first]
    return rises, rises / (later - first)


@cache
def _chance(score: int, lengths: tuple[int, ...]) -> float:
    """P(|S| >= |score|) of Kendall's S over sequences of these lengths, each in a random order without ties.

    The pairs out of order of n values are distributed as a sum of independent uniform numbers 0..0, 0..1, ... 0..n-1.
    """
    ways = np.ones(1)
    for count in itertools.chain.from_iterable(range(1, n + 1) for n in lengths):
        ways = np.convolve(ways, np.full(count, 1 / count))
    scores = len(ways) - 1 - 2 * np.arange(len(ways))
    return float(ways[np.abs(scores) >= abs(score)].sum())


def bimodal(rounds: Sequence[Array]) -> bool:
    """Whether the runs form two groups, each time taken relative to the tenth percentile of its round.

    The test is the excess mass of Müller and Sawitzki (JASA 86, 1991), which is twice Hartigan's dip, on logarithms under a
    Gaussian kernel of 1.5 %, so that neither a coarse clock nor a ripple makes groups. Times of one peak are flagged in at
    most 1 % of samples, the worst being a uniform distribution below some 500 runs; normal, lognormal and one-sided tails in
    none of thousands. Groups closer than about a tenth, or of less than about a tenth of the runs, count as one.
    """
    times = [np.maximum(each, 1).astype(float) for each in rounds]
    n = sum(map(len, times))
    if not n:
        return False
    middle = float(np.median([np.median(each) for each in times]))
    kernel = max(KERNEL, _coarseness(rounds) / middle / 2)
    logs = np.concatenate([np.log(each / np.quantile(each, 0.1, method="inverted_cdf")) for each in times])
    return excess_mass(_density(logs, kernel)) > max(SECOND_GROUP, EXCESS_BY_CHANCE / math.sqrt(n))


def _coarseness(rounds: Sequence[Array]) -> float:
    """The smallest step between two different times, which is at least that of the clock."""
    steps = np.diff(np.unique(np.concatenate([each[:1000] for each in rounds])))
    return float(steps.min()) if len(steps) else 0.0


def _density(logs: Array, kernel: float) -> Array:
    """The share of ``logs`` in cells of a quarter of the kernel, smoothed by it, within the central 98 %."""
    step, reach = kernel / 4, 16
    low, high = np.quantile(logs, [0.01, 0.99])
    cells = max(1, math.ceil((high - low) / step)) + 2 * reach
    middle = (low + high) / 2
    counts, _ = np.histogram(logs, cells, (middle - cells * step / 2, middle + cells * step / 2))
    weights = np.exp(-((np.arange(-reach, reach + 1) * step / kernel) ** 2) / 2)
    return np.convolve(counts / len(logs), weights / weights.sum(), "same")


def excess_mass(density: Array) -> float:
    """How much more mass two intervals hold above some level of the density than one interval does.

    The mass of an interval above a level is a sum of ``density - level``, so the best one is a largest sum of neighbours,
    and the best two are the best on either side of a cut.
    """
    most = 0.0
    for level in density.max() * np.linspace(0.02, 0.98, LEVELS):
        sums = np.concatenate([[0.0], np.cumsum(density - level)])
        before = np.maximum.accumulate(sums - np.minimum.accumulate(sums))
        after = np.maximum.accumulate(np.maximum.accumulate(sums[::-1]) - sums[::-1])[::-1]
        most = max(most, float((before + after).max() - before[-1]))
    return most
