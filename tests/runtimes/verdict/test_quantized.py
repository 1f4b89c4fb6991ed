"""The verdict on a quantised file, on figures: what is asked of which type, and when samples are too few or made up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from runtimes.bundle import ModelSpec, TensorSpec
from runtimes.reference import Reference
from runtimes.rows import VerifyRow
from runtimes.verdict.classes import Classes
from runtimes.verdict.quantized import Limits, by_classes, by_ratio, tolerated, worse
from runtimes.verdict.verdicts import AGAIN, AT_ONCE, ONE_THREAD, UNEVEN

ROW = VerifyRow("keras", "tflite", "litert", "cpu", "xnnpack", "mismatch", "far beyond rounding")


@pytest.mark.parametrize(
    ("quantized", "ratio", "limits", "outcome"),
    [
        ("int8", 25.0, Limits(), "passed"),
        ("int8, uint8", 15.0, Limits(), "mismatch"),
        ("float16", 25.0, Limits(), "mismatch"),
        ("float16", 63.0, Limits(), "passed"),
        ("float16, in the reference", 25.0, Limits(), "mismatch"),
        ("float16, int8", 25.0, Limits(), "passed"),
        ("float16, int8, in the reference", 25.0, Limits(), "passed"),
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


RANDOM = np.random.default_rng(0)
C64, B64 = RANDOM.standard_normal((80, 10)), RANDOM.standard_normal((80, 4))
HELD64 = RANDOM.standard_normal((400, 10))
DETECTOR = ModelSpec(
    "detector",
    (TensorSpec("x", "float32", (None, 3)),),
    (
        TensorSpec("c", "float32", (None, 10), "NC", "logits"),
        TensorSpec("b", "float32", (None, 4)),
        TensorSpec("index", "int64", (None,)),
    ),
)
REFERENCE = Reference(
    {"x": np.zeros((80, 3), np.float32)},
    np.full(80, "real"),
    {"c": C64, "b": B64, "index": C64.argmax(1)},
    {name: np.full(80, 1e-7) for name in ("c", "b", "index")},
    {"x": np.zeros((400, 3), np.float32)},
    np.full(400, -1),
    {"c": HELD64},
    (),
    "",
    (),
)


def right() -> dict[str, dict[str, np.ndarray]]:
    """Each run of a file whose noise is 26 dB below its signal, in another class where that is all it takes."""

    def one() -> dict[str, np.ndarray]:
        c = C64 + 0.05 * RANDOM.standard_normal(C64.shape)
        return {"c": c, "b": B64 + 0.05 * RANDOM.standard_normal(B64.shape), "index": c.argmax(1)}

    return {how: one() for how in (AT_ONCE, UNEVEN, AGAIN, ONE_THREAD)}


def zeros(run: dict[str, np.ndarray]) -> None:
    run["b"][:] = 0


def garbage(run: dict[str, np.ndarray]) -> None:
    run["c"][:] = RANDOM.standard_normal(C64.shape)


def one_sample(run: dict[str, np.ndarray]) -> None:
    run["c"][7] = -3 * C64[7]


def verdict(runs: dict[str, dict[str, np.ndarray]], top1: np.ndarray | None) -> VerifyRow:
    return tolerated(ROW, runs, top1, REFERENCE, DETECTOR, "int8", Limits())


@pytest.mark.parametrize(
    ("spoil", "how", "said"),
    [
        (zeros, (AT_ONCE, UNEVEN, AGAIN, ONE_THREAD), "b, quantised"),
        (zeros, (ONE_THREAD,), "b, quantised"),
        (garbage, (UNEVEN,), UNEVEN),
        (garbage, (ONE_THREAD,), ONE_THREAD),
        (one_sample, (AGAIN,), AGAIN),
    ],
)
def test_classes_at_batch_32_do_not_excuse_other_outputs_and_other_runs(
    spoil: Callable[[dict[str, np.ndarray]], None], how: tuple[str, ...], said: str
) -> None:
    runs = right()
    assert verdict(runs, HELD64.argmax(1)).outcome == "passed"
    for name in how:
        spoil(runs[name])
    found = verdict(runs, HELD64.argmax(1))
    assert found.outcome == "mismatch"
    assert said in found.reason


def test_a_classifier_that_gave_no_classes_for_the_real_samples_stays_a_mismatch() -> None:
    found = verdict(right(), None)
    assert (found.outcome, found.reason) == (ROW.outcome, ROW.reason)


def test_more_samples_decide_what_few_could_not_and_mend_no_fault() -> None:
    passed = replace(ROW, outcome="passed", reason="quantised (int8): all of them")
    few = by_classes(ROW, Classes(97, 97), 30.0, "int8", Limits())
    assert worse(few, passed) == passed
    assert worse(passed, few) == few
    assert worse(ROW, passed) == ROW
    refused = replace(ROW, outcome="inconclusive", reason="the reference is not finite")
    assert worse(refused, passed) == refused
