"""Activation functions: a layer where Keras has one."""

from __future__ import annotations

import math

import numpy as np

from exporter.conversions.onnx2keras import rules
from exporter.conversions.onnx2keras.graph import Graph, Node
from exporter.conversions.onnx2keras.layout import Assignment, Layouts, Ways, plain
from exporter.conversions.onnx2keras.lower import Call
from exporter.conversions.onnx2keras.registry import Tensor, lowers

_BY_NAME = {
    "HardSwish": "hard_swish",
    "Mish": "mish",
    "Sigmoid": "sigmoid",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Tanh": "tanh",
}
_SELU = (1.6732632423543772, 1.0507009873554805)


@lowers(*_BY_NAME, layout=rules.follow)
def by_name(call: Call) -> Tensor:
    return call.layer(call.layers.Activation, activation=_BY_NAME[call.node.op])(call.tensor())


@lowers("Relu", layout=rules.follow)
def relu(call: Call) -> Tensor:
    return call.layer(call.layers.ReLU)(call.tensor())


@lowers("LeakyRelu", layout=rules.follow)
def leaky_relu(call: Call) -> Tensor:
    return call.layer(call.layers.LeakyReLU, negative_slope=call.attr("alpha", 0.01))(call.tensor())


@lowers("Elu", layout=rules.follow)
def elu(call: Call) -> Tensor:
    return call.layer(call.layers.ELU, alpha=call.attr("alpha", 1.0))(call.tensor())


@lowers("Selu", layout=rules.follow)
def selu(call: Call) -> Tensor:
    alpha, gamma = call.attr("alpha", _SELU[0]), call.attr("gamma", _SELU[1])
    if math.isclose(alpha, _SELU[0], rel_tol=1e-6) and math.isclose(gamma, _SELU[1], rel_tol=1e-6):
        return call.layer(call.layers.Activation, activation="selu")(call.tensor())
    unscaled = call.layer(call.layers.ELU, suffix="_elu", alpha=alpha)(call.tensor())
    return call.op(call.ops.multiply, unscaled, gamma)


@lowers("Celu", layout=rules.follow)
def celu(call: Call) -> Tensor:
    """An ELU in units of alpha."""
    alpha = call.attr("alpha", 1.0)
    if alpha == 1:
        return call.layer(call.layers.ELU)(call.tensor())
    scaled = call.op(call.ops.multiply, call.tensor(), 1 / alpha, suffix="_scale")
    unscaled = call.layer(call.layers.ELU, suffix="_elu")(scaled)
    return call.op(call.ops.multiply, unscaled, alpha)


@lowers("ThresholdedRelu", layout=rules.follow)
def thresholded_relu(call: Call) -> Tensor:
    above = call.op(call.ops.greater, call.tensor(), call.attr("alpha", 1.0), suffix="_above")
    return call.op(call.ops.where, above, call.tensor(), 0.0)


@lowers("Shrink", layout=rules.follow)
def shrink(call: Call) -> Tensor:
    """Towards 0 by the bias, and 0 within lambd of it."""
    lambd, bias, tensor, ops = call.attr("lambd", 0.5), call.attr("bias", 0.0), call.tensor(), call.ops
    size = call.op(ops.absolute, tensor, suffix="_abs")
    outside = call.op(ops.greater, size, lambd, suffix="_outside")
    if bias:
        sign = call.op(ops.sign, tensor, suffix="_sign")
        tensor = call.op(
            ops.subtract, tensor, call.op(ops.multiply, sign, bias, suffix="_bias"), suffix="_shift"
        )
    return call.op(ops.where, outside, tensor, 0.0)


@lowers("Swish", layout=rules.follow)
def swish(call: Call) -> Tensor:
    alpha = call.attr("alpha", 1.0)
    if alpha == 1:
        return call.layer(call.layers.Activation, activation="silu")(call.tensor())
    scaled = call.op(call.ops.multiply, call.tensor(), alpha, suffix="_scale")
    gate = call.op(call.ops.sigmoid, scaled, suffix="_gate")
    return call.op(call.ops.multiply, call.tensor(), gate)


def _slopes(node: Node, graph: Graph, have: Layouts) -> Ways:
    """Constant slopes are a layer's weights, which have no batch axis; others are one more tensor."""
    rule = rules.follow_samples if _are_weights(node, graph) else rules.elementwise
    return rule(node, graph, have)


def _are_weights(node: Node, graph: Graph) -> bool:
    slope, shape = graph.constant(node, 1), graph.shape(node.inputs[0])
    if slope is None or len(shape) < 2:
        return False
    sizes = (1,) * (len(shape) - slope.ndim) + slope.shape
    return sizes[0] == 1 and None not in shape[1:]


@lowers("PRelu", layout=_slopes)
def prelu(call: Call) -> Tensor:
    if not _are_weights(call.node, call.graph):
        below = call.op(call.ops.minimum, call.tensor(), 0.0, suffix="_below")
        sloped = call.op(call.ops.multiply, below, call.operand(1), suffix="_slope")
        above = call.op(call.ops.maximum, call.tensor(), 0.0, suffix="_above")
        return call.op(call.ops.add, above, sloped)
    slope, rank = call.weights(1), len(call.shape())
    full = slope.reshape((1,) * (rank - slope.ndim) + slope.shape).transpose(call.layout.order)[0]
    shared = [axis + 1 for axis, size in enumerate(full.shape) if size == 1]
    return call.layer(call.layers.PReLU, full, shared_axes=shared or None)(call.tensor())


