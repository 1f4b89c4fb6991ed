"""Where an artifact leaves its source, decided on the arrays of both: pure.

A layer of the source is *seen* where the artifact has a tensor of the same numbers, up to the noise of that layer and
the order of its axes. Converters fold layers into others, so a layer that is not seen is still right when one that it
feeds is. The first layer that is neither, though all that feed it are right, begins the span that diverges. The span
ends at the first of its layers that the artifact computes as a tensor of its own: a fault in a convolution with its batch
norm and activation folded into it can be told from none of the three.

Which layer a wrong tensor belongs to is told by likeness, the cosine of the angle to what each layer should give, and of
one that is like nothing by the names that converters carry from the source.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from exporter.explain.source_layers import SourceLayer
from runtimes.base import Array
from runtimes.explanation import LayerError
from runtimes.verdict.parity import MAX_RATIO, distances

# A tensor less like a layer than this shows nothing of it.
ALIKE = 0.5
# The most by which a layer makes a relative error smaller.
SHRINKS = 8.0
# Through fewer numbers a line always fits, or nearly.
FEWEST_ON_A_LINE = 4


@dataclass(frozen=True)
class Divergence:
    """``span`` is empty when every layer is right. ``last_good`` is the last right layer that feeds it, "" for none."""

    span: tuple[str, ...]
    last_good: str
    layers: tuple[LayerError, ...]


def first_layer(layers: Sequence[SourceLayer], tensors: Mapping[str, Array]) -> Divergence:
    """Compare the layers, each (n, ...), with an artifact's tensors on the same n samples, in the artifact's layouts."""
    candidates = _Candidates(tensors)
    seen = {layer.name: candidates.closest(layer) for layer in layers}
    right = _right(layers, {name for name, (ratio, _) in seen.items() if ratio <= MAX_RATIO})
    wrong = [layer for layer in layers if layer.name not in right]
    used = {tensor for ratio, tensor in seen.values() if ratio <= MAX_RATIO}
    shown = candidates.shown(wrong, used)
    errors = tuple(
        LayerError(layer.name, layer.op, *_error(layer, seen[layer.name], shown, candidates))
        for layer in layers
    )
    first = next((layer for layer in wrong if all(name in right for name in layer.inputs)), None)
    if first is None:
        return Divergence((), layers[-1].name if layers else "", errors)
    span = _span(first, wrong, shown, candidates)
    return Divergence(tuple(span), first.inputs[-1] if first.inputs else "", errors)


def closest_tensor(y64: Array, noise: Array, tensors: Mapping[str, Array]) -> str:
    """The name of the tensor that is ``y64`` (n, ...) up to the noise rule, "" when there is none."""
    ratio, name = _Candidates(tensors).closest(SourceLayer("", "", (), y64, noise))
    return name if ratio <= MAX_RATIO else ""


def _error(
    layer: SourceLayer,
    seen: tuple[float, str],
    shown: Mapping[str, str],
    candidates: _Candidates,
) -> tuple[float | None, str]:
    """The ratio of the layer's tensor and its name; ``(None, "")`` where the artifact has none."""
    if seen[0] <= MAX_RATIO:
        return seen
    if layer.name in shown:
        tensor = shown[layer.name]
        return candidates.ratio(layer, tensor), tensor
    return None, ""


def _right(layers: Sequence[SourceLayer], seen: set[str]) -> set[str]:
    """The layers that are seen, those that feed one that is right, and those that feed only such.

    One that picks some of its input's numbers (a part of the channels, the largest of a window) proves nothing of the
    others, and a normalisation nothing of its input's scale: they count for the last rule alone.
    """
    by_name = {layer.name: layer for layer in layers}
    fed: dict[str, list[SourceLayer]] = {}
    for layer in layers:
        for name in layer.inputs:
            fed.setdefault(name, []).append(layer)
    right: set[str] = set()
    for layer in reversed(layers):
        readers = fed.get(layer.name, [])
        good = [reader for reader in readers if reader.name in right]
        whole = [reader for reader in good if not _forgets(reader, by_name[layer.name])]
        if layer.name in seen or whole or (readers and len(good) == len(readers)):
            right.add(layer.name)
    return right


def _forgets(layer: SourceLayer, given: SourceLayer) -> bool:
    """Whether it normalises, or every number of its first sample stands in the input, which has more."""
    if "norm" in layer.op.lower():
        return True
    one, other = layer.y64[0], given.y64[0]
    return one.size < other.size and bool(np.isin(one, other).all())


