"""Faults that the outputs alone betray: under which change of them does an artifact agree with its source again? Pure.

A hypothesis restores parity when ``parity.judge`` passes with it. Where it is undone on the artifact's outputs, they
are judged as ever. Where it cannot be undone without loss (a softmax too many), it is done to y64 instead, and the
noise goes through it by its Lipschitz constant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np

from runtimes.base import Array
from runtimes.bundle import Kind, ModelSpec, TensorSpec
from runtimes.explanation import Cause
from runtimes.reference import Reference
from runtimes.verdict.parity import EPS32, NOISY, SMALLEST_P, Judgement, judge, noise_floor
from runtimes.verdict.permutations import MOST_PAIRS, assignment, in_words, nearest
from runtimes.verdict.turned import turned

# The most numbers in an output for which every hypothesis is tried.
MOST_NUMBERS = 50_000_000
FEWEST_OUTPUTS = 2
MOST_SWAPPED = 5
UNIT_LENGTH = 1e-6


@dataclass(frozen=True)
class Hypothesis:
    """Outputs and reference that agree if it is true."""

    name: str
    detail: str
    y: Array
    y64: Array
    noise: Array
    kind: Kind

    @property
    def judgement(self) -> Judgement:
        """What the noise rule says of it."""
        return judge(self.y, self.y64, self.noise, self.kind)


def on_outputs(y: Mapping[str, Array], reference: Reference, model: ModelSpec) -> list[Cause]:
    """The faults that explain every output that fails, the simplest first; none where nothing fails.

    ``y`` are the artifact's outputs for all samples of ``reference``, in the source's names and layouts.
    """
    causes = []
    failing = [spec for spec in model.outputs if not _as_it_is(y, reference, spec).judgement.passed]
    for spec in failing:
        found = [
            Cause(each.name, "outputs", _of(spec, model, each.detail), each.judgement.max_ratio)
            for each in _hypotheses(_as_it_is(y, reference, spec), spec, model, reference.roles != "sentinel")
            if each.judgement.passed
        ]
        if not found:
            break
        causes += found
    else:
        return causes
    return _swapped(y, reference, model)


def on_runs(
    first: Mapping[str, Array], second: Mapping[str, Array], reference: Reference, model: ModelSpec
) -> list[Cause]:
    """Whether two runs of the same samples, batched alike, differ by more than their rounding can."""
    for spec in model.outputs:
        one = _as_it_is(first, reference, spec)
        if one.y.shape != one.y64.shape or not np.isfinite(one.y).all():
            continue
        found = judge(second[spec.name], one.y.astype(np.float64), one.noise, spec.kind)
        if not found.passed:
            detail = f"two runs on the same samples differ by {found.max_ratio:.3g} times the noise: the file draws at random"
            return [Cause("dropout active", "outputs", _of(spec, model, detail), found.max_ratio)]
    return []


def all_passed(y: Mapping[str, Array], reference: Reference, model: ModelSpec) -> Judgement:
    """The verdict on all outputs: that of the worst."""
    found = [_as_it_is(y, reference, spec).judgement for spec in model.outputs]
    return max(found, key=lambda each: (not each.passed, each.max_ratio))


def _as_it_is(y: Mapping[str, Array], reference: Reference, spec: TensorSpec) -> Hypothesis:
    name = spec.name
    return Hypothesis("", "", y[name], reference.y64[name], reference.noise[name], spec.kind)


def _of(spec: TensorSpec, model: ModelSpec, detail: str) -> str:
    return detail if len(model.outputs) == 1 else f"{spec.name}: {detail}"


def _hypotheses(given: Hypothesis, spec: TensorSpec, model: ModelSpec, real: Array) -> Iterator[Hypothesis]:
    """Everything that is tried on one output."""
    if given.y.dtype.kind != "f" or given.y.size > MOST_NUMBERS or given.y.ndim < 1:
        return

    def undone(name: str, detail: str, y: Array) -> Hypothesis:
        return Hypothesis(name, detail, y, given.y64, given.noise, given.kind)

    def done(name: str, detail: str, y64: Array, kind: Kind, steepness: float) -> Hypothesis:
        floor = noise_floor([], y64, kind, real)
        return Hypothesis(name, detail, given.y, y64, np.maximum(floor, steepness * given.noise), kind)

    if given.y.shape == given.y64.shape and given.y.ndim > 1:
        with np.errstate(all="ignore"):
            yield from _normalised(given, _class_axis(spec, given.y.ndim), undone, done)
            yield from _squashed(given, undone, done)
        yield from _permuted(given, spec, model, undone)
        yield from _rows(given)
        yield from _rescaled(given, undone)
    for name, detail, y in turned(given.y, spec.layout):
        yield undone(name, f"in the output, {detail}", y)


Undone = Callable[[str, str, Array], Hypothesis]
Done = Callable[[str, str, Array, Kind, float], Hypothesis]


def _normalised(given: Hypothesis, axis: int, undone: Undone, done: Done) -> Iterator[Hypothesis]:
    """Softmax, log-softmax and unit length, over the classes."""
    y, y64 = given.y.astype(np.float64), given.y64
    classes = y.shape[axis]
    if classes < FEWEST_OUTPUTS:
        return
    # One logit's error moves every log p by as much: through log-softmax an L2 error grows twofold as a rule.
    steepness = 2.0
    if given.kind == "probabilities":
        yield undone("log-softmax added", "the output is log p: it agrees after exp", np.exp(y))
        yield undone("softmax missing", "the output is logits: it agrees after a softmax", softmax(y, axis))
        detail = "the output agrees with a softmax of the source's probabilities"
        yield done("softmax doubled", detail, softmax(y64, axis), "probabilities", steepness)
    else:
        logarithms = log_softmax(y64, axis)
        if np.allclose(logarithms, y64, rtol=0, atol=1e-9):
            detail = "the output is scores: it agrees after a log-softmax"
            yield undone("log-softmax missing", detail, log_softmax(y, axis))
        else:
            detail = "the output is log p, the source gives logits"
            yield done("log-softmax added", detail, logarithms, "tensor", steepness)
        detail = "the output is probabilities, the source gives logits"
        yield done("softmax added", detail, softmax(y64, axis), "probabilities", steepness)
    lengths = np.linalg.norm(y64, axis=axis, keepdims=True)
    if np.allclose(lengths, 1.0, rtol=0, atol=UNIT_LENGTH):
        unit = y / np.linalg.norm(y, axis=axis, keepdims=True)
        yield undone("L2 normalisation missing", "the output agrees once its length is 1", unit)


def _squashed(given: Hypothesis, undone: Undone, done: Done) -> Iterator[Hypothesis]:
    """Sigmoid and tanh, element by element."""
    if given.kind == "probabilities":
        return
    y, y64 = given.y.astype(np.float64), given.y64
    for name, function, low, steepness in (("sigmoid", sigmoid, 0.0, 0.25), ("tanh", np.tanh, -1.0, 1.0)):
        if y64.min() >= low and y64.max() <= 1.0:
            yield undone(f"{name} missing", f"the output agrees after a {name}", function(y))
            detail, word = f"the output agrees with a {name} of the source's", "doubled"
        else:
            detail, word = f"the output has a {name} that the source has not", "added"
        yield done(f"{name} {word}", detail, function(y64), "tensor", steepness)


def _permuted(given: Hypothesis, spec: TensorSpec, model: ModelSpec, undone: Undone) -> Iterator[Hypothesis]:
    """The classes in another order."""
    axis = _class_axis(spec, given.y.ndim)
    count = given.y.shape[axis]
    if not 1 < count**2 <= MOST_PAIRS or not np.isfinite(given.y).all():
        return
    columns, wanted = (np.moveaxis(_scores(array, given.kind), axis, 0) for array in (given.y, given.y64))
    order = assignment(columns.reshape(count, -1), wanted.reshape(count, -1))
    if not np.array_equal(order, np.arange(count)):
        labels = model.labels if spec is model.outputs[0] else ()
        yield undone("labels permuted", in_words(order, labels), np.take(given.y, order, axis=axis))


def _rows(given: Hypothesis) -> Iterator[Hypothesis]:
    """Answers that belong to another sample of the batch."""
    count = len(given.y)
    if not 1 < count**2 <= MOST_PAIRS or not np.isfinite(given.y).all():
        return
    rows, wanted = (_scores(array, given.kind).reshape(count, -1) for array in (given.y, given.y64))
    order = nearest(rows, wanted)
    if np.array_equal(order, np.arange(count)):
        return
    used = len(set(order.tolist()))
    name = "samples out of order" if used == count else "samples repeated"
    first = int(np.flatnonzero(order != np.arange(count))[0])
    detail = f"sample {first} of the batch has the answer of sample {order[first]}; {used} of {count} answers occur"
    yield Hypothesis(name, detail, given.y, given.y64[order], given.noise[order], given.kind)


def _rescaled(given: Hypothesis, undone: Undone) -> Iterator[Hypothesis]:
    """All numbers multiplied by one factor and moved by one offset, as by a missing dequantisation."""
    if given.kind == "probabilities" or not np.isfinite(given.y).all():
        return
    y, y64 = given.y.astype(np.float64), given.y64
    detail = "the output is the source's times "
    square = float((y64 * y64).sum())
    factor = float((y64 * y).sum()) / square if square else 0.0
    if not factor:
        return
    plain = undone("outputs scaled", f"{detail}{factor:.6g}", y / factor)
    x = y64 - y64.mean()
    spread = float((x * x).sum())
    slope = float((x * y).sum()) / spread if spread else 0.0
    if plain.judgement.passed or not slope:
        yield plain
        return
    if EPS32 * np.linalg.norm(y) > NOISY * abs(slope) * np.sqrt(spread):
        return  # what is left of the source beside the offset is hardly more than rounding, which fits anything
    offset = float(y.mean() - slope * y64.mean())
    # What the offset has rounded away is no fault of its own.
    lost = EPS32 * abs(offset / slope) * np.sqrt(y64[0].size)
    moved = undone("outputs scaled", f"{detail}{slope:.6g}, plus {offset:.6g}", (y - offset) / slope)
    yield replace(moved, noise=np.maximum(given.noise, lost))


def _swapped(y: Mapping[str, Array], reference: Reference, model: ModelSpec) -> list[Cause]:
    """The outputs in another order among themselves."""
    names = [spec.name for spec in model.outputs]
    if not 1 < len(names) <= MOST_SWAPPED:
        return []
    for order in permutations(names):
        if list(order) == names:
            continue
        given = {name: y[other] for name, other in zip(names, order, strict=True)}
        found = all_passed(given, reference, model)
        if found.passed:
            detail = ", ".join(
                f"{other} holds {name}" for name, other in zip(names, order, strict=True) if name != other
            )
            return [Cause("outputs swapped", "outputs", detail, found.max_ratio)]
    return []


def _class_axis(spec: TensorSpec, rank: int) -> int:
    return spec.layout.index("C") if "C" in spec.layout and len(spec.layout) == rank else rank - 1


def _scores(y: Array, kind: Kind) -> Array:
    """What distances are taken of: log p for probabilities."""
    scores: Array = np.log(np.maximum(y, SMALLEST_P)) if kind == "probabilities" else y
    return scores.astype(np.float64)


def softmax(z: Array, axis: int) -> Array:
    """exp(z) / sum(exp(z)), in float64."""
    p: Array = np.exp(log_softmax(z, axis))
    return p


def log_softmax(z: Array, axis: int) -> Array:
    """z - log(sum(exp(z))), in float64."""
    moved = z.astype(np.float64) - z.max(axis=axis, keepdims=True)
    logarithms: Array = moved - np.log(np.exp(moved).sum(axis=axis, keepdims=True))
    return logarithms


def sigmoid(z: Array) -> Array:
    """1 / (1 + exp(-z)), in float64."""
    p: Array = 0.5 * (1.0 + np.tanh(0.5 * z.astype(np.float64)))
    return p
