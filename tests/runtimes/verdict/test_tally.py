"""Many samples a part at a time: the figures of the whole, and the samples that are worth a closer look."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from runtimes.bundle import ModelSpec, TensorSpec
from runtimes.reference import Reference
from runtimes.rows import VerifyRow
from runtimes.verdict.classes import Classes, counted
from runtimes.verdict.parity import sqnr_db
from runtimes.verdict.quantized import Limits
from runtimes.verdict.tally import KEPT, Kept, Tally, together

RANDOM = np.random.default_rng(0)
N = 5_000
MODEL = ModelSpec(
    "net", (TensorSpec("x", "float32", (None, 3)),), (TensorSpec("y", "float32", (None, 10), "NC", "logits"),)
)
ROW = VerifyRow("keras", "tflite", "litert", "cpu", "xnnpack", "passed", max_noise_ratio=2.0)


def reference(noise: float = 1e-7) -> Reference:
    y64 = RANDOM.standard_normal((64, 10))
    return Reference(
        {"x": np.zeros((64, 3), np.float32)},
        np.full(64, "real"),
        {"y": y64},
        {"y": noise * np.linalg.norm(y64, axis=1)},
        {"x": np.zeros((0, 3), np.float32)},
        np.empty(0, np.int64),
        {"y": np.zeros((0, 10))},
        (),
        "",
        (),
    )


def tallied(y: np.ndarray, exact: np.ndarray, part: int = 700) -> Tally:
    tally = Tally(MODEL, reference())
    inputs, labels = np.arange(3 * N, dtype=np.float32).reshape(N, 3), np.arange(N) % 11 - 1
    for at in range(0, N, part):
        here = slice(at, at + part)
        tally.add({"y": y[here]}, {"y": exact[here]}, {"x": inputs[here]}, labels[here])
    return tally


def test_the_parts_add_up_to_the_whole() -> None:
    exact = RANDOM.standard_normal((N, 10))
    y = exact + 0.1 * RANDOM.standard_normal((N, 10))
    tally = tallied(y, exact)
    assert tally.classes == counted(y.argmax(1), exact.argmax(1), np.arange(N) % 11 - 1)
    assert tally.sqnr_db == pytest.approx(sqnr_db(y, exact))
    row = tally.onto(ROW, None, "int8", Limits(min_agreement=0.5))
    assert (row.outcome, row.heldout_n, row.sqnr_db) == ("passed", N, tally.sqnr_db)
    assert tally.onto(ROW, None, "int8", Limits(min_agreement=0.99)).outcome == "mismatch"


def test_the_furthest_and_the_closest_are_kept_with_their_inputs() -> None:
    exact = RANDOM.standard_normal((N, 10))
    y = exact + 1e-8 * RANDOM.standard_normal((N, 10))
    far, close = 4321, 1234
    y[far, 3] += 1e-3
    exact[close, :2] = exact[close].max() + np.array([1.0, 1.0 + 1e-9])
    y[close] = exact[close]
    tally = tallied(y, exact)
    np.testing.assert_array_equal(tally.worst.inputs["x"][0], [3 * far, 3 * far + 1, 3 * far + 2])
    assert tally.worst.labels[0] == far % 11 - 1
    assert tally.closest.inputs["x"][0, 0] == 3 * close
    inputs, labels = together([tally.worst, tally.closest, tally.worst])
    assert KEPT < len(labels) <= 2 * KEPT
    few, _ = together([tally.closest, tally.worst], 2)
    assert few["x"][:, 0].tolist() == [3 * close, 3 * far]
    assert len(np.unique(inputs["x"][:, 0])) == len(labels)


def test_samples_that_are_too_far_by_their_own_noise_fail_a_row_that_had_passed() -> None:
    exact = RANDOM.standard_normal((N, 10))
    tally = tallied(exact + 1e-9, exact)
    closely = replace(
        ROW, outcome="mismatch", max_noise_ratio=300.0, max_abs_error=0.5, reason="sample 0 is 300 times away"
    )
    row = tally.onto(replace(ROW, max_abs_error=0.1), closely, "", Limits())
    assert (row.outcome, row.max_noise_ratio, row.max_abs_error) == ("mismatch", 300.0, 0.5)
    assert "5,000 samples" in row.reason
    # The furthest of many have a high median, which is no fault.
    assert tally.onto(ROW, replace(closely, max_noise_ratio=20.0), "", Limits()).outcome == "passed"
    assert tally.onto(replace(ROW, outcome="crashed"), closely, "", Limits()).outcome == "crashed"


def test_a_passed_row_whose_furthest_samples_could_not_be_judged_is_inconclusive() -> None:
    exact = RANDOM.standard_normal((N, 10))
    closely = replace(ROW, outcome="timeout", max_noise_ratio=None, reason="no answer in 300 s")
    row = tallied(exact + 1.0, exact).onto(ROW, closely, "", Limits())
    assert row.outcome == "inconclusive"
    assert "no answer in 300 s" in row.reason


def test_all_samples_mend_no_fault_of_a_quantised_file_and_find_more() -> None:
    exact = RANDOM.standard_normal((N, 10))
    tally = tallied(exact, exact)
    wrong = replace(ROW, outcome="mismatch", reason="b, on one thread: NaN or Inf")
    assert tally.onto(wrong, None, "int8", Limits()).reason == wrong.reason
    assert tally.onto(ROW, None, "int8", Limits()).outcome == "passed"
    few = replace(ROW, outcome="inconclusive", reason="quantised (int8): too few")
    assert tally.onto(few, None, "int8", Limits()).outcome == "passed"
    y = exact.copy()
    y[77, 2] = np.nan
    row = tallied(y, exact).onto(ROW, None, "int8", Limits())
    assert row.outcome == "mismatch"
    assert "not finite" in row.reason


def test_what_is_not_finite_or_of_another_shape_is_infinitely_far() -> None:
    exact = RANDOM.standard_normal((N, 10))
    y = exact.copy()
    y[77, 2] = np.nan
    tally = tallied(y, exact)
    assert np.isinf(tally.worst.scores[0])
    assert tally.worst.inputs["x"][0, 0] == 3 * 77
    assert tally.sqnr_db is None
    assert tallied(y[:, :9], exact).sqnr_db is None


def test_kept_is_the_best_of_all_that_was_offered() -> None:
    kept, scores = Kept(), RANDOM.standard_normal(1000)
    for at in range(0, 1000, 13):
        here = slice(at, at + 13)
        kept.offer(scores[here], {"x": np.arange(1000)[here]}, np.arange(1000)[here])
    best = np.argsort(-scores)[:KEPT]
    np.testing.assert_array_equal(kept.inputs["x"], best)
    np.testing.assert_array_equal(kept.labels, best)
    np.testing.assert_array_equal(kept.scores, scores[best])


def test_counts_without_samples_change_nothing() -> None:
    assert Classes().onto(ROW) == ROW
    one = Classes(n=10, same=9)
    assert (one + one).onto(ROW).top1_agreement == 0.9
    assert (one + one).onto(ROW).accuracy is None
