"""The operators of an ONNX source, seen and changed as ONNX's reference implementation runs its nodes, in float64.

A layer's name is that of the tensor it computes. Nodes inside loops and branches are not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from exporter import source_folder
from exporter.explain.operators import Op, OpKind, compute
from exporter.explain.source_faults import Change
from exporter.frameworks import onnx_model
from runtimes.base import Array, Feeds

Described = tuple[OpKind, int, dict[str, Any]] | None


def open_source(folder: Path) -> OnnxSource:
    """The source's graph in float64. Raises ConversionError for an operator that the reference implementation lacks."""
    return OnnxSource(folder)


class OnnxSource:
    """An ONNX source whose operators can be changed while it runs."""

    def __init__(self, folder: Path) -> None:
        source = source_folder.open_source(folder)
        self.inputs, self.outputs = source.model.inputs, source.model.outputs
        graph = onnx_model.as_float64(onnx_model.read(folder / source.weights))
        self._evaluator = onnx_model.reference_evaluator(graph)
        self._changes: Mapping[int, Change] = {}
        self._seen: list[Op] | None = None
        self._count = 0
        self._before: tuple[str, Op | None] = ("", None)
        constants = {tensor.name for tensor in graph.graph.initializer}
        constants |= {name for node in graph.graph.node if node.op_type == "Constant" for name in node.output}
        for node in self._evaluator.rt_nodes_:
            if node.op_type in _OPERATORS and not node.op_domain:
                node.run = partial(self._node, node.onnx_node, node.run, constants)

    def operators(self, feeds: Feeds) -> list[Op]:
        """Those that are known, in the order of computation."""
        self._seen = []
        try:
            self.run(feeds, {})
            return self._seen
        finally:
            self._seen = None

    def run(self, feeds: Feeds, changes: Mapping[int, Change]) -> dict[str, Array]:
        """The outputs, with the operators at these places changed."""
        self._changes, self._count, self._before = changes, 0, ("", None)
        given = {
            name: array.astype(np.float64) if array.dtype == np.float32 else array
            for name, array in feeds.items()
        }
        values = self._evaluator.run(None, given)
        return {spec.name: np.asarray(value) for spec, value in zip(self.outputs, values, strict=True)}

    def _node(
        self, node: Any, original: Callable[..., Any], constants: set[str], *given: Array, **more: Any
    ) -> Any:
        described = _OPERATORS[node.op_type](_Node(node, given, constants))
        if described is None:
            return original(*given, **more)
        place, self._count = self._count, self._count + 1
        kind, inputs, values = described
        op = Op(node.output[0], kind, given[:inputs], values)
        if kind == "batch norm" and self._before[0] == node.input[0]:
            op = op.but(convolution=self._before[1])
        if kind == "convolution":
            self._before = (node.output[0], op)
        if self._seen is not None:
            self._seen.append(op)
        if place not in self._changes:
            return original(*given, **more)
        changed = self._changes[place](op)
        result = changed if isinstance(changed, np.ndarray) else compute(changed)
        return (result, *(None for _ in node.output[1:]))


class _Node:
    """A node about to run: its attributes by name, its inputs by place, "" and what is left out as None."""

    def __init__(self, node: Any, given: tuple[Any, ...], constants: set[str]) -> None:
        from onnx.helper import get_attribute_value

        self._attributes = {one.name: get_attribute_value(one) for one in node.attribute}
        self._given, self._names, self._constants = given, list(node.input), constants

    def get(self, name: str, default: Any) -> Any:
        """An attribute; text as str."""
        value = self._attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    def input(self, place: int) -> Any:
        """An input's array, or None."""
        return self._given[place] if place < len(self._given) else None

    def is_constant(self, place: int) -> bool:
        """Whether the graph itself holds this input."""
        return place < len(self._names) and self._names[place] in self._constants

    @property
    def count(self) -> int:
        """How many inputs there are."""
        return len(self._given)

    @property
    def places(self) -> tuple[int, ...]:
        """The sizes of the first input beyond batch and channels."""
        return tuple(self._given[0].shape[2:])


