"""The verdict rule, on arrays with known faults."""

from __future__ import annotations

import numpy as np
import pytest

from runtimes.verdict import parity

RNG = np.random.default_rng(3)


def model(x: np.ndarray, w: np.ndarray, dtype: str) -> np.ndarray:
    hidden = np.maximum(x.astype(dtype) @ w[0].astype(dtype), 0)
    return hidden @ w[1].astype(dtype)


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


@pytest.fixture
def case() -> dict[str, np.ndarray]:
    weights = [RNG.normal(size=(64, 128)) / 8, RNG.normal(size=(128, 10)) / 8]
    x = RNG.normal(size=(80, 64)).astype("float32")
    y64 = model(x, [w.astype("float32") for w in weights], "float64")
    y32 = model(x, weights, "float32")
    reordered = model(x[:, ::-1], [weights[0][::-1], weights[1]], "float32")
    return {"x": x, "y64": y64, "y32": y32, "other": reordered, "w0": weights[0], "w1": weights[1]}


def noise(case: dict[str, np.ndarray], kind: str = "logits") -> np.ndarray:
    return parity.noise_floor([case["y32"]], case["y64"], kind, np.ones(80, bool))


def test_another_order_of_summation_passes(case: dict[str, np.ndarray]) -> None:
    found = parity.judge(case["other"], case["y64"], noise(case), "logits")
    assert found.passed, found.reason
    assert 0 < found.max_ratio < parity.MAX_RATIO


@pytest.mark.parametrize("scale", [1e-15, 1.0, 1e6])
def test_the_rule_does_not_know_the_scale_of_the_outputs(case: dict[str, np.ndarray], scale: float) -> None:
    y64, y32, other = (case[name] * scale for name in ("y64", "y32", "other"))
    floor = parity.noise_floor([y32], y64, "logits", np.ones(80, bool))
    assert parity.judge(other, y64, floor, "logits").passed
    wrong = other.copy()
    wrong[:, 0] += 1e-3 * scale
    assert not parity.judge(wrong, y64, floor, "logits").passed


def test_one_output_that_agrees_with_float64_by_luck_is_no_floor() -> None:
    y64 = RNG.uniform(1, 2, size=(80, 1))
    y32, other = (y64 * (1 + 1e-6 * RNG.normal(size=y64.shape)) for _ in range(2))
    y32[::10] = y64[::10]
    floor = parity.noise_floor([y32], y64, "tensor", np.ones(80, bool))
    assert parity.judge(other, y64, floor, "tensor").passed
    assert not parity.judge(other * (1 + 1e-4), y64, floor, "tensor").passed


def test_one_weight_off_by_a_thousandth_is_found(case: dict[str, np.ndarray]) -> None:
    changed = case["w0"].copy()
    changed[5, 7] += 1e-3
    y = model(case["x"], [changed, case["w1"]], "float32")
    found = parity.judge(y, case["y64"], noise(case), "logits")
    assert not found.passed
    assert "times the source's rounding noise" in found.reason


def test_fp16_weights_are_found(case: dict[str, np.ndarray]) -> None:
    weights = [case[name].astype("float16") for name in ("w0", "w1")]
    assert not parity.judge(model(case["x"], weights, "float32"), case["y64"], noise(case), "logits").passed


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_one_element_that_is_not_finite_fails(case: dict[str, np.ndarray], bad: float) -> None:
    y = case["y32"].copy()
    y[17, 3] = bad
    found = parity.judge(y, case["y64"], noise(case), "logits")
    assert not found.passed
    assert "NaN or Inf in 1 of 80" in found.reason
    assert found.worst_sample == 17


def test_a_fault_in_one_sample_is_not_hidden_by_an_extreme_one(case: dict[str, np.ndarray]) -> None:
    y64, y32 = case["y64"].copy(), case["y32"].copy()
    y64[0] *= 1e9
    y32[0] *= 1e9
    real = np.arange(80) > 0
    floor = parity.noise_floor([y32], y64, "logits", real)
    wrong = y32.copy()
    wrong[40, 2] += 1e-2
    found = parity.judge(wrong, y64, floor, "logits")
    assert not found.passed
    assert found.worst_sample == 40


def test_another_shape_fails(case: dict[str, np.ndarray]) -> None:
    found = parity.judge(case["y32"][:, :9], case["y64"], noise(case), "logits")
    assert "shape (80, 9)" in found.reason


def test_probabilities_are_compared_as_logarithms(case: dict[str, np.ndarray]) -> None:
    p64, p32 = softmax(case["y64"]), softmax(case["y32"]).astype("float32")
    floor = parity.noise_floor([p32], p64, "probabilities", np.ones(80, bool))
    assert parity.judge(softmax(case["other"]).astype("float32"), p64, floor, "probabilities").passed
    wrong = p32.copy()
    smallest = np.unravel_index(np.argmin(wrong), wrong.shape)
    wrong[smallest] *= 1.01  # an absolute tolerance would never see this
    assert not parity.judge(wrong, p64, floor, "probabilities").passed


