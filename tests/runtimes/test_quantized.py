"""The verdict on a quantised file, on figures: what is asked of which type, and when samples are too few or made up."""

from __future__ import annotations

import pytest

from runtimes.classes import Classes
from runtimes.quantized import Limits, by_classes, by_ratio
from runtimes.rows import VerifyRow

ROW = VerifyRow("keras", "tflite", "litert", "cpu", "xnnpack", "mismatch", "far beyond rounding")


@pytest.mark.parametrize(
    ("quantized", "ratio", "limits", "outcome"),
    [
        ("int8", 25.0, Limits(), "passed"),
        ("int8, uint8", 15.0, Limits(), "mismatch"),
        ("float16", 25.0, Limits(), "mismatch"),
        ("float16", 63.0, Limits(), "passed"),
        ("float16, in the reference", 25.0, Limits(), "mismatch"),
        ("float16", 25.0, Limits(min_sqnr_db=20), "passed"),
        ("int8", 25.0, Limits(min_sqnr_db=30), "mismatch"),
    ],
)
def test_the_ratio_that_is_asked_for(quantized: str, ratio: float, limits: Limits, outcome: str) -> None:
    found = by_ratio(ROW, ratio, quantized, limits)
    assert found.outcome == outcome
    assert f"SQNR {ratio} dB" in found.reason
    assert "rounding" not in found.reason


@pytest.mark.parametrize(("ratio", "outcome"), [(25.0, "passed"), (15.0, "inconclusive"), (2.0, "mismatch")])
def test_generated_inputs_fail_only_what_is_another_model(ratio: float, outcome: str) -> None:
    assert by_ratio(ROW, ratio, "int8", Limits(), is_generated=True).outcome == outcome


@pytest.mark.parametrize(
    ("same", "n", "outcome"),
    [(400, 400, "passed"), (97, 97, "inconclusive"), (300, 400, "mismatch"), (0, 1, "mismatch")],
)
def test_classes_decide_when_there_are_enough(same: int, n: int, outcome: str) -> None:
    found = by_classes(ROW, Classes(n, same), 10.0, "int8", Limits())
    assert found.outcome == outcome
    assert (found.needed_n is not None) == (outcome == "inconclusive")
    assert f"{same} of {n} samples" in found.reason
