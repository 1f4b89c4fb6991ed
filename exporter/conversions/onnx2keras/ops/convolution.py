"""Convolutions, channels last."""

from __future__ import annotations

from exporter.conversions.onnx2keras import rules
from exporter.conversions.onnx2keras.graph import Graph, Node
from exporter.conversions.onnx2keras.lower import Call
from exporter.conversions.onnx2keras.registry import Tensor, lowers
from exporter.conversions.onnx2keras.windows import padding, windows


def _refuse(node: Node, graph: Graph) -> str | None:
    shape, kernel = graph.shape(node.inputs[0]), graph.constant(node, 1)
    if len(shape) != 4:
        return f"input of rank {len(shape)} (only rank 4 is supported)"
    if kernel is None or (node.has(2) and graph.constant(node, 2) is None):
        return "its weights are computed, not constant"
    if shape[1] is None:
        return "the number of channels is dynamic"
    strides = node.attributes.get("strides", (1, 1))
    if max(strides) > 1 and max(node.attributes.get("dilations", (1, 1))) > 1:
        return "strides and dilations together"
    if node.attributes.get("group", 1) == shape[1] > 1 and len(set(strides)) > 1:
        return f"a depthwise convolution with unequal strides {strides}"
    found = windows(node, shape, kernel.shape[2:])
    return found if isinstance(found, str) else None


@lowers("Conv", layout=rules.spatial, refuse=_refuse)
def conv(call: Call) -> Tensor:
    kernel, bias, group = call.weights(1), call.constant(2), call.attr("group", 1)
    found = windows(call.node, call.shape(), kernel.shape[2:])
    assert not isinstance(found, str)
    tensor, kind_of_padding = call.tensor(), padding(found)
    if kind_of_padding == "explicit":
        pads = tuple((window.before, window.after) for window in found)
        tensor = call.layer(call.layers.ZeroPadding2D, suffix="_pad", padding=pads)(tensor)
    config = {
        "kernel_size": kernel.shape[2:],
        "strides": tuple(window.stride for window in found),
        "dilation_rate": tuple(window.dilation for window in found),
        "padding": "same" if kind_of_padding == "same" else "valid",
        "use_bias": bias is not None,
    }
    outputs, channels = kernel.shape[0], call.shape()[1] or 0
    biases = [] if bias is None else [bias]
    if group == channels > 1:
        multiplier = outputs // channels
        depthwise = kernel.reshape(channels, multiplier, *kernel.shape[2:]).transpose(2, 3, 0, 1)
        kind, config["depth_multiplier"] = call.layers.DepthwiseConv2D, multiplier
        return call.layer(kind, depthwise, *biases, **config)(tensor)
    config |= {"filters": outputs, "groups": group}
    return call.layer(call.layers.Conv2D, kernel.transpose(2, 3, 1, 0), *biases, **config)(tensor)
