"""Inputs moved by one unit in the last place: what a noise is estimated from where nothing has float64."""

from __future__ import annotations

import numpy as np
import pytest

from runtimes.rows import VerifyRow
from runtimes.verdict.estimate import MOVES, moved, not_known

X = np.random.default_rng(0).standard_normal((4, 3, 5)).astype(np.float32)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(("how", "to"), [("up", np.inf), ("down", -np.inf)])
def test_each_number_goes_to_its_neighbour(dtype: type, how: str, to: float) -> None:
    x = X.astype(dtype)
    result = moved(x, how)
    assert result.dtype == dtype
    np.testing.assert_array_equal(result, np.nextafter(x, dtype(to)))


def test_a_coin_decides_each_direction_and_another_one_again() -> None:
    ups, downs = moved(X, "up"), moved(X, "down")
    results = [moved(X, how) for how in MOVES[2:]]
    for result in results:
        assert ((result == ups) | (result == downs)).all()
        assert 0.2 < np.mean(result == ups) < 0.8
    assert not np.array_equal(*results)
    np.testing.assert_array_equal(moved(X, MOVES[2]), results[0])


def test_a_zero_moves_by_what_the_largest_of_its_sample_would() -> None:
    x = np.array([[0.0, 3.0], [0.0, 0.0]], np.float32)
    up = moved(x, "up")
    assert up[0, 0] == np.spacing(np.float32(3.0))
    assert (up[1] < 1e-40).all()


def test_integers_cannot_be_moved() -> None:
    ids = np.arange(12, dtype=np.int64).reshape(3, 4)
    np.testing.assert_array_equal(moved(ids, "up"), ids)


@pytest.mark.parametrize(
    ("dtype", "sqnr_db", "outcome"),
    [
        ("int32", 120.0, "inconclusive"),
        ("int32", 60.0, "mismatch"),
        ("float32", 120.0, "mismatch"),
        ("int32", None, "mismatch"),
    ],
)
def test_a_small_mismatch_is_not_known_where_nothing_moves(
    dtype: str, sqnr_db: float | None, outcome: str
) -> None:
    row = VerifyRow("tflite", "onnx", "onnxruntime", "cpu", "cpu", "mismatch", "far away", sqnr_db=sqnr_db)
    found = not_known(row, {"x": np.zeros((3, 4), dtype)})
    assert found.outcome == outcome
    assert found.reason.startswith("far away")