def _window(node: _Node, size: tuple[int, ...]) -> tuple[tuple[int, ...], Any, tuple[int, ...]]:
    """Strides, pads and dilations."""
    ones = (1,) * len(size)
    strides, dilations = tuple(node.get("strides", ones)), tuple(node.get("dilations", ones))
    pads, how = node.get("pads", (0,) * 2 * len(size)), node.get("auto_pad", "NOTSET")
    pairs = tuple(zip(pads[: len(size)], pads[len(size) :], strict=True))
    if how.startswith("SAME"):
        totals = [
            max(0, (-(-have // s) - 1) * s + (k - 1) * d + 1 - have)
            for have, k, s, d in zip(node.places, size, strides, dilations, strict=True)
        ]
        halves = tuple((n // 2, n - n // 2) for n in totals)
        pairs = halves if how == "SAME_UPPER" else tuple(pair[::-1] for pair in halves)
    return strides, pairs, dilations


def _convolution(node: _Node) -> Described:
    weight = node.input(1)
    strides, pads, dilations = _window(node, weight.shape[2:])
    values = {"strides": strides, "pads": pads, "dilations": dilations, "groups": node.get("group", 1)}
    return "convolution", 1, {"weight": weight, "bias": node.input(2), **values}


def _gemm(node: _Node) -> Described:
    plain = node.get("alpha", 1.0) == node.get("beta", 1.0) == 1.0 and not node.get("transA", 0)
    bias = node.input(2)
    if not plain or (bias is not None and bias.ndim != 1):
        return None
    weight = node.input(1) if node.get("transB", 0) else node.input(1).T
    return "dense", 1, {"weight": weight, "bias": bias}


def _matmul(node: _Node) -> Described:
    if not node.is_constant(1) or node.input(1).ndim != 2:
        return None
    return "dense", 1, {"weight": node.input(1).T, "bias": None}


def _batch_norm(node: _Node) -> Described:
    if node.get("training_mode", 0):
        return None
    scale, offset, mean, variance = (node.input(place) for place in range(1, 5))
    values = {"scale": scale, "offset": offset, "mean": mean, "variance": variance}
    return "batch norm", 1, {**values, "epsilon": node.get("epsilon", 1e-5)}


def _layer_norm(node: _Node) -> Described:
    rank = node.input(0).ndim
    axes = tuple(range(node.get("axis", -1) % rank - rank, 0))
    values = {"axes": axes, "epsilon": node.get("epsilon", 1e-5)}
    return "layer norm", 1, {**values, "scale": node.input(1), "offset": node.input(2)}


def _group_norm(node: _Node) -> Described:
    groups = node.get("num_groups", node.input(0).shape[1])
    values = {"groups": groups, "epsilon": node.get("epsilon", 1e-5)}
    return "group norm", 1, {**values, "scale": node.input(1), "offset": node.input(2)}


def _activation(function: str, attribute: str = "", default: float = 0.0) -> Callable[[_Node], Described]:
    def describe(node: _Node) -> Described:
        parameter = node.get(attribute, default) if attribute else 0.0
        return "activation", 1, {"function": function, "parameter": parameter}

    return describe


def _clip(node: _Node) -> Described:
    low, high = (
        node.get(name, None) if node.input(place) is None else float(node.input(place))
        for place, name in ((1, "min"), (2, "max"))
    )
    function = {(0.0, 6.0): "relu6", (0.0, None): "relu"}.get((low, high))
    return None if function is None else ("activation", 1, {"function": function, "parameter": 0.0})


def _gelu(node: _Node) -> Described:
    function = "gelu by tanh" if node.get("approximate", "none") == "tanh" else "gelu"
    return "activation", 1, {"function": function, "parameter": 0.0}


def _hard_sigmoid(node: _Node) -> Described:
    is_sixth = abs(node.get("alpha", 0.2) - 1 / 6) < 1e-6
    function = "hard sigmoid" if is_sixth else "hard sigmoid by 0.2"
    return "activation", 1, {"function": function, "parameter": 0.0}


def _pool(mode: str) -> Callable[[_Node], Described]:
    def describe(node: _Node) -> Described:
        size = tuple(node.get("kernel_shape", ()))
        strides, pads, dilations = _window(node, size)
        if set(dilations) != {1}:
            return None
        values = {"mode": mode, "size": size, "strides": strides, "pads": pads}
        more = {"ceil": bool(node.get("ceil_mode", 0)), "count_pads": bool(node.get("count_include_pad", 0))}
        return "pool", 1, {**values, **more}

    return describe


def _resize(node: _Node) -> Described:
    mode, coordinates = node.get("mode", "nearest"), node.get("coordinate_transformation_mode", "half_pixel")
    coordinates = {"pytorch_half_pixel": "half_pixel"}.get(coordinates, coordinates)
    scales, sizes = node.input(2), node.input(3)
    if mode not in ("nearest", "linear") or coordinates not in ("half_pixel", "align_corners", "asymmetric"):
        return None
    shape = node.input(0).shape
    if sizes is None or not len(sizes):
        sizes = [int(have * by) for have, by in zip(shape, scales, strict=True)]
    if len(sizes) != len(shape) or tuple(sizes[:2]) != shape[:2]:
        return None
    return "resize", 1, {"mode": mode, "coordinates": coordinates, "size": tuple(map(int, sizes[2:]))}


def _pad(node: _Node) -> Described:
    x, numbers, value = node.input(0), node.input(1), node.input(2)
    rank = x.ndim
    plain = node.get("mode", "constant") == "constant" and (value is None or not np.any(value))
    if (
        not plain
        or numbers is None
        or len(numbers) != 2 * rank
        or any((*numbers[:2], *numbers[rank : rank + 2]))
    ):
        return None
    pairs = zip(numbers[2:rank], numbers[rank + 2 :], strict=True)
    return "pad", 1, {"pads": tuple((int(low), int(high)) for low, high in pairs)}


def _flatten(node: _Node) -> Described:
    x = node.input(0)
    flat = node.get("axis", 1) == 1
    if node.input(1) is not None:
        wanted = [int(size) for size in node.input(1)]
        flat = len(wanted) == 2 and wanted[0] in (-1, 0, len(x)) and wanted[1] in (-1, x[0].size)
    return ("flatten", 1, {"order": tuple(range(1, x.ndim))}) if flat and x.ndim > 3 else None


def _concat(node: _Node) -> Described:
    return "concat", node.count, {"axis": node.get("axis", 1)}


def _add(node: _Node) -> Described:
    one, other = node.input(0), node.input(1)
    both = not (node.is_constant(0) or node.is_constant(1))
    return ("add", 2, {}) if both and one.shape == other.shape and one.dtype.kind == "f" else None


def _softmax(node: _Node) -> Described:
    return "softmax", 1, {"axis": node.get("axis", -1)}


_OPERATORS: dict[str, Callable[[_Node], Described]] = {
    "Conv": _convolution,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "GroupNormalization": _group_norm,
    "InstanceNormalization": _group_norm,
    "Relu": _activation("relu"),
    "LeakyRelu": _activation("leaky relu", "alpha", 0.01),
    "Elu": _activation("elu", "alpha", 1.0),
    "Clip": _clip,
    "Gelu": _gelu,
    "Sigmoid": _activation("sigmoid"),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _activation("hard swish"),
    "Tanh": _activation("tanh"),
    "Softplus": _activation("softplus"),
    "Mish": _activation("mish"),
    "AveragePool": _pool("average"),
    "MaxPool": _pool("max"),
    "Resize": _resize,
    "Pad": _pad,
    "Flatten": _flatten,
    "Reshape": _flatten,
    "Concat": _concat,
    "Add": _add,
    "Softmax": _softmax,
}
