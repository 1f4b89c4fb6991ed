"""What an artifact may do to its input once too often or not at all, each undone on the input. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from runtimes.base import Array
from runtimes.bundle import ModelSpec, TensorSpec
from runtimes.explanation import Cause
from runtimes.reference import Reference
from runtimes.verdict.hypotheses import all_passed
from runtimes.verdict.turned import turned

MOST_SWAPPED = 4


@dataclass(frozen=True)
class Change:
    """Inputs under which an artifact agrees with its source if it has the fault of this name."""

    name: str
    detail: str
    inputs: dict[str, Array]


def input_changes(inputs: Mapping[str, Array], model: ModelSpec) -> Iterator[Change]:
    """Every change that keeps the shapes of ``inputs`` (n, ...), which are in the source's layouts. The simplest first."""
    for spec in model.inputs:
        given = inputs[spec.name]
        if given.dtype.kind not in "fiu":
            continue
        of = "" if len(model.inputs) == 1 else f"{spec.name}: "
        for name, detail, changed in _ways(given, spec, model):
            if not np.array_equal(changed, given):
                yield Change(name, of + detail, {**inputs, spec.name: changed.astype(given.dtype)})
    yield from _swapped(inputs, model)


def restored_by(
    change: Change, y: Mapping[str, Array], reference: Reference, model: ModelSpec
) -> Cause | None:
    """The cause, when ``y``, which the artifact gave for the changed inputs, is what the source gives for the real ones.

    That is when every output passes ``parity.judge``.
    """
    judgement = all_passed(y, reference, model)
    return Cause(change.name, "inputs", change.detail, judgement.max_ratio) if judgement.passed else None


def _ways(given: Array, spec: TensorSpec, model: ModelSpec) -> Iterator[tuple[str, str, Array]]:
    yield from turned(given, spec.layout)
    if given.dtype.kind != "f":
        return
    wide = given.astype(np.float64)
    for factor, said in _scales(model):
        yield f"scale {said} missing", f"the input is not multiplied by {said}", wide * factor
        yield f"scale {said} doubled", f"the input is multiplied by {said} once more", wide / factor
    for mean, std, whose in _normalisations(given, spec, model):
        raw = wide * std + mean
        yield "scale 1/255 missing", f"1/255 is missing before {whose}", (raw / 255 - mean) / std
        yield "scale 1/255 doubled", f"1/255 is applied once more before {whose}", (raw * 255 - mean) / std
        # Of values in [0, 1]; of values in [0, 255], ending near 1; of such that stay in [0, 255].
        for m, s in ((mean, std), (mean * 255, std * 255), (mean * 255, std)):
            yield "mean and std missing", f"{whose} are not applied", (wide - m) / s
            yield "mean and std doubled", f"{whose} are applied once more", wide * s + m
    for order, said in ((_CAFFE, "BGR"), (_CAFFE[::-1], "RGB")):
        if "C" in spec.layout and given.shape[spec.layout.index("C")] == len(order):
            means = _along(np.array(order), spec)
            yield "mean and std missing", f"caffe's means for {said} are not taken off", wide - means
            yield "mean and std doubled", f"caffe's means for {said} are taken off once more", wide + means
    yield "colours inverted", "what is black and what is white are exchanged", wide.max() + wide.min() - wide


def _scales(model: ModelSpec) -> Iterator[tuple[float, str]]:
    yield 1 / 255, "1/255"
    for operation in model.preprocessing:
        if operation["op"] == "scale" and abs(operation["factor"] * 255 - 1) > 1e-5:
            yield float(operation["factor"]), f"{operation['factor']:.6g}"


# (mean, std, whose) as networks are trained with, for values in [0, 1]; caffe's are of values in [0, 255].
_KNOWN: tuple[tuple[tuple[float, ...], tuple[float, ...], str], ...] = (
    ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "ImageNet's mean and std"),
    ((0.5,), (0.5,), "mean 0.5 and std 0.5"),
    ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616), "CIFAR-10's mean and std"),
    ((0.1307,), (0.3081,), "MNIST's mean and std"),
    ((0.2860,), (0.3530,), "Fashion-MNIST's mean and std"),
)
_CAFFE = (103.939, 116.779, 123.68)


def _normalisations(given: Array, spec: TensorSpec, model: ModelSpec) -> Iterator[tuple[Array, Array, str]]:
    """The manifest's, then the well-known ones that fit the channels."""
    own = [
        (np.ravel(operation["mean"]), np.ravel(operation["std"]), "the manifest's mean and std")
        for operation in model.preprocessing
        if operation["op"] == "normalize"
    ]
    known = [(np.array(mean), np.array(std), whose) for mean, std, whose in _KNOWN]
    channels = given.shape[spec.layout.index("C")] if "C" in spec.layout else 0
    for mean, std, whose in (*own, *known):
        if max(len(mean), len(std)) in (1, channels):
            yield _along(mean, spec), _along(std, spec), whose


def _along(numbers: Array, spec: TensorSpec) -> Array:
    """One number a channel, shaped to the layout."""
    if len(numbers) == 1:
        return numbers
    return numbers.reshape([-1 if letter == "C" else 1 for letter in spec.layout])


def _swapped(inputs: Mapping[str, Array], model: ModelSpec) -> Iterator[Change]:
    names = [spec.name for spec in model.inputs]
    if not 1 < len(names) <= MOST_SWAPPED:
        return
    for order in permutations(names):
        changed = {name: inputs[other] for name, other in zip(names, order, strict=True)}
        same = all(
            inputs[a].shape == inputs[b].shape and inputs[a].dtype == inputs[b].dtype
            for a, b in zip(names, order, strict=True)
        )
        if same and list(order) != names:
            detail = ", ".join(
                f"{name} is taken for {other}"
                for name, other in zip(names, order, strict=True)
                if name != other
            )
            yield Change("inputs swapped", detail, changed)
