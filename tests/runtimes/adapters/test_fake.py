"""The fake runtime takes the times that its file says: what the statistics on times are proven with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtimes.adapters import fake
from runtimes.base import Array, Session, SessionOptions

TENSOR = {"name": "x", "dtype": "float32", "shape": [None, 2]}


def opened(folder: Path, seconds: float, **sleep: Any) -> Session:
    content = {"inputs": [TENSOR], "outputs": [TENSOR], "weights": [[1.0, 0.0], [0.0, 1.0]]}
    path = folder / "model.fake"
    path.write_text(json.dumps({**content, "seconds": seconds, "sleep": sleep}))
    return fake.load(path, "cpu", SessionOptions())


def times(session: Session, seconds: float) -> Array:
    return session.sample([session.bind({"x": np.zeros((1, 2), np.float32)})], seconds, 3, 1_000_000)


def test_spun_times_are_never_short_and_mostly_right(tmp_path: Path) -> None:
    found = times(opened(tmp_path, 200e-6, kind="lognormal", spread=0.1, seed=1), 0.2)
    truth = 200_000 * np.exp(np.random.default_rng(1).normal(0, 0.1, 100_000))
    assert len(found) > 100
    # The fastest tenth is what no other program on this machine has touched.
    assert np.quantile(found, 0.1) == pytest.approx(np.quantile(truth, 0.1), rel=0.05)


def test_simulated_times_fill_the_time_and_have_their_distribution(tmp_path: Path) -> None:
    found = times(opened(tmp_path, 1e-3, kind="lognormal", spread=0.1, seed=2, simulated=True), 20.0)
    assert found.sum() == pytest.approx(20e9, rel=1e-3)
    assert np.median(found) == pytest.approx(1e6, rel=0.01)
    assert np.log(found).std() == pytest.approx(0.1, rel=0.05)


def test_one_run_in_three_is_half_as_long_again(tmp_path: Path) -> None:
    found = times(opened(tmp_path, 1e-3, kind="bimodal", second=0.33, apart=0.5, simulated=True), 10.0)
    assert np.mean(found > 1.25e6) == pytest.approx(0.33, abs=0.03)


def test_a_drift_goes_on_over_the_rounds(tmp_path: Path) -> None:
    session = opened(tmp_path, 1e-3, kind="drift", apart=0.1, simulated=True)
    first, second = times(session, 1.0), times(session, 1.0)
    runs = len(first) + len(second)
    assert second[0] == pytest.approx(1e6 * (1 + 1e-4 * len(first)), rel=1e-3)
    assert second[-1] == pytest.approx(1e6 * (1 + 1e-4 * (runs - 1)), rel=1e-3)


def test_processes_and_rounds_differ_as_much_as_the_file_says(tmp_path: Path) -> None:
    processes = [
        [
            np.median(times(session, 0.01))
            for session in [opened(tmp_path, 1e-3, process=0.1, round=0.01, simulated=True)]
            for _ in range(10)
        ]
        for _ in range(60)
    ]
    logs = np.log(processes)
    assert logs.std(axis=1, ddof=1).mean() == pytest.approx(0.01, rel=0.2)
    assert logs.mean(axis=1).std(ddof=1) == pytest.approx(0.1, rel=0.4)


def test_a_seed_repeats_the_times(tmp_path: Path) -> None:
    same = [opened(tmp_path, 1e-3, kind="lognormal", spread=0.1, seed=7, simulated=True) for _ in range(2)]
    assert (times(same[0], 1.0) == times(same[1], 1.0)).all()
