"""The statistics on times, against times with known answers."""

from __future__ import annotations

import time

import numpy as np
import pytest

from runtimes.base import Array
from runtimes.measuring import latency


def ns(ms: Array) -> Array:
    return np.rint(ms * 1e6).astype(np.int64)


def bounds(interval: tuple[float, float] | None) -> tuple[float, float]:
    assert interval is not None
    return interval


def test_percentiles_are_times_that_were_measured() -> None:
    times = np.array([5, 1, 4, 2, 3] * 20) * 1000
    found = latency.summarise([[times]])
    assert (found.n, found.p50_s, found.p90_s) == (100, 3e-6, 5e-6)
    assert found.mean_s == pytest.approx(3e-6)


def test_a_figure_is_there_only_from_enough_runs() -> None:
    def figures(n: int) -> tuple[object, ...]:
        found = latency.summarise([[np.full(n, 1000)]])
        return found.p50_interval, found.p90_s, found.p90_bound_s, found.p99_s, found.p999_s

    one = pytest.approx(1e-6)
    assert figures(5) == (None, None, None, None, None)
    assert figures(43) == ((one, one), None, None, None, None)
    assert figures(44) == ((one, one), one, one, None, None)
    assert figures(661) == ((one, one), one, one, None, None)
    assert figures(662) == ((one, one), one, one, one, None)
    assert figures(6636) == ((one, one), one, one, one, one)


def test_every_figure_lies_in_its_interval_and_below_its_bound() -> None:
    rng = np.random.default_rng(0)
    times = [[ns(np.exp(rng.normal(0, 0.2, 700))) for _ in range(10)] for _ in range(3)]
    found = latency.summarise(times)
    assert (found.n, found.flags) == (21_000, ())
    for figure, interval in (
        (found.p50_s, found.p50_interval),
        (found.p90_s, found.p90_interval),
        (found.p99_s, found.p99_interval),
    ):
        assert figure and interval and interval[0] < figure < interval[1]
    assert found.p90_s and found.p90_bound_s and found.p90_s < found.p90_bound_s
    assert np.shape(found.rounds_p50_s) == (3, 10)


@pytest.mark.parametrize(
    "rounds, runs, shift, tail", [(1, 1000, 0, 0), (5, 200, 0, 0), (5, 200, 0.03, 0), (10, 100, 0.05, 0.1)]
)
def test_intervals_cover_for_independent_times_and_for_rounds_that_differ(
    rounds: int, runs: int, shift: float, tail: float
) -> None:
    """Rounds differ by ``shift``, and in how many of their runs, ``tail`` on average, are late."""
    rng = np.random.default_rng(rounds)

    def drawn(rounds: int, runs: int) -> Array:
        late = rng.random((rounds, runs)) < tail * rng.uniform(0.5, 1.5, (rounds, 1))
        times = np.exp(rng.normal(0, 0.05, (rounds, runs))) + late * rng.exponential(0.5, (rounds, runs))
        return np.asarray(times * np.exp(rng.normal(0, shift, (rounds, 1))) * 1e-3)

    truth = np.quantile(drawn(4000, 300), [0.5, 0.9, 0.99])
    inside: list[list[bool]] = []
    for _ in range(repeats := 200):
        found = latency.summarise([[ns(times * 1e3) for times in drawn(rounds, runs)]])
        intervals = (found.p50_interval, found.p90_interval, found.p99_interval)
        inside.append(
            [low <= at <= high for at, (low, high) in zip(truth, map(bounds, intervals), strict=True)]
        )
    # 95 % for the median; the p99 of rounds that differ is known the less, the fewer they are.
    wanted = np.array([0.95, 0.95, 0.93])
    assert (np.mean(inside, axis=0) >= wanted - 3 * np.sqrt(wanted * (1 - wanted) / repeats)).all()


def test_processes_that_differ_widen_the_interval_of_the_median() -> None:
    rng = np.random.default_rng(4)
    times = [[ns(level * np.exp(rng.normal(0, 0.01, 500))) for _ in range(5)] for level in (1.0, 1.1, 1.2)]
    low, high = bounds(latency.summarise(times).p50_interval)
    assert low < 0.98e-3 and high > 1.22e-3
    low, high = bounds(latency.summarise(times[:1]).p50_interval)
    assert high / low < 1.02


def test_two_processes_that_differ_say_no_more_than_what_was_seen() -> None:
    rng = np.random.default_rng(5)
    times = [[ns(level * np.exp(rng.normal(0, 0.01, 500))) for _ in range(5)] for level in (1.0, 2.0)]
    every = np.concatenate([part for process in times for part in process])
    assert bounds(latency.summarise(times).p50_interval) == (every.min() / 1e9, every.max() / 1e9)


def test_flags_come_in_order() -> None:
    rng = np.random.default_rng(0)
    times = ns(np.linspace(1, 1.5, 900) * np.where(rng.random(900) < 0.3, 2, 1))
    assert latency.summarise([[times]], warm=False).flags == ("drift", "bimodal", "unsteady", "not warm")


def test_a_million_times_take_a_fraction_of_a_second() -> None:
    rng = np.random.default_rng(0)
    times = [np.exp(rng.normal(0, 0.1, 100_000)) * 1e5 for _ in range(10)]
    begin = time.process_time()
    latency.summarise([times])
    assert time.process_time() - begin < 1.0  # 0.1 s on a core of its own


def test_warm_up_ends_when_three_windows_agree() -> None:
    slow, fast = np.full(10, 2000), np.full(10, 1000)
    assert not latency.steady([fast, fast])
    assert not latency.steady([slow, fast, fast])
    assert latency.steady([slow, fast, fast, fast * 1.04])
    assert not latency.steady([fast, fast, fast * 1.06])
