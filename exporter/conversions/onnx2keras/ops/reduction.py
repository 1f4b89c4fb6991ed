"""Reductions over axes."""

from __future__ import annotations

from exporter.conversions.onnx2keras import rules
from exporter.conversions.onnx2keras.graph import Graph, Node
from exporter.conversions.onnx2keras.lower import Call
from exporter.conversions.onnx2keras.registry import Tensor, lowers

# What is done to each element before, which reduction, and what is done to the result.
_REDUCTIONS = {
    "ReduceL1": ("absolute", "sum", ""),
    "ReduceL2": ("square", "sum", "sqrt"),
    "ReduceLogSum": ("", "sum", "log"),
    "ReduceLogSumExp": ("", "logsumexp", ""),
    "ReduceMax": ("", "max", ""),
    "ReduceMean": ("", "mean", ""),
    "ReduceMin": ("", "min", ""),
    "ReduceProd": ("", "prod", ""),
    "ReduceSum": ("", "sum", ""),
    "ReduceSumSquare": ("square", "sum", ""),
}
_GLOBAL_POOLS = {"ReduceMax": "GlobalMaxPooling2D", "ReduceMean": "GlobalAveragePooling2D"}
_OF_BOOLEANS = {"ReduceMax": "any", "ReduceMin": "all"}


def _refuse(node: Node, graph: Graph) -> str | None:
    if node.has(1) and graph.constant(node, 1) is None:
        return "axes that are computed"
    shape = graph.shape(node.inputs[0])
    empty = node.op in ("ReduceMax", "ReduceMin") and any(
        shape[axis] == 0 for axis in rules.reduced_axes(node, graph)
    )
    return "an extremum of no elements" if empty else None


@lowers(*_REDUCTIONS, layout=rules.reduction, refuse=_refuse)
def reduction(call: Call) -> Tensor:
    """The mean and the maximum of every channel have layers of their own."""
    op, tensor, keep = call.node.op, call.tensor(), bool(call.attr("keepdims", 1))
    before, reduce, after = _REDUCTIONS[op]
    axes = sorted(call.axis(axis) for axis in rules.reduced_axes(call.node, call.graph))
    if before:
        tensor = call.op(getattr(call.ops, before), tensor, suffix=f"_{before}")
    if axes and op in _GLOBAL_POOLS and len(call.shape()) == 4 and axes == [1, 2] and _pools(call.dtype):
        tensor = call.layer(getattr(call.layers, _GLOBAL_POOLS[op]), keepdims=keep)(tensor)
    elif axes:
        function = getattr(call.ops, _OF_BOOLEANS.get(op, reduce) if call.dtype == "bool" else reduce)
        tensor = call.op(function, tensor, axis=tuple(axes), keepdims=keep)
    if after:
        tensor = call.op(getattr(call.ops, after), tensor, suffix=f"_{after}")
    return call.cast(tensor, call.dtype)


def _pools(dtype: str) -> bool:
    return "float" in dtype


_EXTREMA = {"ArgMax": "argmax", "ArgMin": "argmin"}


@lowers(*_EXTREMA, layout=rules.reduction)
def index_of_extremum(call: Call) -> Tensor:
    """The last index of equals is the first one from the other end."""
    axis, tensor = call.axis(call.attr("axis", 0)), call.tensor()
    last = bool(call.attr("select_last_index", 0))
    if last:
        tensor = call.op(call.ops.flip, tensor, axis=axis, suffix="_flip")
    keep = bool(call.attr("keepdims", 1))
    index = call.op(getattr(call.ops, _EXTREMA[call.node.op]), tensor, axis=axis, keepdims=keep)
    if last:
        size = call.shape()[call.attr("axis", 0)] or 0
        index = call.op(call.ops.subtract, size - 1, index, suffix="_last")
    return call.cast(index, call.dtype)
