"""What every layer of the source computes on a few samples, in float64 and with its rounding noise.

Runs in the source's child. The values come from one module for each framework; here they are joined by name and
given their noise, as ``runtimes.reference`` does for the outputs.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, cast

import numpy as np

from exporter.source_folder import open_source
from runtimes.base import Array, Feeds
from runtimes.batches import padded
from runtimes.reference import Variant
from runtimes.verdict.parity import NOISY, noise_floor

# What the float64 values of all layers may take, in bytes: fewer samples are used of a network that needs more.
MAX_BYTES = 256 << 20

_MODULES = {
    "torch": "exporter.explain.torch_layers",
    "keras": "exporter.explain.tensorflow_layers",
    "savedmodel": "exporter.explain.tensorflow_layers",
    "onnx": "exporter.explain.onnx_layers",
}


@dataclass(frozen=True)
class Value:
    """One floating-point value that depends on the input: its layer's name and kind, and the values that feed it."""

    name: str
    op: str
    inputs: tuple[str, ...]
    array: Array


@dataclass(frozen=True)
class SourceLayer:
    """One layer, in the order of computation.

    ``inputs`` are the names of the layers that feed it, none where that is the model's input. ``y64`` has shape
    (n, ...), ``noise`` (n,); ``moves`` says that it only puts the numbers of its input into other places.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    y64: Array
    noise: Array
    moves: bool = False


Run = Callable[[Feeds], list[Value]]


class Framework(Protocol):
    """A module that runs sources of one framework, value by value."""

    def open_values(self, folder: Path, variant: Variant) -> Run:
        """What gives every value of one run, in the variant's precision and the order of computation."""


def layers(folder: Path, feeds: dict[str, Array], real: list[bool]) -> list[SourceLayer]:
    """The layers of the source in ``folder``, on as many of the samples ``feeds`` as MAX_BYTES holds, from the first.

    ``real`` says of each sample whether it sets scales: a sentinel must not. Raises what ``open_session`` raises.
    """
    source = open_source(folder)
    framework = cast(Framework, importlib.import_module(_MODULES[source.framework]))
    fixed = source.model.inputs[0].shape[0]
    single = framework.open_values(folder, Variant())
    each = sum(2 * value.array.nbytes for value in _run(single, _first(feeds, 1), fixed, None))
    count = max(1, min(len(real), MAX_BYTES // max(each, 1)))
    chosen = _first(feeds, count)
    exact = _run(framework.open_values(folder, Variant(precision="float64")), chosen, fixed, None)
    runs = [_run(single, chosen, fixed, None), _run(single, chosen, fixed, 1)]
    if source.framework == "torch":
        runs.append(_run(framework.open_values(folder, Variant(channels_last=True)), chosen, fixed, None))
    by_name = [{value.name: value.array for value in run} for run in runs]
    return joined(exact, by_name, np.array(real[:count]))


def joined(exact: Sequence[Value], runs: Sequence[Mapping[str, Array]], real: Array) -> list[SourceLayer]:
    """The values of the float64 run with their noise over the others.

    A value that has no row for each sample, or that a float32 run lacks, is no layer: what it feeds is fed by its
    own inputs.
    """
    found: dict[str, SourceLayer] = {}
    feeding: dict[str, tuple[str, ...]] = {}
    for value in exact:
        inputs = tuple(dict.fromkeys(name for given in value.inputs for name in feeding.get(given, ())))
        same = [run[value.name] for run in runs if value.name in run]
        noise = _noise(value.array, same, real) if len(same) == len(runs) else None
        if noise is not None:
            moves = len(inputs) == 1 and _moves(value.array, found[inputs[0]].y64)
            found[value.name] = SourceLayer(value.name, value.op, inputs, value.array, noise, moves)
            inputs = (value.name,)
        feeding[value.name] = inputs
    return list(found.values())


def leading_to(layers: Sequence[SourceLayer], outputs: Sequence[Array]) -> list[SourceLayer]:
    """The layers from which one of the outputs, each (n, ...) in float64, is computed; all where no layer is an output.

    What a network computes and does not use, no artifact needs to have.
    """
    ends = {
        layer.name
        for layer in layers
        for y64 in outputs
        if layer.y64.size == y64.size and np.allclose(layer.y64.ravel(), y64.ravel(), 1e-9, 0)
    }
    if not ends:
        return list(layers)
    used: set[str] = set()
    for layer in reversed(layers):
        if layer.name in ends or layer.name in used:
            used.update((layer.name, *layer.inputs))
    return [layer for layer in layers if layer.name in used]


def _noise(y64: Array, runs: Sequence[Array], real: Array) -> Array | None:
    """``n`` of each sample, shape (n,); None where the runs say nothing of it, or differ so much that they hide any fault."""
    if y64.dtype != np.float64 or y64.ndim == 0 or len(y64) != len(real) or not np.isfinite(y64).all():
        return None
    if any(run.shape != y64.shape for run in runs):
        return None
    noise = noise_floor(runs, y64, "tensor", real)
    magnitude = np.linalg.norm(y64.reshape(len(y64), -1), axis=1)
    return noise if np.median(noise - NOISY * magnitude) <= 0 else None


def _moves(y: Array, given: Array) -> bool:
    """Whether the first sample has the numbers of its input, elsewhere."""
    one, other = y[0].ravel(), given[0].ravel()
    if one.size != other.size or (y.shape == given.shape and np.array_equal(one, other)):
        return False
    return np.array_equal(np.sort(one), np.sort(other))


def _run(run: Run, feeds: Feeds, fixed: int | None, batch: int | None) -> list[Value]:
    """The values for all samples, run ``batch`` at a time, or as many as the source takes; a row for each sample."""
    total = len(next(iter(feeds.values())))
    size = fixed or batch or total
    whole = padded(feeds, fixed) if fixed else feeds
    parts = [
        run({name: array[at : at + size] for name, array in whole.items()}) for at in range(0, total, size)
    ]
    return [
        replace(values[0], array=np.concatenate([_by_sample(value.array, size) for value in values])[:total])
        for values in zip(*parts, strict=True)
    ]


def _by_sample(array: Array, samples: int) -> Array:
    """The array with samples along its first axis, where a network has put other things there too, such as windows.

    Nothing is left of one whose first axis is no multiple of the samples.
    """
    if not array.ndim or len(array) % samples:
        return array[:0] if array.ndim else array.reshape(1)[:0]
    return array if len(array) == samples else array.reshape(samples, -1, *array.shape[1:])


def _first(feeds: Feeds, count: int) -> dict[str, Array]:
    return {name: array[:count] for name, array in feeds.items()}