def _span(
    first: SourceLayer,
    wrong: Sequence[SourceLayer],
    shown: Mapping[str, str],
    candidates: _Candidates,
) -> list[str]:
    """From the first wrong layer along those that it feeds, to the first that the artifact shows.

    An error does not shrink on its way: a tensor far from its layer, before one that is close to the next, is no wrong
    value of that layer but what the artifact computes on the way to the next. Where the artifact shows none, the span ends
    at the first layer that computes something.
    """
    reached, span, end, before = {first.name}, [first], 0, 0.0
    for layer in (first, *wrong[wrong.index(first) + 1 :]):
        if layer is not first and reached.isdisjoint(layer.inputs):
            continue
        if layer is not first:
            reached.add(layer.name)
            span.append(layer)
        is_shown = layer.name in shown
        if is_shown and not candidates.is_scaled(layer, shown[layer.name], _features(layer, wrong)):
            error = candidates.distance(layer, shown[layer.name])
            if end and error * SHRINKS > before:
                break
            end, before = len(span), error
    if not end:
        end = 1 + next((number for number, layer in enumerate(span) if not layer.moves), 0)
    return [layer.name for layer in span[:end]]


class _Candidates:
    """The artifact's tensors by how many numbers they have for each sample, with their norms."""

    def __init__(self, tensors: Mapping[str, Array]) -> None:
        self._tensors = {
            name: array for name, array in tensors.items() if array.ndim and array.dtype.kind == "f"
        }
        self._by_size: dict[int, list[str]] = {}
        for name, array in self._tensors.items():
            self._by_size.setdefault(array.size, []).append(name)
        self._norms = {name: float(np.linalg.norm(_wide(array))) for name, array in self._tensors.items()}

    def closest(self, layer: SourceLayer) -> tuple[float, str]:
        """The smallest ratio that any tensor reaches, and that tensor; within the limit, one of the layer's rank first.

        A tensor whose norm is further from the layer's than the noise allows cannot be within it, in any order of its axes.
        """
        best = (True, True, np.inf, "")
        norm, allowed = float(np.linalg.norm(layer.y64)), MAX_RATIO * float(np.linalg.norm(layer.noise))
        for name in self._by_size.get(layer.y64.size, ()):
            if abs(self._norms[name] - norm) <= allowed + 1e-12 * norm:
                ratio, other = self.ratio(layer, name), self._tensors[name].ndim != layer.y64.ndim
                best = min(best, (ratio > MAX_RATIO, other, ratio, name))
        return best[2:]

    def ratio(self, layer: SourceLayer, tensor: str) -> float:
        """The largest e/n of a tensor over the samples, in the order of its axes that comes closest."""
        found = [
            np.max(np.divide(e, layer.noise, out=np.where(e > 0, np.inf, 0.0), where=layer.noise > 0))
            for form in _forms(self._tensors[tensor], layer)
            for e in [distances(form, layer.y64, "tensor")]
        ]
        return float(min(found, default=np.inf))

    def distance(self, layer: SourceLayer, tensor: str) -> float:
        """The relative error of a tensor on the first sample, in the order of its axes that comes closest."""
        target = _wide(layer.y64[0]).ravel()
        scale = float(np.linalg.norm(target)) or 1.0
        forms = _forms(self._tensors[tensor], layer)
        found = [float(np.linalg.norm(_wide(form[0]).ravel() - target)) / scale for form in forms]
        return min((one for one in found if np.isfinite(one)), default=np.inf)

    def is_scaled(self, layer: SourceLayer, tensor: str, axes: Sequence[int]) -> bool:
        """Whether the layer is a line through the tensor's numbers for each feature along one of ``axes``.

        It may well be right then: a converter has put the scale and offset of a normalisation into another layer.
        """
        allowed = MAX_RATIO * float(np.linalg.norm(layer.noise))
        for axis in axes:
            want = _by_feature(layer.y64, axis)
            for form in _forms(self._tensors[tensor], layer):
                got = _by_feature(form, axis)
                one, other = got - got.mean(axis=0), want - want.mean(axis=0)
                slope = (one * other).sum(axis=0) / np.maximum((one * one).sum(axis=0), np.finfo(float).tiny)
                if len(want) >= FEWEST_ON_A_LINE and float(np.linalg.norm(one * slope - other)) <= allowed:
                    return True
        return False

    def shown(self, layers: Sequence[SourceLayer], used: set[str]) -> dict[str, str]:
        """The tensor that shows each layer, of those that are not ``used``: each shows one layer at most."""
        best: dict[str, tuple[float, str]] = {}
        for layer in layers:
            target = _unit(layer.y64)
            for name in self._by_size.get(layer.y64.size, ()):
                if name in used:
                    continue
                for form in _forms(self._tensors[name], layer):
                    if layer.moves and not _same_numbers(form, layer):
                        continue
                    alike = float(np.sum(_unit(form) * target))
                    if alike > max(ALIKE, best.get(name, (0.0, ""))[0]):
                        best[name] = (alike, layer.name)
        for size in {layer.y64.size for layer in layers}:
            alike_size = [layer.name for layer in layers if layer.y64.size == size and not layer.moves]
            for name in set(self._by_size.get(size, ())) - used - set(best):
                if layer_name := named_after(name, alike_size):
                    best[name] = (0.0, layer_name)
        found: dict[str, tuple[float, str]] = {}
        for name, (alike, layer_name) in best.items():
            found[layer_name] = max(found.get(layer_name, (-1.0, "")), (alike, name))
        return {layer_name: name for layer_name, (_, name) in found.items()}


