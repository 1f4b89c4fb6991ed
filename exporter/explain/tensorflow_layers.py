"""Every layer of a Keras model or SavedModel, as tensors of its graph. Runs in a TensorFlow child.

The graph in float64 is what defines ``y64``, and its nodes are named after the layers that made them: what leaves a
layer's name scope is the layer's value. Where a graph was saved without its layers, the scopes are taken as they are.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exporter.explain.source_layers import Run, Value
from exporter.frameworks import keras_model, saved_model
from exporter.frameworks.float64_graph import as_float64
from exporter.frameworks.frozen_graph import Frozen, freeze
from exporter.source_folder import open_source
from runtimes.base import Feeds
from runtimes.reference import Variant

_HANDED_ON = ("Identity", "IdentityN", "StopGradient")
_SHAPES = ("Shape", "ShapeN", "Size", "Rank")


def open_values(folder: Path, variant: Variant) -> Run:
    """The values that leave each layer, in the variant's precision."""
    source = open_source(folder)
    path = folder / source.weights
    kinds: dict[str, str] = {}
    if source.framework == "keras":
        model = keras_model.load(path)
        function = keras_model.serving_function(model, source.model).get_concrete_function()
        kinds = {layer.name: type(layer).__name__ for layer in model._flatten_layers()}
    else:
        opened = saved_model.open_signature(path)
        function = opened.function
    frozen = freeze(function)
    scopes = _Scopes(frozen, kinds)
    if variant.precision == "float64":
        frozen = as_float64(frozen)
    layers = _leaving(frozen, scopes)
    compute = Frozen(frozen.graph_def, frozen.inputs, {tensor: tensor for tensor in layers}).function()

    def run(feeds: Feeds) -> list[Value]:
        import tensorflow as tf

        given = [tf.constant(feeds[name]) for name in frozen.inputs]
        wide = [
            tf.cast(tensor, variant.precision) if tensor.dtype.is_floating else tensor for tensor in given
        ]
        with tf.device("/CPU:0"):
            arrays = [tensor.numpy() for tensor in compute(*wide)]
        return [
            Value(name, op, inputs, array)
            for (name, op, inputs), array in zip(layers.values(), arrays, strict=True)
        ]

    return run


class _Scopes:
    """Which layer a node belongs to, by its name.

    ``kinds`` are the classes of the model's layers by name; empty where only the graph is left.
    """

    def __init__(self, frozen: Frozen, kinds: Mapping[str, str]) -> None:
        self._kinds = kinds
        self._own = {node.name.rpartition("/")[0] for node in frozen.graph_def.node}
        roots = Counter(scope.partition("/")[0] for scope in self._own if scope)
        self._root = roots.most_common(1)[0][0] if roots else ""
        plain = next((name for name in kinds if re.fullmatch(re.escape(name) + r"(_\d+)?", self._root)), "")
        self._suffix = self._root.removeprefix(plain) if plain else ""

    def layer(self, node: str) -> str:
        """The innermost layer of the node, as the path of the layers' names below the model; "" at the top."""
        scope = node.rpartition("/")[0]
        if self._kinds:
            names = [self._known(part) for part in scope.split("/")]
            while names and not names[-1]:
                names.pop()
            # A layer may call a function of its own name.
            names = [name for place, name in enumerate(names) if not place or name != names[place - 1]]
            return "/".join(filter(None, names[1:] if names and self._is_root(scope) else names))
        while scope and scope not in self._own:
            scope = scope.rpartition("/")[0]
        return scope.removeprefix(self._root).lstrip("/")

    def kind(self, layer: str) -> str:
        """The layer's class, "" where it is not known."""
        return self._kinds.get(layer.rpartition("/")[2], "")

    def _is_root(self, scope: str) -> bool:
        return scope.partition("/")[0] == self._root

    def _known(self, part: str) -> str:
        """The layer that a scope is named after: each call of a layer numbers the scope anew."""
        options = (part.removesuffix(self._suffix), part, re.sub(r"_\d+$", "", part))
        return next((name for name in options if name in self._kinds), "")


def _leaving(frozen: Frozen, scopes: _Scopes) -> dict[str, tuple[str, str, tuple[str, ...]]]:
    """``(name, kind, names that feed it)`` of each floating-point tensor that another layer or nobody reads."""
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(frozen.graph_def, name="")
    given = {name.partition(":")[0] for name in frozen.inputs.values()}
    results = set(frozen.outputs.values())
    dependent, kept = set(given), {}
    for operation in graph.get_operations():
        if operation.name in given or not any(t.op.name in dependent for t in operation.inputs):
            continue
        if operation.type in _SHAPES:
            continue
        dependent.add(operation.name)
        layer = scopes.layer(operation.name)
        for tensor in operation.outputs:
            same = _handed_on(tensor)
            readers = {scopes.layer(reader.name) for each in same for reader in each.consumers()}
            is_result = any(each.name in results for each in same)
            leaves = readers - {layer} or is_result or (not layer and tensor.consumers())
            if tensor.dtype.is_floating and leaves and operation.type not in _HANDED_ON:
                kept[tensor.name] = layer
    count = Counter(kept.values())
    names: dict[str, str] = {}
    seen: Counter[str] = Counter()
    for tensor, layer in kept.items():
        leaf = tensor.partition(":")[0].rpartition("/")[2]
        name = layer if layer and count[layer] == 1 else "/".join(filter(None, (layer, leaf)))
        seen[name] += 1
        names[tensor] = name if seen[name] == 1 else f"{name}#{seen[name]}"
    return {
        tensor: (
            name,
            scopes.kind(kept[tensor]) or graph.get_tensor_by_name(tensor).op.type,
            _feeding(graph.get_tensor_by_name(tensor), names),
        )
        for tensor, name in names.items()
    }


def _handed_on(tensor: Any) -> list[Any]:
    """The tensor, and those that are the same by another name: an activation with a gradient of its own ends in one."""
    found = [tensor]
    for one in found:
        for reader in one.consumers():
            if reader.type in _HANDED_ON:
                pairs = zip(reader.inputs, reader.outputs, strict=True)
                found += [made for given, made in pairs if given is one]
    return found


def _feeding(tensor: Any, names: Mapping[str, str]) -> tuple[str, ...]:
    """The named tensors that a tensor is computed from, with nothing named in between."""
    found: dict[str, None] = {}
    seen, waiting = set(), list(tensor.op.inputs)
    while waiting:
        one = waiting.pop()
        if one.name in names:
            found[names[one.name]] = None
        elif one.name not in seen and one.op.type not in _SHAPES:
            seen.add(one.name)
            waiting += [one.op.inputs[one.value_index]] if one.op.type in _HANDED_ON else one.op.inputs
    return tuple(found)
