"""Along one axis: the largest elements, running sums and products, one-hot codes, triangles."""

from __future__ import annotations

import numpy as np

from exporter.conversions.onnx2keras import rules
from exporter.conversions.onnx2keras.graph import Graph, Node
from exporter.conversions.onnx2keras.layout import Assignment, Layout, Layouts, plain
from exporter.conversions.onnx2keras.lower import Call, reshape_target
from exporter.conversions.onnx2keras.registry import Tensor, lowers


def _axis_last(node: Node, graph: Graph, have: Layouts) -> Assignment:
    """The axis of the operator in front of nothing; the others in their order."""
    layout = have[0] or plain(graph.rank(node.inputs[0]))
    axis = node.attributes.get("axis", -1) % len(layout.order)
    moved = Layout((*(a for a in layout.order if a != axis), axis))
    return Assignment((moved, *[None] * (len(have) - 1)), (moved,) * len(node.outputs))


def _refuse_top_k(node: Node, graph: Graph) -> str | None:
    if graph.opset >= 10 and graph.constant(node, 1) is None:
        return "a number of elements that is computed"
    unsigned = not node.attributes.get("largest", 1) and graph.dtype(node.inputs[0]).startswith("uint")
    return "the smallest of unsigned numbers" if unsigned else None


@lowers("TopK", layout=_axis_last, refuse=_refuse_top_k)
def top_k(call: Call) -> tuple[Tensor, Tensor]:
    """The smallest are the largest of the negated."""
    given, largest = call.constant(1), bool(call.attr("largest", 1))
    k = int(call.attr("k", 1) if given is None else given.item())
    tensor = call.tensor() if largest else call.op(call.ops.negative, call.tensor(), suffix="_negative")
    values, indices = call.op(call.ops.top_k, tensor, k)
    if not largest:
        values = call.op(call.ops.negative, values, suffix="_values")
    return values, call.cast(indices, "int64")


def _refuse_running(node: Node, graph: Graph) -> str | None:
    return "an axis that is computed" if graph.constant(node, 1) is None else None


@lowers("CumProd", "CumSum", layout=rules.follow_axes, refuse=_refuse_running)
def running(call: Call) -> Tensor:
    """Exclusive: the start moves in and the last element out."""
    axis, ops, tensor = call.axis(int(call.constant(1).item())), call.ops, call.tensor()  # type: ignore[union-attr]
    product, reverse = call.node.op == "CumProd", bool(call.attr("reverse", 0))
    if reverse:
        tensor = call.op(ops.flip, tensor, axis=axis, suffix="_flip")
    if call.attr("exclusive", 0):
        pads = [(1, 0) if i == axis else (0, 0) for i in range(len(call.shape()))]
        cut = (slice(None),) * axis + (slice(0, -1),)
        tensor = call.op(ops.pad, tensor[cut], pads, "constant", int(product), suffix="_shift")
    result = call.cast(call.op(ops.cumprod if product else ops.cumsum, tensor, axis=axis), call.dtype)
    return call.op(ops.flip, result, axis=axis, suffix="_flip_back") if reverse else result


def _refuse_one_hot(node: Node, graph: Graph) -> str | None:
    depth, indices = graph.constant(node, 1), graph.constant(node, 0)
    return "a depth that is computed, or constant indices" if depth is None or indices is not None else None


@lowers("OneHot", layout=rules.in_onnx_order, refuse=_refuse_one_hot)
def one_hot(call: Call) -> Tensor:
    """Places are compared with the indices, which may count from the end."""
    depth, rank, ops = int(call.constant(1).item()), len(call.shape()), call.ops  # type: ignore[union-attr]
    axis = call.attr("axis", -1) % (rank + 1)
    shape = list(call.shape())
    indices = call.cast(call.tensor(), "int64")
    indices = ops.where(ops.less(indices, 0), ops.add(indices, depth), indices)
    indices = call.op(
        ops.reshape, indices, reshape_target((*shape[:axis], 1, *shape[axis:])), suffix="_indices"
    )
    places = np.arange(depth).reshape((1,) * axis + (depth,) + (1,) * (rank - axis))
    values = call.constant(2)
    off, on = (
        (values[0].item(), values[1].item()) if values is not None else (call.tensor(2)[0], call.tensor(2)[1])
    )
    return call.cast(call.op(ops.where, ops.equal(indices, places), on, off), call.dtype)


def _refuse_triangle(node: Node, graph: Graph) -> str | None:
    if node.has(1) and graph.constant(node, 1) is None:
        return "a diagonal that is computed"
    return "a dynamic axis" if None in graph.shape(node.inputs[0])[-2:] else None


@lowers("Trilu", layout=rules.follow_axes, refuse=_refuse_triangle)
def triangle(call: Call) -> Tensor:
    """A constant mask, which needs no order of axes."""
    rows, columns = (size or 0 for size in call.shape()[-2:])
    if 0 in call.shape():
        return call.tensor()
    given = call.constant(1)
    diagonal = 0 if given is None else int(given.item())
    every = np.ones((rows, columns), bool)
    mask = np.triu(every, diagonal) if call.attr("upper", 1) else np.tril(every, diagonal)
    rank = len(call.shape())
    full = mask.reshape((1,) * (rank - 2) + mask.shape).transpose(call.layout.order)
    tensor = call.tensor()
    return call.op(call.ops.where, full, tensor, call.ops.zeros_like(tensor))
