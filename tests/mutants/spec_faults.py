"""Faults in what a conversion is told of its tensors, while the manifest says what is right. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from runtimes.bundle import ModelSpec, TensorSpec


def _all(spec: ModelSpec, change: Callable[[TensorSpec], TensorSpec]) -> ModelSpec:
    return replace(spec, inputs=tuple(map(change, spec.inputs)), outputs=tuple(map(change, spec.outputs)))


def _batch_of_one(spec: ModelSpec) -> ModelSpec:
    return _all(spec, lambda tensor: replace(tensor, shape=(1, *tensor.shape[1:])))


def _input_renamed(spec: ModelSpec) -> ModelSpec:
    return replace(spec, inputs=tuple(replace(tensor, name="pixels") for tensor in spec.inputs))


def _output_renamed(spec: ModelSpec) -> ModelSpec:
    return replace(spec, outputs=(replace(spec.outputs[0], name="result"), *spec.outputs[1:]))


def _names_swapped(spec: ModelSpec) -> ModelSpec:
    first, second = spec.outputs
    return replace(spec, outputs=(replace(first, name=second.name), replace(second, name=first.name)))


def _integers(spec: ModelSpec) -> ModelSpec:
    return replace(spec, inputs=tuple(replace(tensor, dtype="int32") for tensor in spec.inputs))


def _labels_sorted(spec: ModelSpec) -> ModelSpec:
    assert list(spec.labels) != sorted(spec.labels)
    return replace(spec, labels=tuple(sorted(spec.labels)))


def _no_preprocessing(spec: ModelSpec) -> ModelSpec:
    return replace(spec, preprocessing=())


FAULTS: dict[str, Callable[[ModelSpec], ModelSpec]] = {
    "batch fixed at 1": _batch_of_one,
    "input renamed": _input_renamed,
    "output renamed": _output_renamed,
    "output names swapped": _names_swapped,
    "type of the input": _integers,
    "labels of the file permuted": _labels_sorted,
    "preprocessing of the file dropped": _no_preprocessing,
}
