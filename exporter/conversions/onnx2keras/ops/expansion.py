"""Tensors of a wanted shape: repeated, filled, or the shape itself.

A dynamic size is never computed on its own: what has it is added as a vector of zeros, taken from an input.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from exporter.conversions.onnx2keras import rules
from exporter.conversions.onnx2keras.graph import Array, Graph, Node, Size
from exporter.conversions.onnx2keras.layout import Assignment, Layouts, plain
from exporter.conversions.onnx2keras.lower import Call, reshape_target
from exporter.conversions.onnx2keras.registry import Tensor, lowers

Sizes = tuple[int | Size, ...]


def _rule(node: Node, graph: Graph, have: Layouts) -> Assignment:
    """In the order of the input, where it has as many axes as the output."""
    rank = graph.rank(node.outputs[0])
    layout = plain(rank)
    if have and have[0] and len(have[0].order) == rank:
        layout = have[0].without_features()
    first = (
        have[0] and (layout if len(have[0].order) == rank else plain(len(have[0].order))) if have else None
    )
    wants = (first, *[None] * (len(have) - 1)) if have else ()
    return Assignment(wants, (layout,) * len(node.outputs))


def _sizes(node: Node, graph: Graph) -> Sizes | None:
    """The shape that the node asks for, its last input, aligned with the output's axes; None when not known."""
    rank = graph.rank(node.outputs[0])
    found: tuple[int | Size | None, ...]
    if "sizes" in node.attributes:
        found = node.attributes["sizes"]
    elif node.inputs[-1] in graph.constants:
        found = tuple(int(size) for size in graph.constants[node.inputs[-1]].ravel())
    else:
        found = graph.shape(node.outputs[0])
    symbols = {s for i in graph.inputs for s in graph.values[i].symbols if s}
    known = tuple(s for s in found if s is not None and (isinstance(s, int) or s.symbol in symbols))
    return (1,) * (rank - len(known)) + known if len(known) == len(found) else None


def _refuse_expand(node: Node, graph: Graph) -> str | None:
    return "a shape that is computed from values" if _sizes(node, graph) is None else None


@lowers("Expand", layout=_rule, refuse=_refuse_expand)
def expand(call: Call) -> Tensor:
    """Axes of size 1 are repeated."""
    sizes, shape = _sizes(call.node, call.graph), call.shape()
    assert sizes is not None
    full = (1,) * (len(sizes) - len(shape)) + shape
    constant = call.constant(0)
    order = call.output_layout.order
    here = [(full[axis], sizes[axis]) for axis in order]
    if constant is not None:
        fixed = [
            size if size == 1 and isinstance(to, Size) else max(size or 1, to if isinstance(to, int) else 1)
            for size, to in here
        ]
        return _grown(call, np.broadcast_to(constant, fixed), [to for _, to in here])
    tensor = call.tensor()
    if len(shape) < len(full):
        tensor = call.op(call.ops.reshape, tensor, reshape_target(full), suffix="_rank")
    repeats = [to if size == 1 and isinstance(to, int) else 1 for size, to in here]
    if any(count != 1 for count in repeats):
        tensor = call.op(call.ops.tile, tensor, repeats)
    return _grown(call, tensor, [to if size == 1 else 1 for size, to in here])


def _refuse_fill(node: Node, graph: Graph) -> str | None:
    return "a shape that is computed from values" if _sizes(node, graph) is None else None


@lowers("ConstantOfShape", layout=_rule, refuse=_refuse_fill)
def fill(call: Call) -> Tensor:
    sizes = _sizes(call.node, call.graph)
    assert sizes is not None
    value = call.attr("value", np.zeros(1, np.float32))
    fixed = [1 if isinstance(size, Size) else size for size in sizes]
    return _grown(call, np.full(fixed, value.item(), call.dtype), sizes)


def _grown(call: Call, tensor: Tensor | Array, sizes: list[int | Size] | Sizes) -> Tensor:
    """The tensor with its axes of size 1 as long as the dynamic ``sizes`` say."""
    for axis, size in enumerate(sizes):
        if isinstance(size, Size):
            zeros = call.zeros(size, call.dtype)
            along = tuple(-1 if i == axis else 1 for i in range(len(sizes)))
            zeros = call.op(call.ops.reshape, zeros, along, suffix="_along")
            if call.dtype == "bool":
                tensor = call.op(call.ops.logical_or, tensor, zeros)
            else:
                tensor = call.add(tensor, zeros)
    return call.cast(tensor, call.dtype)


def _repeats(node: Node, graph: Graph) -> list[int] | None:
    """How often each ONNX axis is repeated."""
    given = graph.constant(node, 1)
    if given is not None:
        return [int(count) for count in given]
    pairs = list(zip(graph.shape(node.inputs[0]), graph.shape(node.outputs[0]), strict=True))
    return (
        [b // a for a, b in pairs if a and b is not None]
        if all(a and b is not None for a, b in pairs)
        else None
    )


def _refuse_tile(node: Node, graph: Graph) -> str | None:
    return "repeats that are computed" if _repeats(node, graph) is None else None


@lowers("Tile", layout=rules.follow_axes, refuse=_refuse_tile)
def tile(call: Call) -> Tensor:
    repeats = _repeats(call.node, call.graph)
    assert repeats is not None
    return call.op(call.ops.tile, call.tensor(), [repeats[axis] for axis in call.layout.order])


def _measure(node: Node, graph: Graph, have: Layouts) -> Assignment:
    """From any order of axes; the sizes come in ONNX's."""
    layout = have[0].without_features() if have[0] else None
    return Assignment((layout,), (plain(graph.rank(node.outputs[0])),))


@lowers("Shape", layout=_measure)
def shape(call: Call) -> Tensor:
    """A vector: each size that is not known is counted on a line along its axis."""
    parts = [
        np.array([size]) if size is not None else call.op(call.ops.reshape, _counted(call, axis), (1,))
        for axis, size in enumerate(call.shape())
    ]
    start, end = call.attr("start", 0), call.attr("end", len(parts))
    return call.cast(call.op(call.ops.concatenate, parts[start:end], axis=0), "int64")


@lowers("Size", layout=_measure)
def size(call: Call) -> Tensor:
    product: Any = int(np.prod([n for n in call.shape() if n is not None]))
    for axis, known in enumerate(call.shape()):
        if known is None:
            product = call.op(call.ops.multiply, _counted(call, axis), product)
    return call.cast(product, "int64")


def _counted(call: Call, axis: int) -> Tensor:
    here = call.axis(axis)
    line = call.tensor()[tuple(slice(None) if i == here else 0 for i in range(len(call.shape())))]
    return call.op(call.ops.sum, call.ops.ones_like(line, "int64"), suffix=f"_axis_{axis}")
