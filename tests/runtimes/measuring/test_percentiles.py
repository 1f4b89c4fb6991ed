"""Percentiles and their intervals do what they claim: against SciPy, by enumeration, and in simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from runtimes.measuring import percentiles
from runtimes.measuring.percentiles import (
    allowed_slower,
    early_stop,
    interval_ranks,
    nearest_rank,
)

SHARES = (0.5, 0.9, 0.99, 0.999)


def test_a_percentile_is_a_time_that_was_measured_whatever_the_rounding() -> None:
    for n in (100, 1000):
        ordered = np.arange(1, n + 1)
        for part in range(1, n + 1):  # 0.07 * 100 is 7.000000000000001 in floating point
            assert nearest_rank(ordered, part / n) == part
    assert [nearest_rank(np.array([3, 5]), p) for p in (0.0, 0.5, 0.51, 1.0)] == [3, 3, 5, 5]


@pytest.mark.parametrize("p", SHARES)
@pytest.mark.parametrize("n", [1, 5, 6, 35, 36, 44, 100, 367, 368, 662, 6636, 50_000])
def test_the_ranks_are_the_outermost_that_cover(n: int, p: float) -> None:
    below = stats.binom(n, p)
    found = interval_ranks(n, p)
    if found is None:
        assert below.pmf(0) > 0.025 or below.pmf(n) > 0.025
        return
    low, high = found
    assert below.cdf(high - 1) - below.cdf(low - 1) >= 0.95
    assert below.cdf(low) > 0.025  # one rank further in, and that end would be wrong too often
    assert below.sf(high - 2) > 0.025


@pytest.mark.parametrize("p", [0.5, 0.9, 0.99])
def test_independent_times_have_their_percentile_inside_at_the_stated_rate(p: float) -> None:
    rng = np.random.default_rng(0)
    ordered = np.sort(np.exp(rng.normal(0, 0.2, (4000, 700))), axis=1)
    low, high = interval_ranks(700, p) or (0, 0)
    truth = np.exp(0.2 * stats.norm.ppf(p))
    covered = np.mean((ordered[:, low - 1] <= truth) & (truth <= ordered[:, high - 1]))
    assert 0.945 <= covered <= 0.985


def test_early_stopping_has_the_numbers_of_loadgen() -> None:
    for p, fewest in {0.9: (44, 64, 81), 0.99: (459, 662, 838), 0.999: (4603, 6636, 8403)}.items():
        for slower, n in enumerate(fewest):
            assert allowed_slower(n, p) == slower
            assert allowed_slower(n - 1, p) == (slower - 1 if slower else None)


def test_as_many_runs_may_be_slower_as_early_stopping_allows() -> None:
    assert [allowed_slower(n, 0.9) for n in (1, 43, 44, 63, 64, 80, 81)] == [None, None, 0, 0, 1, 1, 2]
    for n in (100, 5000, 1_000_000):
        t = allowed_slower(n, 0.9) or 0
        assert stats.binom.cdf(t, n, 0.1) <= 0.01 < stats.binom.cdf(t + 1, n, 0.1)


def test_the_early_stop_is_too_low_in_one_of_a_hundred() -> None:
    rng = np.random.default_rng(1)
    ordered = np.sort(rng.random((20_000, 300)), axis=1)
    too_low = np.mean([(early_stop(times, 0.9) or 0) < 0.9 for times in ordered])
    assert 0.003 <= too_low <= 0.0125
    assert early_stop(np.arange(43), 0.9) is None


def test_a_percentile_that_is_missing_says_why() -> None:
    times = np.arange(661)
    assert percentiles.percentile(times, 0.99) is None
    assert percentiles.why_missing(661, 0.99) == "a p99 needs 662 runs, and 661 were timed"
    assert percentiles.why_missing(662, 0.99) is None
    assert percentiles.why_missing(6635, 0.999) == "a p99.9 needs 6636 runs, and 6635 were timed"
    assert percentiles.percentile(np.arange(44), 0.9) == 39
