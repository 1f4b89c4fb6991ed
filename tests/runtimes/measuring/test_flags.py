"""Each flag is raised by what it is for, and by clean times not more often than it says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from runtimes.base import Array
from runtimes.measuring import flags

Draw = Callable[[np.random.Generator, int], Array]

ONE_GROUP: dict[str, Draw] = {
    "normal": lambda rng, n: 1 + rng.normal(0, 0.05, n),
    "wide normal": lambda rng, n: np.maximum(1 + rng.normal(0, 0.3, n), 0.01),
    "lognormal": lambda rng, n: np.exp(rng.normal(0, 0.1, n)),
    "wide lognormal": lambda rng, n: np.exp(rng.normal(0, 1, n)),
    "exponential tail": lambda rng, n: 1 + rng.normal(0, 0.01, n) + rng.exponential(0.1, n),
    "15 % late": lambda rng, n: 1 + rng.normal(0, 0.01, n) + (rng.random(n) < 0.15) * rng.exponential(0.3, n),
    "5 % interrupted": lambda rng, n: 1 + rng.normal(0, 0.01, n) + (rng.random(n) < 0.05) * 0.5,
    "infinite variance": lambda rng, n: 1 + 0.02 * rng.pareto(1.2, n),
    "clock of 2 %": lambda rng, n: np.round((1 + rng.normal(0, 0.05, n)) / 0.02) * 0.02,
    "clock of 10 %": lambda rng, n: np.round((1 + rng.normal(0, 0.1, n)) / 0.1) * 0.1,
    "clock of 50 %": lambda rng, n: np.round((1 + rng.normal(0, 0.2, n)) / 0.5) * 0.5,
    "clock of 24 MHz": lambda rng, n: ticks(rng, n, 24) / 1000,
    "clock of 24 MHz, 2 us": lambda rng, n: ticks(rng, n, 48) / 1e6,
    "one value": lambda rng, n: np.ones(n),
}
TWO_GROUPS: dict[str, Draw] = {
    "half, 10 % apart": lambda rng, n: two(rng, n, 0.5, 0.1, 0.01),
    "30 %, 20 % apart": lambda rng, n: two(rng, n, 0.3, 0.2, 0.02),
    "15 %, 50 % apart": lambda rng, n: two(rng, n, 0.15, 0.5, 0.03),
    "85 %, 50 % apart": lambda rng, n: two(rng, n, 0.85, 0.5, 0.03),
    "40 %, twice as long": lambda rng, n: two(rng, n, 0.4, 1.0, 0.1),
}


def ticks(rng: np.random.Generator, n: int, length: int) -> Array:
    """Differences in whole nanoseconds of two readings of a clock of 24 MHz: neighbours are 41 or 42 apart, or 1."""
    begin = rng.integers(0, 1000, n)
    end = begin + np.round(length * (1 + rng.normal(0, 0.1, n)))
    return np.asarray(np.floor(end * 1000 / 24) - np.floor(begin * 1000 / 24))


def two(rng: np.random.Generator, n: int, share: float, apart: float, spread: float) -> Array:
    return np.asarray((1 + apart * (rng.random(n) < share)) * np.exp(rng.normal(0, spread, n)))


def rounds(times: Array, count: int) -> list[Array]:
    return np.array_split(np.rint(times * 1e6).astype(np.int64), count)


def rate(draw: Draw, n: int, repeats: int) -> float:
    rng = np.random.default_rng(n)
    return float(np.mean([flags.bimodal(rounds(draw(rng, n), 5)) for _ in range(repeats)]))


@pytest.mark.parametrize("name", ONE_GROUP)
@pytest.mark.parametrize("n", [20, 200, 2000])
def test_one_group_is_not_called_two(name: str, n: int) -> None:
    assert rate(ONE_GROUP[name], n, 100) <= 0.01


@pytest.mark.parametrize("name", TWO_GROUPS)
def test_two_groups_are_found(name: str) -> None:
    assert rate(TWO_GROUPS[name], 1000, 20) >= 0.95


def test_the_excess_mass_of_uniform_times_is_what_the_limit_says() -> None:
    """The least favourable of all distributions with one peak; many kernels wide, so that the kernel helps nothing."""
    rng = np.random.default_rng(0)
    for n in (50, 400):
        excess = [flags.excess_mass(flags._density(rng.uniform(0, 3, n), flags.KERNEL)) for _ in range(250)]
        assert np.mean(np.array(excess) * np.sqrt(n) > flags.EXCESS_BY_CHANCE) <= 0.015


def test_rounds_that_differ_as_a_whole_are_unsteady_and_not_bimodal() -> None:
    rng = np.random.default_rng(0)
    parts = [level * rng.normal(1e6, 1e4, 200) for level in (1.0, 1.2, 1.0, 1.2, 1.0)]
    assert not flags.bimodal(parts)
    assert flags.unsteady([float(np.median(part)) for part in parts])
    assert not flags.unsteady([1.0, 1.09, 1.0])


@pytest.mark.parametrize("processes, stretches", [(1, 5), (1, 10), (3, 10), (2, 80)])
def test_medians_in_an_order_without_meaning_drift_in_2_percent_at_most(
    processes: int, stretches: int
) -> None:
    rng, repeats = np.random.default_rng(0), 400 if stretches < 40 else 100
    wide = [flags.drift(np.exp(rng.normal(0, 1, (processes, stretches))).tolist()) for _ in range(repeats)]
    assert np.mean(wide) <= 0.02 + 3 * np.sqrt(0.02 * 0.98 / repeats)
    narrow = [
        flags.drift(np.exp(rng.normal(0, 0.01, (processes, stretches))).tolist()) for _ in range(repeats)
    ]
    assert np.mean(narrow) <= 0.005


@pytest.mark.parametrize("processes, stretches", [(1, 5), (1, 10), (3, 10), (2, 80)])
@pytest.mark.parametrize("change", [1.15, 1 / 1.15])
def test_a_drift_is_found_up_and_down(processes: int, stretches: int, change: float) -> None:
    rng = np.random.default_rng(0)
    trend = np.linspace(0, np.log(change), stretches)
    found = [
        flags.drift(np.exp(trend + rng.normal(0, 0.01, (processes, stretches))).tolist()) for _ in range(100)
    ]
    assert np.mean(found) >= 0.9


def test_a_small_drift_is_none() -> None:
    assert not flags.drift([np.linspace(1, 1.04, 10).tolist()])
    assert flags.drift([np.linspace(1, 1.06, 10).tolist()])
    assert not flags.drift([[1.0]])


@pytest.mark.parametrize("n", [4, 5, 7])
def test_the_chance_of_a_trend_is_kendalls(n: int) -> None:
    for score in range(n * (n - 1) // 2, 0, -2):
        order = _with_score(n, score)
        exact = stats.kendalltau(range(n), order, method="exact").pvalue
        assert flags._chance(score, (n,)) == pytest.approx(exact)


def _with_score(n: int, score: int) -> list[int]:
    """An order of n values with this Kendall's S: of neighbours out of order one is swapped until it has."""
    order = list(range(n))
    wanted = (n * (n - 1) // 2 - score) // 2
    for done in range(n):
        for i in range(n - 1 - done):
            if wanted == 0:
                return order
            order[i], order[i + 1] = order[i + 1], order[i]
            wanted -= 1
    return order
