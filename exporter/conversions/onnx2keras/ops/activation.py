"""Activation functions: a layer where Keras has one."""

from __future__ import annotations

import math

import numpy as np

from exporter.conversions.onnx2keras import rules
from exporter.conversions.onnx2keras.graph import Graph, Node
from exporter.conversions.onnx2keras.lower import Call
from exporter.conversions.onnx2keras.registry import Tensor, lowers

_BY_NAME = {
    "HardSwish": "hard_swish",
    "Mish": "mish",
    "Selu": "selu",
    "Sigmoid": "sigmoid",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Tanh": "tanh",
}
_SELU = {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805}


def _refuse_by_name(node: Node, graph: Graph) -> str | None:
    given = {name: node.attributes[name] for name in _SELU if name in node.attributes and node.op == "Selu"}
    changed = any(not math.isclose(value, _SELU[name], rel_tol=1e-6) for name, value in given.items())
    return f"{given} (only Keras's constants are supported)" if changed else None


@lowers(*_BY_NAME, layout=rules.follow, refuse=_refuse_by_name)
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


def _refuse_prelu(node: Node, graph: Graph) -> str | None:
    return None if graph.constant(node, 1) is not None else "its slope is computed, not constant"


@lowers("PRelu", layout=rules.follow_samples, refuse=_refuse_prelu)
def prelu(call: Call) -> Tensor:
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


def _refuse_softmax(node: Node, graph: Graph) -> str | None:
    rank = graph.rank(node.inputs[0])
    axis = node.attributes.get("axis", -1 if graph.opset >= 13 else 1)
    if graph.opset < 13 and axis % rank != rank - 1:
        return f"axis {axis} of rank {rank} in opset {graph.opset}, where it spans all later axes"
    return None


@lowers("Softmax", layout=rules.follow, refuse=_refuse_softmax)
def softmax(call: Call) -> Tensor:
    axis = call.axis(call.attr("axis", -1))
    return call.layer(call.layers.Softmax, axis=axis)(call.tensor())


@lowers("LogSoftmax", layout=rules.follow, refuse=_refuse_softmax)
def log_softmax(call: Call) -> Tensor:
    return call.op(call.ops.log_softmax, call.tensor(), axis=call.axis(call.attr("axis", -1)))


def _limits(node: Node, graph: Graph) -> tuple[float | None, float | None]:
    """The bounds of a Clip, from the inputs or (opset 6) the attributes."""
    given = [graph.constant(node, 1), graph.constant(node, 2)]
    low, high = (None if limit is None else limit.item() for limit in given)
    return node.attributes.get("min", low), node.attributes.get("max", high)


def _refuse_clip(node: Node, graph: Graph) -> str | None:
    computed = any(node.has(index) and graph.constant(node, index) is None for index in (1, 2))
    return "its bounds are computed, not constant" if computed else None


@lowers("Clip", layout=rules.follow, refuse=_refuse_clip)
def clip(call: Call) -> Tensor:
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
