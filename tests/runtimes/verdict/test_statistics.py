"""The statistics do what they claim: against SciPy, and their coverage by enumerating every outcome."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from scipy import stats

from runtimes.verdict.statistics import (
    Decision,
    binomial_tail,
    clopper_pearson,
    decide_agreement,
    mcnemar_p,
    paired_difference_interval,
    student_t,
)

SIZES = (1, 2, 3, 10, 59, 360, 1000, 12_345, 1_000_000)
RATES = (0.0, 0.0005, 0.001, 0.002, 0.005, 0.007, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_clopper_pearson_is_scipys(n: int, confidence: float) -> None:
    for k in sorted({0, 1, min(2, n), n // 3, n // 2, n * 99 // 100, n - 1, n}):
        low, high = clopper_pearson(k, n, confidence)
        exact = stats.binomtest(k, n).proportion_ci(confidence, method="exact")
        assert (low, high) == pytest.approx((exact.low, exact.high), abs=1e-11)  # SciPy's own precision
        tail = (1 - confidence) / 2
        assert low == pytest.approx(stats.beta.ppf(tail, k, n - k + 1) if k else 0, rel=1e-8)
        assert high == pytest.approx(stats.beta.isf(tail, k + 1, n - k) if k < n else 1, rel=1e-7)


def test_the_binomial_tail_is_scipys() -> None:
    rng = np.random.default_rng(0)
    for _ in range(3000):
        n = int(10 ** rng.uniform(0, 6))
        p = float(rng.choice([rng.uniform(), 10 ** rng.uniform(-6, 0), 1 - 10 ** rng.uniform(-6, 0)]))
        k = int(np.clip(n * p + rng.normal() * 3 * math.sqrt(n * p * (1 - p)) + rng.integers(-2, 3), 0, n))
        assert binomial_tail(k, n, p) == pytest.approx(stats.binom.cdf(k, n, p), rel=1e-7, abs=1e-12), (
            k,
            n,
            p,
        )
    assert (binomial_tail(-1, 5, 0.5), binomial_tail(5, 5, 0.5)) == (0.0, 1.0)
    assert (binomial_tail(2, 5, 0.0), binomial_tail(2, 5, 1.0)) == (1.0, 0.0)


def test_nothing_seen_says_nothing() -> None:
    assert clopper_pearson(0, 0) == (0.0, 1.0)
    assert paired_difference_interval(0, 0, 0) == (-1.0, 1.0)
    assert mcnemar_p(0, 0) == 1.0


def test_mcnemar_is_scipys_exact_binomial() -> None:
    pairs = [*itertools.product(range(0, 60, 3), repeat=2), (50, 1000), (1000, 1001), (3, 400)]
    for lost, gained in pairs:
        exact = stats.binomtest(lost, lost + gained, 0.5).pvalue if lost + gained else 1.0
        assert mcnemar_p(lost, gained) == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize("n", [5, 30, 100, 360])
def test_clopper_pearson_covers_at_least_95_percent_at_every_p(n: int) -> None:
    intervals = np.array([clopper_pearson(k, n) for k in range(n + 1)])
    ends = intervals[(intervals > 0) & (intervals < 1)]
    for p in np.concatenate([np.linspace(0, 1, 2001), ends - 1e-9, ends + 1e-9]):
        inside = (intervals[:, 0] <= p) & (p <= intervals[:, 1])
        assert stats.binom.pmf(np.flatnonzero(inside), n, p).sum() >= 0.95 - 1e-12, p


@pytest.mark.parametrize("n", [20, 50, 100, 360, 1000])
def test_the_paired_interval_covers_95_percent_on_average_and_never_less_than_93(n: int) -> None:
    """Every table of counts with its probability: the least coverage is 0.932, the means are 0.956 to 0.991."""
    interval = cache(paired_difference_interval)
    found = [
        _coverage(lambda lost, gained: interval(lost, gained, n), lose, gain, n)
        for lose, gain in itertools.product(RATES, repeat=2)
        if lose <= gain <= 80 / n
    ]
    assert min(found) >= 0.93
    assert float(np.mean(found)) >= 0.95


def _coverage(interval: Callable[[int, int], tuple[float, float]], lose: float, gain: float, n: int) -> float:
    """The chance that the interval holds ``gain - lose``; tables with a chance below 1e-8 count as missed."""
    covered = 0.0
    chances = stats.binom.pmf(np.arange(n + 1), n, gain)
    for gained in np.flatnonzero(chances > 1e-7).tolist():
        rest = n - gained
        both = chances[gained] * stats.binom.pmf(np.arange(rest + 1), rest, lose / (1 - gain))
        for lost in np.flatnonzero(both > 1e-8).tolist():
            low, high = interval(lost, gained)
            covered += both[lost] * (low - 1e-12 <= gain - lose <= high + 1e-12)
    return covered


def test_the_paired_interval_is_the_published_one() -> None:
    """Airway hyper-responsiveness, Fagerland, Lydersen and Laake (2014): -0.517 to -0.026 of 21 pairs."""
    assert paired_difference_interval(7, 1, 21) == pytest.approx((-0.517, -0.026), abs=5e-4)
    low, high = paired_difference_interval(2, 9, 100)
    assert paired_difference_interval(9, 2, 100) == pytest.approx((-high, -low))
    z2 = stats.norm.ppf(0.975) ** 2
    assert paired_difference_interval(0, 0, 360)[1] == pytest.approx(z2 / (360 + z2))
    assert paired_difference_interval(0, 8, 8)[1] == 1.0


def test_the_paired_interval_ends_where_the_score_is_at_its_quantile() -> None:
    """Tango's statistic with the constrained likelihood maximised by a search, instead of its formula."""
    lost, gained, n = 5, 14, 120
    for change in paired_difference_interval(lost, gained, n):
        p = np.linspace(max(0, -change) + 1e-9, (1 - change) / 2 - 1e-9, 2_000_001)
        likelihood = gained * np.log(p + change) + lost * np.log(p)
        likelihood += (n - lost - gained) * np.log1p(-2 * p - change)
        best = p[np.argmax(likelihood)]
        score = (gained - lost - n * change) / math.sqrt(n * (2 * best + change * (1 - change)))
        assert abs(score) == pytest.approx(stats.norm.ppf(0.975), abs=1e-4)


