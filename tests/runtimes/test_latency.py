"""The statistics on times, against times with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from runtimes import latency


def test_percentiles_are_times_that_were_measured() -> None:
    times = np.array([5, 1, 4, 2, 3] * 20) * 1000
    found = latency.summarise([[times]])
    assert (found.n, found.p50_s, found.p90_s) == (100, 3e-6, 5e-6)
    assert found.mean_s == pytest.approx(3e-6)


def test_p90_needs_enough_samples() -> None:
    assert latency.summarise([[np.full(43, 1000)]]).p90_s is None
    assert latency.summarise([[np.full(44, 1000)]]).p90_s == pytest.approx(1e-6)


def test_a_drift_is_flagged() -> None:
    steady = np.random.default_rng(0).normal(1e6, 1e4, 900)
    assert not latency.summarise([[steady]]).flags
    assert latency.summarise([[steady * np.linspace(1, 1.5, 900)]]).flags == ("unsteady",)


def test_warm_up_ends_when_three_windows_agree() -> None:
    slow, fast = np.full(10, 2000), np.full(10, 1000)
    assert not latency.steady([fast, fast])
    assert not latency.steady([slow, fast, fast])
    assert latency.steady([slow, fast, fast, fast * 1.04])
    assert not latency.steady([fast, fast, fast * 1.06])
