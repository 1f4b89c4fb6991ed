"""Pooling over one, two or three axes, channels last."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from exporter.conversions.onnx2keras import rules
from exporter.conversions.onnx2keras.graph import Array, Graph, Node
from exporter.conversions.onnx2keras.lower import Call
from exporter.conversions.onnx2keras.ops.convolution import padded
from exporter.conversions.onnx2keras.registry import Tensor, lowers
from exporter.conversions.onnx2keras.windows import Window, padding, windows

_NEVER_NEGATIVE = {"Relu", "Sigmoid", "HardSigmoid", "Softmax", "Softplus", "Abs", "Exp"}
_PASS_ON = {"MaxPool", "AveragePool", "Identity", "Dropout", "Concat", "Reshape", "Transpose"}


def _windows(node: Node, graph: Graph) -> tuple[Window, ...] | str:
    return windows(node, graph.shape(node.inputs[0]), node.attributes["kernel_shape"])


def _refuse(node: Node, graph: Graph) -> str | None:
    rank = graph.rank(node.inputs[0])
    if not 3 <= rank <= 5:
        return f"input of rank {rank} (only ranks 3, 4 and 5 are supported)"
    if len(node.outputs) > 1 and node.outputs[1]:
        return "the output of indices"
    if "float" not in (dtype := graph.dtype(node.inputs[0])):
        return f"an input of type {dtype}"
    found = _windows(node, graph)
    if isinstance(found, str):
        return found
    if any(window.dilation > 1 and window.inputs is None for window in found):
        return "dilations over a dynamic axis"
    return None


@lowers("MaxPool", layout=rules.spatial, refuse=_refuse)
def max_pool(call: Call) -> Tensor:
    """Pads may not win: they are zero only where no input is negative, else the lowest number there is."""
    found = _windows(call.node, call.graph)
    assert not isinstance(found, str)
    tensor, how = call.tensor(), padding(found)
    dilated = any(window.dilation > 1 for window in found)
    if how == "explicit" or (how == "same" and dilated):
        pads, how = [(window.before, window.after) for window in found], "valid"
        if _never_negative(call.node.inputs[0], call.graph):
            tensor = padded(call, tensor, pads)
        else:
            lowest = float(np.finfo(call.dtype).min)
            every = ((0, 0), *pads, (0, 0))
            tensor = call.op(call.ops.pad, tensor, every, "constant", lowest, suffix="_pad")
    tensor = _dilated(call, tensor, found, call.ops.maximum)
    return _pool(call, "MaxPooling", tensor, found, how)


def _refuse_average(node: Node, graph: Graph) -> str | None:
    if reason := _refuse(node, graph):
        return reason
    found = _windows(node, graph)
    assert not isinstance(found, str)
    dynamic = padding(found) == "explicit" and any(window.inputs is None for window in found)
    # Without rounding up, a window over pads that count needs no correction.
    if dynamic and node.attributes.get("count_include_pad", 0) and node.attributes.get("ceil_mode", 0):
        return "pads that count, rounded up over a dynamic axis"
    return None


@lowers("AveragePool", layout=rules.spatial, refuse=_refuse_average)
def average_pool(call: Call) -> Tensor:
    """Keras counts no pads under "same" and all of them after an explicit one: what else ONNX asks for is a factor."""
    found = _windows(call.node, call.graph)
    assert not isinstance(found, str)
    tensor, counted, how = call.tensor(), bool(call.attr("count_include_pad", 0)), padding(found)
    dilated = any(window.dilation > 1 for window in found)
    if how == "same" and ((counted and any(any(window.declared) for window in found)) or dilated):
        how = "explicit"
    if how != "explicit" and not dilated:
        return _pool(call, "AveragePooling", tensor, found, how)
    pads = [(window.before, window.after) for window in found]
    inside = tensor
    if any(map(any, pads)):
        tensor = padded(call, tensor, pads)
    tensor = _dilated(call, tensor, found, call.ops.add)
    tensor = _pool(call, "AveragePooling", tensor, found, "valid")
    if all(window.inputs is not None for window in found):
        factor = _factor(found, counted).astype(call.dtype)
        return tensor if np.all(factor == 1) else call.op(call.ops.multiply, tensor, factor, suffix="_count")
    if counted:
        return tensor
    ones = call.op(lambda image: call.ops.ones_like(image[..., :1]), inside, suffix="_ones")
    kind = getattr(call.layers, f"ZeroPadding{len(pads)}D")
    ones = call.layer(kind, suffix="_ones_pad", padding=tuple(pads) if len(pads) > 1 else pads[0])(ones)
    share = _pool(call, "AveragePooling", ones, found, "valid", suffix="_share")
    return call.op(call.ops.divide, tensor, share, suffix="_count")


def _factor(found: tuple[Window, ...], counted: bool) -> Array:
    """What an average over all positions of each window is multiplied by; shape (outputs..., 1)."""
    factor: Array = np.ones(1)
    for window in found:
        # Positions of a dilated window were added, not averaged.
        share = (1 if window.dilation > 1 else window.size) / np.array(window.real(counted))
        factor = factor[..., None, :] * share[:, None]
    return factor


@lowers("LpPool", layout=rules.spatial, refuse=lambda node, graph: _refuse(node, graph) or _refuse_lp(node))
def lp_pool(call: Call) -> Tensor:
    found = _windows(call.node, call.graph)
    assert not isinstance(found, str)
    size = math.prod(1 if window.dilation > 1 else window.size for window in found)
    tensor = _dilated(call, _power(call, call.tensor()), found, call.ops.add)
    mean = _pool(call, "AveragePooling", tensor, found, "valid")
    return _root(call, call.op(call.ops.multiply, mean, size, suffix="_sum"))


def _refuse_lp(node: Node) -> str | None:
    """ONNX's text and its reference implementation disagree on what a pad counts for."""
    if any(node.attributes.get("pads", ())) or node.attributes.get("auto_pad", "NOTSET").startswith("SAME"):
        return "pads"
    return "ceil_mode" if node.attributes.get("ceil_mode", 0) else None