@lowers("HardSigmoid", layout=rules.follow)
def hard_sigmoid(call: Call) -> Tensor:
    """Keras has the one with a slope of 1/6, which every framework of today uses."""
    alpha, beta = call.attr("alpha", 0.2), call.attr("beta", 0.5)
    if np.float32(alpha) == np.float32(1 / 6) and beta == 0.5:
        return call.layer(call.layers.Activation, activation="hard_sigmoid")(call.tensor())
    scaled = call.op(call.ops.multiply, call.tensor(), alpha, suffix="_scale")
    shifted = call.op(call.ops.add, scaled, beta, suffix="_shift")
    return call.op(call.ops.clip, shifted, 0.0, 1.0)


@lowers("Gelu", layout=rules.follow)
def gelu(call: Call) -> Tensor:
    if call.attr("approximate", "none") == "none":
        return call.layer(call.layers.Activation, activation="gelu")(call.tensor())
    return call.op(call.ops.gelu, call.tensor(), approximate=True)


def _axes(call: Call) -> list[int]:
    """The axes here that Softmax and its kin span: one, or before opset 13 all from ``axis`` on. Ones do not count."""
    rank = len(call.shape())
    if call.graph.opset >= 13:
        return [call.axis(call.attr("axis", -1))]
    spanned = range(call.attr("axis", 1) % rank, rank)
    return sorted(call.axis(axis) for axis in spanned if call.shape()[axis] != 1) or [call.axis(-1)]


@lowers("Softmax", layout=rules.follow)
def softmax(call: Call) -> Tensor:
    axes = _axes(call)
    return call.layer(call.layers.Softmax, axis=axes[0] if len(axes) == 1 else axes)(call.tensor())


@lowers("LogSoftmax", layout=rules.follow)
def log_softmax(call: Call) -> Tensor:
    axes = _axes(call)
    if len(axes) == 1:
        return call.op(call.ops.log_softmax, call.tensor(), axis=axes[0])
    total = call.op(call.ops.logsumexp, call.tensor(), axis=axes, keepdims=True, suffix="_total")
    return call.op(call.ops.subtract, call.tensor(), total)


def _refuse_hardmax(node: Node, graph: Graph) -> str | None:
    shape = graph.shape(node.inputs[0])
    axis = node.attributes.get("axis", -1 if graph.opset >= 13 else 1) % len(shape)
    if graph.opset < 13 and any(size != 1 for size in shape[axis + 1 :]):
        return f"axis {axis} of rank {len(shape)} in opset {graph.opset}, where it spans all later axes"
    return "a dynamic axis" if shape[axis] is None else None


@lowers("Hardmax", layout=rules.follow_axes, refuse=_refuse_hardmax)
def hardmax(call: Call) -> Tensor:
    """1 at the first of the largest, else 0."""
    onnx_axis = call.attr("axis", -1 if call.graph.opset >= 13 else 1)
    axis, size = call.axis(onnx_axis), call.shape()[onnx_axis]
    first = call.op(call.ops.argmax, call.tensor(), axis=axis, suffix="_argmax")
    last = axis == len(call.shape()) - 1
    return call.op(call.ops.one_hot, first, size, axis=-1 if last else axis, dtype=call.dtype)


def _bounds(node: Node, graph: Graph, have: Layouts) -> Assignment:
    tensor = rules.follow(node, graph, have[:1])
    return Assignment((*tensor.wants, *(layout and plain(0) for layout in have[1:])), tensor.gives)


def _limits(node: Node, graph: Graph) -> tuple[float | None, float | None]:
    """The bounds of a Clip, from the inputs or (opset 6) the attributes."""
    given = [graph.constant(node, 1), graph.constant(node, 2)]
    low, high = (None if limit is None else limit.item() for limit in given)
    return node.attributes.get("min", low), node.attributes.get("max", high)


@lowers("Clip", layout=_bounds)
def clip(call: Call) -> Tensor:
    """A bound may be computed."""
    if any(call.node.has(index) and call.constant(index) is None for index in (1, 2)):
        tensor = call.tensor()
        for index, function in ((1, call.ops.maximum), (2, call.ops.minimum)):
            if call.node.has(index):
                tensor = call.op(function, tensor, call.operand(index), suffix="_low" if index == 1 else "")
        return tensor
    low, high = _limits(call.node, call.graph)
    floating = np.issubdtype(np.dtype(call.dtype), np.floating)
    if low == 0 and floating:
        return call.layer(call.layers.ReLU, max_value=high)(call.tensor())
    if low is None and high is None:
        return call.tensor()
    if low is None:
        return call.op(call.ops.minimum, call.tensor(), high)
    if high is None:
        return call.op(call.ops.maximum, call.tensor(), low)
    return call.op(call.ops.clip, call.tensor(), low, high)