def test_a_class_that_is_impossible_must_stay_so() -> None:
    p64 = np.array([[1.0, 1e-40], [1.0, 1e-40]])
    p32 = p64.astype("float32")
    floor = parity.noise_floor([p32], p64, "probabilities", np.ones(2, bool))
    assert parity.judge(np.array([[1.0, 0.0], [1.0, 1e-39]]), p64, floor, "probabilities").passed
    assert not parity.judge(np.array([[1.0, 1e-12], [1.0, 0.0]]), p64, floor, "probabilities").passed


def test_a_reference_that_was_computed_in_float32_is_refused(case: dict[str, np.ndarray]) -> None:
    fake = case["y32"].astype("float32").astype("float64")
    floor = parity.noise_floor([case["y32"].astype("float32")], fake, "logits", np.ones(80, bool))
    reason = parity.refuse_reference(fake, floor, "logits")
    assert "bit for bit" in reason
    assert "float32" in parity.refuse_reference(case["y32"].astype("float32"), floor, "logits")
    assert parity.refuse_reference(case["y64"], noise(case), "logits") == ""


def test_a_source_noisier_than_a_thousandth_is_refused(case: dict[str, np.ndarray]) -> None:
    wild = case["y64"] * (1 + 0.01 * RNG.normal(size=case["y64"].shape))
    floor = parity.noise_floor([wild], case["y64"], "logits", np.ones(80, bool))
    assert "0.1 %" in parity.refuse_reference(case["y64"], floor, "logits")


def test_a_changed_class_is_a_defect_only_beyond_the_margin() -> None:
    y64 = np.array([[1.0, 0.5], [1.0, 1.0 - 1e-9]])
    floor = np.array([1e-8, 1e-8])
    assert parity.defects(np.array([1, 1]), y64, floor, "logits").tolist() == [0]
    assert parity.defects(np.array([0, 0]), y64, floor, "logits").tolist() == []


def test_samples_without_float32_runs_have_the_largest_noise_for_their_size(
    case: dict[str, np.ndarray],
) -> None:
    y64, floor = case["y64"], noise(case)
    assert (parity.noise_elsewhere(floor, y64, y64, "logits") >= floor * (1 - 1e-12)).all()
    tenfold = parity.noise_elsewhere(floor, y64, 10 * y64, "logits")
    assert tenfold == pytest.approx(10 * parity.noise_elsewhere(floor, y64, y64, "logits"))
    flips = np.argsort(y64, axis=1)[:, -2]  # every class changed, to the runner-up
    assert len(parity.defects(flips, y64, parity.noise_elsewhere(floor, y64, y64, "logits"), "logits")) == 80
    probabilities = softmax(y64)
    floor = parity.noise_floor([softmax(case["y32"])], probabilities, "probabilities", np.ones(80, bool))
    found = parity.noise_elsewhere(floor, probabilities, probabilities, "probabilities")
    assert (found >= floor * (1 - 1e-12)).all()


def test_pairwise_agreement_is_a_share() -> None:
    names, square = parity.pairwise_top1({"a": np.array([1, 2, 3, 4]), "b": np.array([1, 2, 3, 0])})
    assert names == ("a", "b")
    assert square == ((1.0, 0.75), (0.75, 1.0))


def test_one_score_a_sample_has_no_margin_to_lose() -> None:
    assert parity.margins(np.ones((3, 1))).tolist() == [np.inf] * 3
    assert parity.defects(np.zeros(3, int), np.ones((3, 1)), np.full(3, 1e-8), "logits").tolist() == []


def test_a_saturated_softmax_is_seen_as_one() -> None:
    y64 = np.array([[1.0, 1e-31, 0.0], [1 - 1e-20, 1e-20, 1e-40], [0.3, 0.3, 0.4]])
    assert parity.saturated(y64, "probabilities").tolist() == [True, False, False]
    assert not parity.saturated(y64, "logits").any()


def test_sqnr_is_the_ratio_of_powers_in_decibels(case: dict[str, np.ndarray]) -> None:
    y64 = case["y64"]
    assert parity.sqnr_db(y64 * 1.01, y64) == pytest.approx(40)
    assert parity.sqnr_db(y64 * 1.01e-200, y64 * 1e-200) == pytest.approx(40)
    assert parity.sqnr_db(np.zeros_like(y64), y64) == pytest.approx(0)
    step = 2.0**-6
    quantised = np.round(y64 / step) * step  # noise of step^2 / 12
    assert parity.sqnr_db(quantised, y64) == pytest.approx(
        10 * np.log10(np.mean(y64**2) * 12 / step**2), abs=0.5
    )


def test_sqnr_has_ends(case: dict[str, np.ndarray]) -> None:
    y64, bad = case["y64"], case["y64"].copy()
    bad[3, 3] = np.nan
    zeros = np.zeros((2, 3))
    assert parity.sqnr_db(y64, y64) == parity.sqnr_db(zeros, zeros) == pytest.approx(319.09, abs=0.01)
    assert parity.sqnr_db(bad, y64) == parity.sqnr_db(zeros + 1e-9, zeros) == -np.inf
