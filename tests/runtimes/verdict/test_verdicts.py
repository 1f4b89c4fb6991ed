"""Rows of verify from arrays: the figures beside the noise rule."""

from __future__ import annotations

import numpy as np
import pytest

from runtimes.bundle import ModelSpec, TensorSpec
from runtimes.reference import Reference
from runtimes.rows import VerifyRow
from runtimes.verdict.classes import counted
from runtimes.verdict.verdicts import AGAIN, AT_ONCE, UNEVEN, judged, smallest_sqnr_db

ROW = VerifyRow("torch", "tflite", "litert", "cpu", "xnnpack", "mismatch")
RNG = np.random.default_rng(5)


def test_accuracy_is_compared_sample_by_sample() -> None:
    labels = np.zeros(400, int)
    source, own = np.zeros(400, int), np.zeros(400, int)
    source[:40] = 1  # wrong: 360 right
    own[:34] = 1
    own[100:120] = 2  # 6 gained, 20 lost
    own[0] = 3  # wrong in another way: no class in common, and nothing lost
    row = counted(own, source, labels).onto(ROW)
    assert row.heldout_n == 400
    assert row.top1_agreement == 373 / 400
    assert row.top1_interval == pytest.approx((0.903308, 0.955049), abs=1e-6)
    assert (row.source_accuracy, row.accuracy) == (0.9, 346 / 400)
    assert row.accuracy_change == -14 / 400
    assert row.accuracy_change_interval is not None
    low, high = row.accuracy_change_interval
    assert low < -14 / 400 < high < 0
    assert row.mcnemar_p == pytest.approx(0.009355, abs=1e-6)


@pytest.mark.parametrize(
    ("margin", "outcome", "said"),
    [
        (1e-8, "passed", "1 of 40 held-out samples changed to a class as likely, up to rounding"),
        (1e-3, "mismatch", "1 held-out samples changed their class beyond rounding, first sample 7"),
    ],
)
def test_a_changed_class_is_a_tie_or_a_defect(margin: float, outcome: str, said: str) -> None:
    y64 = RNG.normal(size=(40, 3))
    y64[7] = (1.0, 1.0 - margin, -1.0)
    answers = y64.copy()
    answers[7, 1] = 1.0 + 1e-8
    reference = Reference(
        {},
        np.full(40, "real"),
        {"y": y64},
        {"y": np.full(40, 1e-8)},
        {},
        np.full(40, -1),
        {"y": y64},
        (),
        "",
        (),
    )
    model = ModelSpec("m", (), (TensorSpec("y", "float32", (None, 3), "NC", "logits"),))
    runs = {how: {"y": y64} for how in (AT_ONCE, UNEVEN, AGAIN)}
    row, top1 = judged(ROW, runs, {"y": answers}, reference, model)
    assert top1 is not None
    assert (row.outcome, row.reason) == (outcome, said)
    assert row.top1_agreement == 39 / 40


def test_samples_without_a_label_count_for_the_agreement_alone() -> None:
    own, source = np.array([0, 1, 1, 0]), np.array([0, 1, 0, 0])
    row = counted(own, source, np.array([0, -1, -1, 1])).onto(ROW)
    assert (row.top1_agreement, row.heldout_n) == (0.75, 4)
    assert (row.accuracy, row.source_accuracy, row.accuracy_change) == (0.5, 0.5, 0.0)
    assert counted(own, source, np.full(4, -1)).onto(ROW).mcnemar_p is None


def test_the_sqnr_is_of_the_worst_output_and_of_no_sentinel() -> None:
    outputs = tuple(TensorSpec(name, "float32", (None, 8)) for name in ("large", "small"))
    y64 = {"large": 1e3 * RNG.normal(size=(20, 8)), "small": RNG.normal(size=(20, 8))}
    roles = np.array(["real"] * 18 + ["sentinel"] * 2)
    noise = {name: np.ones(20) for name in y64}
    reference = Reference({}, roles, y64, noise, {}, np.zeros(0, int), {}, (), "", ())
    run = {"large": y64["large"] * (1 + 1e-4), "small": y64["small"] * 1.1}
    run["large"][18:] = np.nan
    model = ModelSpec("m", (), outputs)
    assert smallest_sqnr_db(run, reference, model) == pytest.approx(20)
    run["small"][3, 3] = np.inf
    assert smallest_sqnr_db(run, reference, model) is None
    assert smallest_sqnr_db({**run, "small": run["small"][:, :5]}, reference, model) is None
