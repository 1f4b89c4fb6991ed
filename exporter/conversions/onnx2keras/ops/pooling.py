"""Pooling, channels last."""

from __future__ import annotations

from typing import Any

import numpy as np

from exporter.conversions.onnx2keras import rules
from exporter.conversions.onnx2keras.graph import Graph, Node
from exporter.conversions.onnx2keras.lower import Call
from exporter.conversions.onnx2keras.registry import Tensor, lowers
from exporter.conversions.onnx2keras.windows import Window, padding, windows

_NEVER_NEGATIVE = {"Relu", "Sigmoid", "HardSigmoid", "Softmax", "Softplus", "Abs", "Exp"}


def _windows(node: Node, graph: Graph) -> tuple[Window, ...] | str:
    return windows(node, graph.shape(node.inputs[0]), node.attributes["kernel_shape"])


def _refuse(node: Node, graph: Graph) -> str | None:
    rank = graph.rank(node.inputs[0])
    if rank != 4:
        return f"input of rank {rank} (only rank 4 is supported)"
    if len(node.outputs) > 1 and node.outputs[1]:
        return "the output of indices"
    if max(node.attributes.get("dilations", (1,))) > 1:
        return f"dilations {node.attributes['dilations']}"
    found = _windows(node, graph)
    if isinstance(found, str):
        return found
    dynamic = (
        node.op == "AveragePool" and padding(found) == "explicit" and any(w.inputs is None for w in found)
    )
    return "pads over a dynamic axis" if dynamic else None


@lowers("MaxPool", layout=rules.spatial, refuse=_refuse)
def max_pool(call: Call) -> Tensor:
    """Pads may not win: they are zero only where no input is negative, else the lowest number there is."""
    found = _windows(call.node, call.graph)
    assert not isinstance(found, str)
    tensor, same = call.tensor(), padding(found) == "same"
    if padding(found) == "explicit":
        pads = tuple((window.before, window.after) for window in found)
        if _never_negative(call.node.inputs[0], call.graph):
            tensor = call.layer(call.layers.ZeroPadding2D, suffix="_pad", padding=pads)(tensor)
        else:
            lowest = float(np.finfo(call.dtype).min)
            every = ((0, 0), *pads, (0, 0))
            tensor = call.op(call.ops.pad, tensor, every, "constant", lowest, suffix="_pad")
    return call.layer(call.layers.MaxPooling2D, **_config(found, same))(tensor)


@lowers("AveragePool", layout=rules.spatial, refuse=_refuse)
def average_pool(call: Call) -> Tensor:
    """Keras counts no pads under "same" and all of them after an explicit one: what else ONNX asks for is a factor."""
    found = _windows(call.node, call.graph)
    assert not isinstance(found, str)
    tensor, counted = call.tensor(), bool(call.attr("count_include_pad", 0))
    same = padding(found) == "same" and not (counted and any(any(window.declared) for window in found))
    if same or padding(found) == "valid":
        return call.layer(call.layers.AveragePooling2D, **_config(found, same))(tensor)
    pads = tuple((window.before, window.after) for window in found)
    tensor = call.layer(call.layers.ZeroPadding2D, suffix="_pad", padding=pads)(tensor)
    tensor = call.layer(call.layers.AveragePooling2D, **_config(found, False))(tensor)
    rows, columns = (window.size / np.array(window.real(counted), call.dtype) for window in found)
    factor = (rows[:, None] * columns)[:, :, None].astype(call.dtype)
    return tensor if np.all(factor == 1) else call.op(call.ops.multiply, tensor, factor, suffix="_count")


def _global_refuse(node: Node, graph: Graph) -> str | None:
    rank = graph.rank(node.inputs[0])
    return None if rank == 4 else f"input of rank {rank} (only rank 4 is supported)"


@lowers("GlobalAveragePool", layout=rules.spatial, refuse=_global_refuse)
def global_average_pool(call: Call) -> Tensor:
    return call.layer(call.layers.GlobalAveragePooling2D, keepdims=True)(call.tensor())


@lowers("GlobalMaxPool", layout=rules.spatial, refuse=_global_refuse)
def global_max_pool(call: Call) -> Tensor:
    return call.layer(call.layers.GlobalMaxPooling2D, keepdims=True)(call.tensor())


def _config(found: tuple[Window, ...], same: bool) -> dict[str, Any]:
    return {
        "pool_size": tuple(window.size for window in found),
        "strides": tuple(window.stride for window in found),
        "padding": "same" if same else "valid",
    }


def _never_negative(name: str, graph: Graph) -> bool:
    node = graph.producers.get(name)
    if node is None:
        return False
    if node.op == "Clip":
        low = graph.constant(node, 1)
        return low is not None and low.item() >= 0
    if node.op in ("MaxPool", "AveragePool", "Identity", "Dropout", "Concat"):
        return all(
            _never_negative(source, graph) for source in node.inputs[: 1 if node.op != "Concat" else None]
        )
    return node.op in _NEVER_NEGATIVE
