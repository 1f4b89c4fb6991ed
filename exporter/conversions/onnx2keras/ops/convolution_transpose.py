"""Transposed convolutions over one, two or three axes, channels last."""

from __future__ import annotations

import numpy as np

from exporter.conversions.onnx2keras import rules
from exporter.conversions.onnx2keras.graph import Array, Graph, Node
from exporter.conversions.onnx2keras.lower import Call
from exporter.conversions.onnx2keras.ops.convolution import convolve, padded, refuse_weights
from exporter.conversions.onnx2keras.registry import Tensor, lowers
from exporter.conversions.onnx2keras.windows import Spread, spreads


def _refuse(node: Node, graph: Graph) -> str | None:
    if reason := refuse_weights(node, graph):
        return reason
    kernel, shape = graph.constant(node, 1), graph.shape(node.inputs[0])
    assert kernel is not None
    found = spreads(node, shape, kernel.shape[2:])
    if isinstance(found, str):
        return found
    grouped = node.attributes.get("group", 1) > 1
    return "groups over a dynamic image" if grouped and None in shape[2:] else None


@lowers("ConvTranspose", layout=rules.spatial, refuse=_refuse)
def conv_transpose(call: Call) -> Tensor:
    kernel, bias = call.weights(1), call.constant(2)
    found = spreads(call.node, call.shape(), kernel.shape[2:])
    assert not isinstance(found, str)
    if call.attr("group", 1) > 1:
        return _grouped(call, kernel, found)
    kernel = _dilated(kernel, found)
    same = all(spread.is_same for spread in found)
    beyond = tuple(max(-spread.after, 0) for spread in found)
    config = {
        "filters": kernel.shape[1],
        "kernel_size": kernel.shape[2:],
        "strides": tuple(spread.stride for spread in found),
        "padding": "same" if same else "valid",
        # Keras by itself adds what a stride larger than the kernel leaves open at the end.
        "output_padding": beyond
        if not same and any(s.reach < s.stride or s.after < 0 for s in found)
        else None,
        "use_bias": bias is not None,
    }
    kind = getattr(call.layers, f"Conv{len(found)}DTranspose")
    weights = [kernel.transpose(*range(2, kernel.ndim), 1, 0), *([] if bias is None else [bias])]
    tensor = call.layer(kind, *weights, **config)(call.tensor())
    return tensor if same else _cropped(call, tensor, [(s.before, max(s.after, 0)) for s in found])


def _dilated(kernel: Array, found: tuple[Spread, ...]) -> Array:
    """The kernel with its dilation written out as zeros: TensorFlow has no dilated transposed convolution."""
    if all(spread.dilation == 1 for spread in found):
        return kernel
    wide = np.zeros((*kernel.shape[:2], *(spread.reach for spread in found)), kernel.dtype)
    wide[(slice(None), slice(None), *(slice(None, None, spread.dilation) for spread in found))] = kernel
    return wide


def _grouped(call: Call, kernel: Array, found: tuple[Spread, ...]) -> Tensor:
    """Zeros between the positions, then a grouped convolution with the kernel turned round.

    Keras's layer has no groups. ``kernel`` is (channels, filters / group, ...).
    """
    group, axes = call.attr("group", 1), len(found)
    tensor, sizes = call.tensor(), call.shape()[2:]
    if any(spread.stride > 1 for spread in found):
        apart = [n for size in sizes for n in (size, 1)]
        tensor = call.op(call.ops.reshape, tensor, (-1, *apart, call.shape()[1]), suffix="_apart")
        gaps = [pair for spread in found for pair in ((0, 0), (0, spread.stride - 1))]
        tensor = call.op(call.ops.pad, tensor, ((0, 0), *gaps, (0, 0)), suffix="_gaps")
        wide = [(size or 0) * spread.stride for size, spread in zip(sizes, found, strict=True)]
        tensor = call.op(call.ops.reshape, tensor, (-1, *wide, call.shape()[1]), suffix="_wide")
    pads = [(s.reach - 1 - s.before, s.reach - s.stride - s.after) for s in found]
    cuts = [(max(-before, 0), max(-after, 0)) for before, after in pads]
    tensor = _cropped(call, tensor, cuts, suffix="_ends")
    pads = [(max(before, 0), max(after, 0)) for before, after in pads]
    if any(map(any, pads)):
        tensor = padded(call, tensor, pads)
    turned = np.flip(kernel, tuple(range(2, kernel.ndim)))
    apart_by_group = turned.reshape(group, -1, *turned.shape[1:]).swapaxes(1, 2)
    filters = apart_by_group.reshape(-1, *apart_by_group.shape[2:])
    dilations = tuple(spread.dilation for spread in found)
    config = {"strides": (1,) * axes, "dilation_rate": dilations, "padding": "valid"}
    return convolve(call, tensor, filters, group, config)


def _cropped(call: Call, tensor: Tensor, cuts: list[tuple[int, int]], suffix: str = "_crop") -> Tensor:
    if not any(map(any, cuts)):
        return tensor
    kind = getattr(call.layers, f"Cropping{len(cuts)}D")
    return call.layer(kind, suffix=suffix, cropping=tuple(cuts) if len(cuts) > 1 else cuts[0])(tensor)