@lowers("GlobalAveragePool", layout=rules.spatial)
def global_average_pool(call: Call) -> Tensor:
    return _global(call, "GlobalAveragePooling", call.ops.mean)


@lowers("GlobalMaxPool", layout=rules.spatial)
def global_max_pool(call: Call) -> Tensor:
    return _global(call, "GlobalMaxPooling", call.ops.max)


@lowers("GlobalLpPool", layout=rules.spatial)
def global_lp_pool(call: Call) -> Tensor:
    axes = tuple(range(1, len(call.shape()) - 1))
    powers = _power(call, call.tensor())
    return _root(call, call.op(call.ops.sum, powers, axis=axes, keepdims=True, suffix="_sum"))


def _global(call: Call, kind: str, function: Callable[..., Tensor]) -> Tensor:
    axes = len(call.shape()) - 2
    if 1 <= axes <= 3:
        return call.layer(getattr(call.layers, f"{kind}{axes}D"), keepdims=True)(call.tensor())
    return call.op(function, call.tensor(), axis=tuple(range(1, axes + 1)), keepdims=True)


def _power(call: Call, tensor: Tensor) -> Tensor:
    """Absolute values to the power of p."""
    p = call.attr("p", 2)
    if p == 2:
        return call.op(call.ops.square, tensor, suffix="_square")
    absolute = call.op(call.ops.absolute, tensor, suffix="_abs")
    return absolute if p == 1 else call.op(call.ops.power, absolute, float(p), suffix="_power")


def _root(call: Call, tensor: Tensor) -> Tensor:
    p = call.attr("p", 2)
    if p == 2:
        return call.op(call.ops.sqrt, tensor)
    return tensor if p == 1 else call.op(call.ops.power, tensor, 1 / p)


def _dilated(
    call: Call, tensor: Tensor, found: tuple[Window, ...], combine: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """The windows of each dilated axis combined, from one slice for each of their positions; Keras has no dilation."""
    for axis, window in enumerate(found, start=1):
        if window.dilation == 1 or window.outputs is None:
            continue
        span = (window.outputs - 1) * window.stride + 1
        starts = range(0, window.reach, window.dilation)
        cuts = [(*[slice(None)] * axis, slice(start, start + span, window.stride)) for start in starts]
        parts = [call.op(lambda whole, cut=cut: whole[cut], tensor, suffix="_part") for cut in cuts]
        tensor = reduce(lambda a, b: call.op(combine, a, b, suffix="_combine"), parts)
    return tensor


def _pool(
    call: Call, kind: str, tensor: Tensor, found: tuple[Window, ...], how: str, suffix: str = ""
) -> Tensor:
    """The layer, over the axes that are not dilated."""
    config: dict[str, Any] = {
        "pool_size": tuple(1 if window.dilation > 1 else window.size for window in found),
        "strides": tuple(1 if window.dilation > 1 else window.stride for window in found),
        "padding": how,
    }
    if set(config["pool_size"]) == {1} == set(config["strides"]):
        return tensor
    return call.layer(getattr(call.layers, f"{kind}{len(found)}D"), suffix=suffix, **config)(tensor)


def _never_negative(name: str, graph: Graph) -> bool:
    node = graph.producers.get(name)
    if node is None:
        return False
    if node.op == "Clip":
        low = graph.constant(node, 1)
        return low is not None and low.item() >= 0
    if node.op in _PASS_ON:
        return all(_never_negative(name, graph) for name in node.inputs[: None if node.op == "Concat" else 1])
    return node.op in _NEVER_NEGATIVE
