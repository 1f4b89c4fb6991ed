"""Reductions over axes."""

from __future__ import annotations

from exporter.conversions.onnx2keras import rules
from exporter.conversions.onnx2keras.graph import Graph, Node
from exporter.conversions.onnx2keras.lower import Call
from exporter.conversions.onnx2keras.registry import Tensor, lowers

_REDUCTIONS = {
    "ReduceMax": "max",
    "ReduceMean": "mean",
    "ReduceMin": "min",
    "ReduceProd": "prod",
    "ReduceSum": "sum",
}
_GLOBAL_POOLS = {"ReduceMax": "GlobalMaxPooling2D", "ReduceMean": "GlobalAveragePooling2D"}


def _refuse(node: Node, graph: Graph) -> str | None:
    return "axes that are computed" if node.has(1) and graph.constant(node, 1) is None else None


@lowers(*_REDUCTIONS, layout=rules.reduction, refuse=_refuse)
def reduction(call: Call) -> Tensor:
    """The mean and the maximum of every channel have layers of their own."""
    op, tensor = call.node.op, call.tensor()
    keep = bool(call.attr("keepdims", 1))
    axes = sorted(call.axis(axis) for axis in rules.reduced_axes(call.node, call.graph))
    if not axes:
        return tensor
    if op in _GLOBAL_POOLS and len(call.shape()) == 4 and axes == [1, 2]:
        return call.layer(getattr(call.layers, _GLOBAL_POOLS[op]), keepdims=keep)(tensor)
    return call.op(getattr(call.ops, _REDUCTIONS[op]), tensor, axis=tuple(axes), keepdims=keep)
