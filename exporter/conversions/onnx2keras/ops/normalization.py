"""Normalisation with constant parameters: a layer for each that Keras has, with the source's weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from exporter.conversions.onnx2keras import rules
from exporter.conversions.onnx2keras.graph import Array, Graph, Node
from exporter.conversions.onnx2keras.layout import Assignment, Layouts, plain
from exporter.conversions.onnx2keras.lower import Call
from exporter.conversions.onnx2keras.registry import Tensor, lowers


def _refuse_parameters(node: Node, graph: Graph) -> str | None:
    computed = any(node.has(i) and graph.constant(node, i) is None for i in range(1, len(node.inputs)))
    return "its parameters are computed, not constant" if computed else None


def _refuse_batch(node: Node, graph: Graph) -> str | None:
    if node.attributes.get("training_mode", 0) or any(node.outputs[1:]):
        return "training mode"
    if not node.attributes.get("spatial", 1):
        return "spatial=0"
    rank = graph.rank(node.inputs[0])
    return _refuse_parameters(node, graph) if rank >= 2 else f"input of rank {rank}"


@lowers("BatchNormalization", layout=rules.follow, refuse=_refuse_batch)
def batch_normalization(call: Call) -> Tensor:
    parameters = [call.weights(index) for index in range(1, 5)]
    config = {
        "axis": call.axis(1),
        "epsilon": call.attr("epsilon", 1e-5),
        "momentum": call.attr("momentum", 0.9),
    }
    return call.layer(call.layers.BatchNormalization, *parameters, **config)(call.tensor())


def _refuse_groups(node: Node, graph: Graph) -> str | None:
    shape = graph.shape(node.inputs[0])
    if len(shape) < 3 or None in shape[1:]:
        return f"input of shape {shape}: its channels and positions must be known"
    return _refuse_parameters(node, graph)


@lowers("InstanceNormalization", layout=rules.spatial, refuse=_refuse_groups)
def instance_normalization(call: Call) -> Tensor:
    """Keras's group normalisation with one channel in each group."""
    return _group(call, call.shape()[1] or 1)


@lowers("GroupNormalization", layout=rules.spatial, refuse=_refuse_groups)
def group_normalization(call: Call) -> Tensor:
    return _group(call, call.attr("num_groups", 1))