def _features(layer: SourceLayer, wrong: Iterable[SourceLayer]) -> tuple[int, ...]:
    """The axes along which a converter may have scaled it: those of a layer norm, and of what a normalisation reads."""
    if layer.y64.ndim < 2:
        return ()
    if "layernorm" in layer.op.lower().replace("_", ""):
        return (-1,)
    is_normalised = any("norm" in other.op.lower() and layer.name in other.inputs for other in wrong)
    return (1, -1) if is_normalised else ()


def _by_feature(array: Array, axis: int) -> Array:
    """As columns, one for each place along ``axis``, in float64."""
    return np.moveaxis(_wide(array), axis, -1).reshape(-1, array.shape[axis])


def named_after(tensor: str, layers: Sequence[str]) -> str:
    """The last of the layers, in their order, whose name is a part of the tensor's name; "" where there is none.

    Converters write ``features.0`` as ``features_0``, number what they meet again (``features_0_1``), add the operator
    behind a slash, and join the names of what they fuse with semicolons.
    """
    paths = [path.split("/") for path in re.split("[;:]", tensor)]
    keys = {layer: _plain(layer.partition("#")[0].rpartition("/")[2]) for layer in layers}
    named = {_longest(_plain(part), keys.values()) for path in paths for part in path[:-1] or path}
    return next((layer for layer in reversed(layers) if keys[layer] in named), "")


def _longest(part: str, keys: Iterable[str]) -> str | None:
    """The longest key that the part is, perhaps with a number behind it."""
    fitting = [key for key in keys if key and re.fullmatch(rf"{re.escape(key)}(_\d+)?", part)]
    return max(fitting, key=len, default=None)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _same_numbers(tensor: Array, layer: SourceLayer) -> bool:
    """Whether the first sample has the layer's numbers up to its noise, wherever they stand."""
    one, other = np.sort(_wide(tensor[0]).ravel()), np.sort(layer.y64[0].ravel())
    return bool(np.linalg.norm(one - other) <= MAX_RATIO * layer.noise[0])


def _forms(tensor: Array, layer: SourceLayer) -> Iterator[Array]:
    """The tensor in the layer's shape, in each way in which a converter may lay it out: as it is, channels last, channels
    first. A layer that only moves numbers is compared with tensors of its rank alone, or its input would show it."""
    shape = layer.y64.shape
    ways = [tensor]
    if tensor.ndim > 2:
        ways += [np.moveaxis(tensor, -1, 1), np.moveaxis(tensor, 1, -1)]
    for way in ways:
        if way.shape == shape:
            yield way
        elif way.size == layer.y64.size and way.ndim != len(shape) and not layer.moves:
            yield way.reshape(shape)


def _wide(array: Array) -> Array:
    return array.astype(np.float64, copy=False)


def _unit(array: Array) -> Array:
    """The first sample as a vector of length 1."""
    flat = _wide(array[0]).ravel()
    norm = float(np.linalg.norm(flat))
    unit: Array = flat / norm if np.isfinite(norm) and norm > 0 else np.zeros_like(flat)
    return unit
