"""Faults of the outputs, planted in a small network's float32 answers and found by name; others are not named."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from runtimes.bundle import Kind, ModelSpec, TensorSpec
from runtimes.reference import Reference
from runtimes.rows import VerifyRow
from runtimes.verdict.hypotheses import on_outputs, on_runs
from runtimes.verdict.parity import noise_floor
from runtimes.verdict.verdicts import AGAIN, AT_ONCE, judged

Answers = dict[str, np.ndarray]
COUNT, CLASSES = 40, 12
LABELS = ("zebra", "cat", "ant", "emu", "fox", "gnu", "dog", "ibex", "jay", "kiwi", "lynx", "hen")
RNG = np.random.default_rng(11)
X = RNG.normal(size=(COUNT, 30)).astype("float32")
W = [
    RNG.normal(size=(30, 50)).astype("float32") / 5,
    RNG.normal(size=(50, CLASSES)).astype("float32") / 3,
    RNG.normal(size=(50, CLASSES)).astype("float32") / 2,
]


def logits(dtype: str, head: int = 1, weights: list[np.ndarray] = W) -> np.ndarray:
    """What the network gives; float32 sums in another order than NumPy would, as a runtime does."""
    hidden = np.maximum(sum((X[:, [k]] * weights[0][k]).astype(dtype) for k in reversed(range(30))), 0)
    return hidden @ weights[head].astype(dtype)


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return (e / e.sum(axis=1, keepdims=True)).astype(z.dtype)


def sigmoid(z: np.ndarray) -> np.ndarray:
    return (1 / (1 + np.exp(-z))).astype(z.dtype)


def log_softmax(z: np.ndarray) -> np.ndarray:
    z = z - z.max(axis=1, keepdims=True)
    return (z - np.log(np.exp(z).sum(axis=1, keepdims=True))).astype(z.dtype)


def unit(z: np.ndarray) -> np.ndarray:
    return (z / np.linalg.norm(z, axis=1, keepdims=True)).astype(z.dtype)


def image(z: np.ndarray) -> np.ndarray:
    """The scores as a picture of three channels, rows of two, columns of two."""
    return z.reshape(COUNT, 3, 2, 2)


def reference(
    layout: str, **outputs: tuple[Callable[[str], np.ndarray], Kind]
) -> tuple[Reference, ModelSpec]:
    """The reference of a source with these outputs, each a function of the precision."""
    y64 = {name: compute("float64") for name, (compute, _) in outputs.items()}
    real = np.ones(COUNT, bool)
    noise = {
        name: noise_floor([compute("float32")], y64[name], kind, real)
        for name, (compute, kind) in outputs.items()
    }
    empty = {name: value[:0] for name, value in y64.items()}
    specs = tuple(
        TensorSpec(name, "float32", (None, *y64[name].shape[1:]), layout, kind)
        for name, (_, kind) in outputs.items()
    )
    model = ModelSpec("net", (TensorSpec("x", "float32", (None, 30), "NC"),), specs, LABELS)
    roles = np.full(COUNT, "real")
    nothing = np.zeros(0, np.int64)
    return Reference({"x": X}, roles, y64, noise, {"x": X[:0]}, nothing, empty, ("float32",), "", ()), model


def named(y: np.ndarray, source: Callable[[str], np.ndarray], kind: Kind, layout: str = "NC") -> list[str]:
    """``name: detail`` of each cause of one output."""
    given, model = reference(layout, out=(source, kind))
    return [f"{cause.name}: {cause.detail}" for cause in on_outputs({"out": y}, given, model)]


Z = logits("float32")
PROBABILITIES = lambda dtype: softmax(logits(dtype))  # noqa: E731
SIGMOIDS = lambda dtype: sigmoid(logits(dtype))  # noqa: E731
TEXT_ORDER = [int(text) for text in sorted(map(str, range(CLASSES)))]
PLANTED: list[tuple[str, np.ndarray, Callable[[str], np.ndarray], Kind, str]] = [
    ("softmax missing: ", Z, PROBABILITIES, "probabilities", "NC"),
    ("softmax doubled: ", softmax(softmax(Z)), PROBABILITIES, "probabilities", "NC"),
    ("softmax added: ", softmax(Z), logits, "logits", "NC"),
    ("log-softmax added: ", log_softmax(Z), logits, "logits", "NC"),
    ("log-softmax added: ", log_softmax(Z), PROBABILITIES, "probabilities", "NC"),
    ("log-softmax missing: ", Z, lambda dtype: log_softmax(logits(dtype)), "logits", "NC"),
    ("sigmoid missing: ", Z, SIGMOIDS, "tensor", "NC"),
    ("sigmoid doubled: ", sigmoid(sigmoid(Z)), SIGMOIDS, "tensor", "NC"),
    ("sigmoid added: ", sigmoid(Z), logits, "logits", "NC"),
    ("tanh missing: ", Z, lambda dtype: np.tanh(logits(dtype)), "tensor", "NC"),
    ("L2 normalisation missing: ", Z, lambda dtype: unit(logits(dtype)), "tensor", "NC"),
    ("outputs scaled: the output is the source's times 0.5", Z / 2, logits, "logits", "NC"),
    ("outputs scaled: the output is the source's times 255, plus 128", Z * 255 + 128, logits, "tensor", "NC"),
    (
        "labels permuted: classes 3 (emu) and 7 (ibex) are swapped",
        Z[:, [0, 1, 2, 7, 4, 5, 6, 3, 8, 9, 10, 11]],
        logits,
        "logits",
        "NC",
    ),
    ("labels permuted: the classes are in reverse order", softmax(Z)[:, ::-1], PROBABILITIES, "probabilities", "NC"),
    ("labels permuted: every class is moved by 1 place", np.roll(Z, 1, axis=1), logits, "logits", "NC"),
    ("labels permuted: the class numbers are sorted as text (0, 1, 10, 11", Z[:, TEXT_ORDER], logits, "logits", "NC"),
    ("labels permuted: the labels are sorted alphabetically (ant", Z[:, np.argsort(LABELS)], logits, "logits", "NC"),
    ("samples out of order: sample 0", np.roll(Z, 1, axis=0), logits, "logits", "NC"),
    ("samples repeated: sample 1", np.repeat(Z[:1], COUNT, axis=0), logits, "logits", "NC"),
    (
        "height and width transposed: in the output",
        image(Z).swapaxes(2, 3),
        lambda dtype: image(logits(dtype)),
        "tensor",
        "NCHW",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("cause", "y", "source", "kind", "layout"), PLANTED, ids=[case[0] for case in PLANTED]
)
def test_a_planted_fault_is_the_first_that_is_named(
    cause: str, y: np.ndarray, source: Callable[[str], np.ndarray], kind: Kind, layout: str
) -> None:
    found = named(y, source, kind, layout)
    assert found
    assert found[0].startswith(cause)


@pytest.mark.parametrize(
    ("source", "kind"), [(logits, "logits"), (PROBABILITIES, "probabilities"), (SIGMOIDS, "tensor")]
)
def test_a_clean_output_and_one_changed_weight_name_nothing(
    source: Callable[[str], np.ndarray], kind: Kind
) -> None:
    function = {logits: lambda z: z, PROBABILITIES: softmax, SIGMOIDS: sigmoid}[source]
    assert named(source("float32"), source, kind) == []
    changed = W[0].copy()
    changed[4, 9] += 0.1
    assert named(function(logits("float32", weights=[changed, *W[1:]])), source, kind) == []


@pytest.mark.parametrize("scale", [0.0, 1e-6])
def test_an_output_that_hardly_depends_on_the_source_is_not_called_scaled(scale: float) -> None:
    assert named((scale * Z + 0.3).astype("float32"), logits, "tensor") == []


def test_swapped_outputs_are_named_and_one_of_two_that_fails_is_explained() -> None:
    def second(dtype: str) -> np.ndarray:
        return logits(dtype, head=2)

    given, model = reference("NC", scores=(logits, "logits"), features=(second, "tensor"))
    y = {"scores": Z, "features": second("float32")}
    assert on_outputs(y, given, model) == []
    (cause,) = on_outputs({"scores": y["features"], "features": y["scores"]}, given, model)
    assert (cause.name, cause.detail) == ("outputs swapped", "features holds scores, scores holds features")
    (cause,) = on_outputs({**y, "features": y["features"][:, ::-1]}, given, model)
    assert cause.detail == "features: the classes are in reverse order"
    assert on_outputs({"scores": Z + 1e-3 * Z**2, "features": y["features"][:, ::-1]}, given, model) == []


def test_two_runs_that_differ_are_random_and_two_that_round_otherwise_are_not() -> None:
    given, model = reference("NC", out=(logits, "logits"))
    drawn = [np.where(RNG.random(Z.shape) < 0.1, 0, Z) for _ in range(2)]
    (cause,) = on_runs({"out": drawn[0]}, {"out": drawn[1]}, given, model)
    assert cause.name == "dropout active"
    assert on_runs({"out": Z}, {"out": logits("float64").astype("float32")}, given, model) == []


def test_nan_and_another_shape_are_no_hypothesis() -> None:
    broken = Z.copy()
    broken[3, 4] = np.nan
    assert named(broken, logits, "logits") == []
    assert named(Z[:, :5], logits, "logits") == []


def test_the_reason_of_a_mismatch_names_what_the_outputs_betray() -> None:
    given, model = reference("NC", out=(logits, "logits"))
    row = VerifyRow("torch", "onnx", "onnxruntime", "cpu", "cpu", "failed")
    swapped = {"out": Z[:, ::-1]}
    found, _ = judged(row, {AT_ONCE: swapped, AGAIN: swapped}, None, given, model)
    assert found.outcome == "mismatch"
    assert found.reason.endswith("; labels permuted: the classes are in reverse order")
    dropped = {how: {"out": np.where(RNG.random(Z.shape) < 0.5, 0, 2 * Z)} for how in (AT_ONCE, AGAIN)}
    found, _ = judged(row, dropped, None, given, model)
    assert "; dropout active: two runs" in found.reason
