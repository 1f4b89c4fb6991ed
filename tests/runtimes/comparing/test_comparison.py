"""The ratio's interval covers at the stated rate, a planted slowdown is found, and none is found without one."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from runtimes.base import Array
from runtimes.comparing.comparison import Ratio, decide, ratio, reason
from runtimes.measuring.rounds import Rounds, location, logarithms

REPEATS = 400


def medians(
    rng: np.random.Generator,
    processes: int,
    rounds: int,
    *,
    slower: float = 1.0,
    process: float = 0.0,
    noise: str = "normal",
    machine: Array | None = None,
) -> Rounds:
    """Medians of a millisecond whose rounds differ by about 1 %, and whose processes by ``process``."""
    shape = (processes, rounds)
    logs = (
        rng.normal(0, process, (processes, 1))
        + {
            "normal": rng.normal(0, 0.01, shape),
            "skewed": rng.exponential(0.01, shape),
            "disturbed": rng.normal(0, 0.01, shape)
            + (rng.random(shape) < 0.1) * rng.exponential(0.15, shape),
        }[noise]
    )
    if machine is not None:
        logs = logs + machine
    return [list(map(float, each)) for each in 1e-3 * slower * np.exp(logs)]


def pairs(paired: bool, processes: int, rounds: int, **how: object) -> list[tuple[Rounds, Rounds]]:
    """Two sides each; a machine that wanders by 3 % from round to round hits both of an interleaved pair."""
    rng = np.random.default_rng(processes * 100 + rounds)
    slower = float(how.pop("slower", 1.0))  # type: ignore[arg-type]
    found = []
    for _ in range(REPEATS):
        machine = rng.normal(0, 0.03, (processes, rounds)) if paired else None
        old = medians(rng, processes, rounds, machine=machine, **how)  # type: ignore[arg-type]
        new = medians(rng, processes, rounds, machine=machine, slower=slower, **how)  # type: ignore[arg-type]
        found.append((old, new))
    return found


@pytest.mark.parametrize("noise", ["normal", "skewed", "disturbed"])
@pytest.mark.parametrize("paired", [True, False], ids=["interleaved", "apart"])
@pytest.mark.parametrize(
    "processes, rounds, process", [(1, 5, 0.0), (1, 10, 0.0), (3, 10, 0.01), (3, 5, 0.003)]
)
def test_the_interval_covers(paired: bool, processes: int, rounds: int, process: float, noise: str) -> None:
    intervals = [
        ratio(old, new, paired).interval
        for old, new in pairs(paired, processes, rounds, process=process, noise=noise, slower=1.1)
    ]
    covered = np.mean([low <= 1.1 <= high for low, high in intervals])
    # 95 % less three standard errors of a simulation of this size.
    assert covered >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / REPEATS), covered


@pytest.mark.parametrize("processes, rounds, process", [(1, 5, 0.0), (1, 10, 0.0), (3, 10, 0.005)])
def test_no_slowdown_is_found_where_there_is_none(processes: int, rounds: int, process: float) -> None:
    same = [
        ratio(old, new, True)
        for old, new in pairs(True, processes, rounds, process=process, noise="disturbed")
    ]
    # Even without any threshold 2.5 % at most, and three standard errors.
    assert sum(decide(found, 0.0) == "slower" for found in same) <= REPEATS * 0.025 + 3 * math.sqrt(15)
    assert sum(decide(found, 0.03) == "slower" for found in same) <= 2


@pytest.mark.parametrize(
    "processes, rounds, process, power", [(1, 5, 0.0, 0.9), (1, 10, 0.0, 0.97), (3, 10, 0.005, 0.9)]
)
def test_a_planted_slowdown_of_5_percent_is_found(
    processes: int, rounds: int, process: float, power: float
) -> None:
    decisions = Counter(
        decide(ratio(old, new, True), 0.03)
        for old, new in pairs(True, processes, rounds, process=process, slower=1.05)
    )
    assert decisions["slower"] >= power * REPEATS
    assert decisions["faster"] == 0


def test_a_disturbed_round_does_not_move_the_value() -> None:
    old = [[1.0] * 10]
    new = [[1.0] * 9 + [9.0]]
    assert ratio(old, new, True).value == 1.0


def test_processes_are_the_units_where_there_are_several() -> None:
    rounds = [[1.0, 1.0, 1.0], [1.1, 1.1, 1.1], [1.21, 1.21, 1.21]]
    found = location(logarithms(rounds))
    assert found.units == 3
    assert found.log == pytest.approx(math.log(1.1))
    assert found.error == pytest.approx(math.log(1.1) / math.sqrt(3))


def test_one_round_says_nothing() -> None:
    found = ratio([[1.0]], [[2.0]], True)
    assert found.interval == (0.0, math.inf)
    assert decide(found, 0.05) == "unclear"


def test_interleaved_sides_have_the_same_rounds() -> None:
    with pytest.raises(ValueError, match="same number of rounds"):
        ratio([[1.0, 1.0]], [[1.0]], True)


def test_the_decision_needs_noise_and_threshold_to_be_exceeded() -> None:
    assert decide(Ratio(1.08, (1.05, 1.11)), 0.05) == "slower"
    assert decide(Ratio(0.90, (0.88, 0.92)), 0.05) == "faster"
    assert decide(Ratio(1.02, (1.01, 1.03)), 0.05) == "same"
    assert decide(perhaps := Ratio(0.98, (0.93, 1.03)), 0.05) == "same"
    assert reason(perhaps, 0.05) == "no slower by 5%, perhaps faster"
    assert decide(Ratio(1.08, (0.99, 1.18)), 0.05) == "unclear"
    assert decide(Ratio(1.045, (1.02, 1.07)), 0.05) == "unclear"


def test_single_processes_at_different_times_need_a_larger_change() -> None:
    rng = np.random.default_rng(3)
    old, new = medians(rng, 1, 10), medians(rng, 1, 10, slower=1.06)
    assert decide(ratio(old, new, True), 0.03) == "slower"
    apart = ratio(old, new, False)
    assert apart.unseen and decide(apart, 0.03) == "unclear"
    assert "10%" in reason(apart, 0.03)
    assert decide(apart, 0.09) == "same"
    worse = medians(rng, 1, 10, slower=1.2)
    assert decide(ratio(old, worse, False), 0.03) == "slower"
    assert not ratio(medians(rng, 3, 5), medians(rng, 3, 5), False).unseen


def test_the_reason_of_a_decision() -> None:
    assert reason(Ratio(1.08, (1.05, 1.11)), 0.05) == "beyond the noise, and beyond the threshold of 5%"
    assert reason(Ratio(1.08, (0.99, 1.18)), 0.05) == "the noise is too large to tell"
    assert reason(Ratio(1.045, (1.02, 1.07)), 0.05) == "a change, but not surely one beyond 5%"


def test_a_clock_that_sees_nothing_is_no_error() -> None:
    assert decide(ratio([[0.0] * 5], [[0.0] * 5], True), 0.03) == "same"