@pytest.mark.parametrize(
    ("agreements", "n", "required", "outcome", "needed"),
    [
        (299, 299, 0.99, "passed", None),
        (298, 298, 0.99, "inconclusive", 299),
        (0, 0, 0.99, "inconclusive", 299),
        (10, 10, 0.999, "inconclusive", 2995),
        (0, 360, 0.99, "mismatch", None),
        (350, 360, 0.99, "mismatch", None),
        (99, 100, 0.99, "inconclusive", None),  # the rate is the required one: no number of samples decides
        (500, 500, 1.0, "inconclusive", None),
        (499, 500, 1.0, "mismatch", None),
    ],
)
def test_an_agreement_is_decided_by_the_samples_that_it_needs(
    agreements: int, n: int, required: float, outcome: str, needed: int | None
) -> None:
    assert decide_agreement(agreements, n, required) == Decision(outcome, needed)  # type: ignore[arg-type]


@pytest.mark.parametrize(("differing", "n"), [(5, 1000), (22, 2000), (7, 600), (3, 360)])
def test_what_is_needed_decides_when_the_rate_stays(differing: int, n: int) -> None:
    found = decide_agreement(n - differing, n, 0.99)
    assert found.outcome == "inconclusive"
    assert found.needed_n is not None
    assert found.needed_n > n

    def outcomes(samples: int) -> set[str]:
        """With the whole numbers of disagreements around the rate."""
        rate = differing / n * samples
        return {decide_agreement(samples - k, samples, 0.99).outcome for k in (int(rate), int(rate) + 1)}

    assert outcomes(found.needed_n) != {"inconclusive"}
    assert outcomes(round(found.needed_n * 1.3)).isdisjoint({"inconclusive"})
    assert "inconclusive" in outcomes(round(found.needed_n * 0.9))


@pytest.mark.parametrize("required", [0.9, 0.99, 0.999])
@pytest.mark.parametrize("n", [50, 360, 3000])
def test_a_decision_is_wrong_in_at_most_5_of_100(n: int, required: float) -> None:
    outcomes = np.array([decide_agreement(k, n, required).outcome for k in range(n + 1)])
    counts = np.arange(n + 1)
    below = stats.binom.pmf(counts, n, required - 1e-9)[outcomes == "passed"].sum()
    above = stats.binom.pmf(counts, n, required)[outcomes == "mismatch"].sum()
    assert below <= 0.05
    assert above <= 0.05


@pytest.mark.parametrize("freedom", [1, 2, 3.7, 4, 9, 29, 1000])
def test_students_t_is_scipys(freedom: float) -> None:
    for confidence in (0.5, 0.9, 0.95, 0.99, 0.999):
        assert student_t(confidence, freedom) == pytest.approx(
            stats.t.isf((1 - confidence) / 2, freedom), rel=1e-9
        )
