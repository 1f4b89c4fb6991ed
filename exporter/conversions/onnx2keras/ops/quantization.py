"""Numbers on a grid: what a quantised file rounds to, computed as the file says."""

from __future__ import annotations

from typing import Any

import numpy as np

from exporter.conversions.onnx2keras import rules
from exporter.conversions.onnx2keras.graph import Array, Graph, Node
from exporter.conversions.onnx2keras.lower import Call
from exporter.conversions.onnx2keras.registry import Tensor, lowers


def _refuse(node: Node, graph: Graph) -> str | None:
    scale = graph.constant(node, 1)
    if scale is None or (node.has(2) and graph.constant(node, 2) is None):
        return "its scale or zero point is computed, not constant"
    if node.attributes.get("block_size", 0):
        return "scales of blocks"
    return None


def _along(call: Call, constant: Array) -> Any:
    """One number for all, or one for each place of the axis, where it broadcasts."""
    if constant.size == 1:
        return constant.item()
    axis = call.axis(call.attr("axis", 1))
    return constant.reshape([-1 if i == axis else 1 for i in range(len(call.shape()))])


def _zero(call: Call, dtype: str) -> Any:
    constant = call.constant(2)
    return 0 if constant is None else _along(call, constant.astype(dtype))


@lowers("QuantizeLinear", layout=rules.follow_axes, refuse=_refuse)
def quantize(call: Call) -> Tensor:
    """Rounded half to even, moved, and cut off at the ends of the type."""
    scale, limits, ops = call.constant(1), np.iinfo(call.dtype), call.ops
    assert scale is not None
    tensor = call.cast(call.tensor(), "float32")
    steps = call.op(ops.round, ops.divide(tensor, _along(call, scale.astype(np.float32))), suffix="_steps")
    moved = call.add(steps, _zero(call, "float32"), suffix="_moved")
    return call.op(ops.cast, ops.clip(moved, float(limits.min), float(limits.max)), call.dtype)


@lowers("DequantizeLinear", layout=rules.follow_axes, refuse=_refuse)
def dequantize(call: Call) -> Tensor:
    scale, ops = call.constant(1), call.ops
    assert scale is not None
    tensor = call.cast(call.tensor(), "float32")
    zero = _zero(call, "float32")
    moved = ops.subtract(tensor, zero) if np.any(zero) else tensor
    return call.cast(call.op(ops.multiply, moved, _along(call, scale.astype(np.float32))), call.dtype)