def _group(call: Call, groups: int) -> Tensor:
    """Before opset 21 a group's channels share their scale and bias."""
    channels = call.shape()[1] or 1
    parameters = [call.weights(index) for index in (1, 2)]
    parameters = [array.repeat(channels // array.size) for array in parameters]
    config = {"groups": groups, "axis": -1, "epsilon": call.attr("epsilon", 1e-5)}
    return call.layer(call.layers.GroupNormalization, *parameters, **config)(call.tensor())


def _normalized(node: Node, graph: Graph) -> tuple[int, ...]:
    """The ONNX axes that LayerNormalization and RMSNormalization span: all from ``axis`` on."""
    rank = graph.rank(node.inputs[0])
    return tuple(range(node.attributes.get("axis", -1) % rank, rank))


def last_axes(node: Node, graph: Graph, have: Layouts) -> Assignment:
    """Where it lies if the normalised axes are the last ones there: Keras broadcasts the parameters from the right."""
    axes, rank = _normalized(node, graph), graph.rank(node.inputs[0])
    layout = have[0].without_features() if have[0] else plain(rank)
    if set(layout.order[-len(axes) :]) != set(axes):
        layout = plain(rank)
    if node.op == "LayerNormalization" and len(axes) == 1 and have[0] and have[0].flat is None:
        layout = have[0]  # of one axis, it broadcasts them along that one
    return Assignment((layout, *[None] * (len(have) - 1)), (layout,) * len(node.outputs))


def _refuse_layer(node: Node, graph: Graph) -> str | None:
    shape = graph.shape(node.inputs[0])
    if any(shape[axis] is None for axis in _normalized(node, graph)):
        return f"axis {node.attributes.get('axis', -1)} of shape {shape}: the normalised sizes must be known"
    return _refuse_parameters(node, graph)


@lowers("LayerNormalization", layout=last_axes, refuse=_refuse_layer)
def layer_normalization(call: Call) -> Tensor:
    weights = [_parameter(call, 1), *([_parameter(call, 2)] if call.node.has(2) else [])]
    config = {"center": call.node.has(2), **_over_axes(call)}
    normalized = call.layer(call.layers.LayerNormalization, *weights, **config)(call.tensor())
    if not any(call.node.outputs[1:]):
        return normalized
    return normalized, *_statistics(call, config["axis"], config["epsilon"])


def _statistics(call: Call, axis: int | list[int], epsilon: float) -> tuple[Tensor, Tensor]:
    """The mean, and one divided by the deviation, which LayerNormalization may give beside its result."""
    ops = call.ops
    dtypes = [call.graph.dtype(name) if name else call.dtype for name in (*call.node.outputs[1:], "")[:2]]
    mean = call.op(ops.mean, call.tensor(), axis=axis, keepdims=True, suffix="_mean")
    centred = call.op(ops.subtract, call.tensor(), mean, suffix="_centred")
    squares = call.op(ops.square, centred, suffix="_squares")
    variance = call.op(ops.mean, squares, axis=axis, keepdims=True, suffix="_variance")
    inverse = call.op(ops.rsqrt, ops.add(variance, epsilon), suffix="_inverse_deviation")
    return call.cast(mean, dtypes[0]), call.cast(inverse, dtypes[1])


@lowers("RMSNormalization", layout=last_axes, refuse=_refuse_layer)
def rms_normalization(call: Call) -> Tensor:
    return call.layer(call.layers.RMSNormalization, _parameter(call, 1), **_over_axes(call))(call.tensor())


def _over_axes(call: Call) -> dict[str, Any]:
    axes = sorted(call.axis(axis) for axis in _normalized(call.node, call.graph))
    return {"axis": axes if len(axes) > 1 else axes[0], "epsilon": call.attr("epsilon", 1e-5)}


def _parameter(call: Call, index: int) -> Array:
    """A scale or bias in the order of the normalised axes here, of their full shape."""
    axes = _normalized(call.node, call.graph)
    constant = call.constant(index)
    assert constant is not None
    full = np.broadcast_to(constant, [call.shape()[axis] or 1 for axis in axes])
    return full.transpose([axes.index(axis) for axis in call.layout.order if axis in axes])


@lowers("LpNormalization", layout=rules.follow_axes)
def lp_normalization(call: Call) -> Tensor:
    """Divided by the norm, or 0 where that is 0."""
    tensor, axis, ops = call.tensor(), call.axis(call.attr("axis", -1)), call.ops
    if call.attr("p", 2) == 1:
        sizes = call.op(ops.absolute, tensor, suffix="_abs")
        norm = call.op(ops.sum, sizes, axis=axis, keepdims=True, suffix="_norm")
    else:
        squares = call.op(ops.square, tensor, suffix="_square")
        total = call.op(ops.sum, squares, axis=axis, keepdims=True, suffix="_sum")
        norm = call.op(ops.sqrt, total, suffix="_norm")
    smallest = float(np.finfo(call.dtype).tiny)
    return call.op(ops.divide, tensor, call.op(ops.maximum, norm, smallest, suffix="_positive"))


def _refuse_response(node: Node, graph: Graph) -> str | None:
    shape = graph.shape(node.inputs[0])
    return None if len(shape) > 1 and shape[1] else f"input of shape {shape}: its channels must be known"


@lowers("LRN", layout=rules.spatial, refuse=_refuse_response)
def local_response_normalization(call: Call) -> Tensor:
    """The sums over neighbouring channels are a product with a matrix that has ``alpha / size`` in a band."""
    channels, size = call.shape()[1] or 1, call.attr("size", 1)
    offset = np.subtract.outer(np.arange(channels), np.arange(channels))
    near = (-((size - 1) // 2) <= -offset) & (-offset <= size // 2)
    band = near.T * (call.attr("alpha", 1e-4) / size)
    rank = len(call.shape())
    squares = call.op(call.ops.square, call.tensor(), suffix="_square")
    kernel = band.astype(call.dtype).reshape(*[1] * (rank - 2), channels, channels)
    product = call.ops.conv if rank > 2 else call.ops.matmul
    sums = call.op(product, squares, kernel, suffix="_sum")
    shifted = call.op(call.ops.add, sums, call.attr("bias", 1.0), suffix="_bias")
    factor = call.op(call.ops.power, shifted, -call.attr("beta", 0.75), suffix="_factor")
    return call.op(call.ops.multiply, call.tensor(), factor)
