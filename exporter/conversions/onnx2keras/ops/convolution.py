"""Convolutions over one, two or three axes, channels last."""

from __future__ import annotations

from typing import Any

import numpy as np

from exporter.conversions.onnx2keras import rules
from exporter.conversions.onnx2keras.graph import Array, Graph, Node
from exporter.conversions.onnx2keras.lower import Call
from exporter.conversions.onnx2keras.registry import Tensor, lowers
from exporter.conversions.onnx2keras.windows import padding, steps, windows


def refuse_weights(node: Node, graph: Graph) -> str | None:
    """Why a convolution's tensors have no Keras layer, for Conv and ConvTranspose."""
    shape, kernel = graph.shape(node.inputs[0]), graph.constant(node, 1)
    if not 3 <= len(shape) <= 5:
        return f"input of rank {len(shape)} (only ranks 3, 4 and 5 are supported)"
    if kernel is None or (node.has(2) and graph.constant(node, 2) is None):
        return "its weights are computed, not constant"
    return "the number of channels is dynamic" if shape[1] is None else None


def _is_depthwise(node: Node, graph: Graph) -> bool:
    """Whether Keras has a depthwise layer for it: one channel in each group, over one or two axes."""
    shape = graph.shape(node.inputs[0])
    return node.attributes.get("group", 1) == shape[1] > 1 and len(shape) < 5  # type: ignore[operator]


def _refuse(node: Node, graph: Graph) -> str | None:
    if reason := refuse_weights(node, graph):
        return reason
    kernel = graph.constant(node, 1)
    assert kernel is not None
    found = windows(node, graph.shape(node.inputs[0]), kernel.shape[2:])
    if isinstance(found, str):
        return found
    sliced = not steps(found, equal=_is_depthwise(node, graph)).is_plain
    automatic = any(window.automatic for window in found)
    return "strides and dilations together, SAME_UPPER over a dynamic axis" if sliced and automatic else None


@lowers("Conv", layout=rules.spatial, refuse=_refuse)
def conv(call: Call) -> Tensor:
    kernel, group = call.weights(1), call.attr("group", 1)
    found = windows(call.node, call.shape(), kernel.shape[2:])
    assert not isinstance(found, str)
    depthwise = _is_depthwise(call.node, call.graph)
    stepping = steps(found, equal=depthwise)
    tensor, how = call.tensor(), padding(found)
    if how == "explicit" or (how == "same" and not stepping.is_plain):
        tensor, how = padded(call, tensor, [(window.before, window.after) for window in found]), "valid"
    tensor = _every(call, tensor, stepping.before, "_phase")
    config = {"strides": stepping.strides, "dilation_rate": stepping.dilations, "padding": how}
    tensor = convolve(call, tensor, kernel, group, config)
    return _every(call, tensor, stepping.after, "_stride")


def convolve(call: Call, tensor: Tensor, kernel: Array, group: int, config: dict[str, Any]) -> Tensor:
    """The layer, or for groups over three axes the layers, of an ONNX kernel (filters, channels / group, ...)."""
    axes = kernel.ndim - 2
    bias = call.constant(2)
    biases = [] if bias is None else [bias]
    config = {"kernel_size": kernel.shape[2:], "use_bias": bias is not None, **config}
    last = (*range(2, kernel.ndim), 1, 0)
    filters, channels = kernel.shape[0], kernel.shape[1] * group
    if group == channels > 1 and axes < 3:
        kind, multiplier = getattr(call.layers, f"DepthwiseConv{axes}D"), filters // channels
        if axes == 1:
            config |= {name: config[name][0] for name in ("kernel_size", "strides", "dilation_rate")}
        depthwise = kernel.reshape(channels, multiplier, *kernel.shape[2:]).transpose((*last[:-2], 0, 1))
        return call.layer(kind, depthwise, *biases, depth_multiplier=multiplier, **config)(tensor)
    kind = getattr(call.layers, f"Conv{axes}D")
    if group == 1 or axes < 3:
        config |= {"filters": filters, "groups": group}
        return call.layer(kind, kernel.transpose(last), *biases, **config)(tensor)
    # Neither TensorFlow nor TF Lite has a grouped convolution over three axes.
    parts = call.op(call.ops.split, tensor, group, axis=-1, suffix="_groups")
    kernels = np.split(kernel.transpose(last), group, axis=-1)
    offsets = [] if bias is None else np.split(bias, group)
    config |= {"filters": filters // group}
    results = [
        call.layer(kind, kernels[i], *([offsets[i]] if offsets else []), suffix=f"_group{i}", **config)(part)
        for i, part in enumerate(parts)
    ]
    return call.layer(call.layers.Concatenate, suffix="_join", axis=-1)(results)


def padded(call: Call, tensor: Tensor, pads: list[tuple[int, int]]) -> Tensor:
    """Zeros around the spatial axes of a channels-last tensor."""
    kind = getattr(call.layers, f"ZeroPadding{len(pads)}D")
    return call.layer(kind, suffix="_pad", padding=tuple(pads) if len(pads) > 1 else pads[0])(tensor)


def _every(call: Call, tensor: Tensor, strides: tuple[int, ...], suffix: str) -> Tensor:
    """Every so many positions of the spatial axes."""
    if set(strides) == {1}:
        return tensor
    cut = (slice(None), *(slice(None, None, stride) for stride in strides), slice(None))
    return call.op(lambda whole: whole[cut], tensor, suffix=suffix)
