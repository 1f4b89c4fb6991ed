"""Products with constant weights."""

from __future__ import annotations

import numpy as np

from exporter.conversions.onnx2keras import rules
from exporter.conversions.onnx2keras.graph import Graph, Node
from exporter.conversions.onnx2keras.lower import Call
from exporter.conversions.onnx2keras.registry import Tensor, lowers


def _refuse_gemm(node: Node, graph: Graph) -> str | None:
    if graph.constant(node, 1) is None or graph.constant(node, 0) is not None:
        return "its weights are computed, not constant"
    if node.attributes.get("transA", 0):
        return "transA=1"
    if node.has(2):
        bias = graph.constant(node, 2)
        if bias is None or (bias.ndim == 2 and bias.shape[0] != 1):
            return "its bias is computed, or differs from row to row"
    return None


@lowers("Gemm", layout=rules.dense, refuse=_refuse_gemm)
def gemm(call: Call) -> Tensor:
    kernel, alpha = call.weights(1, transposed=bool(call.attr("transB", 0))), call.attr("alpha", 1.0)
    if alpha != 1:
        kernel = kernel * kernel.dtype.type(alpha)
    units, bias = kernel.shape[1], call.constant(2)
    if bias is None:
        return call.layer(call.layers.Dense, kernel, units=units, use_bias=False)(call.tensor())
    scaled = np.broadcast_to((bias * bias.dtype.type(call.attr("beta", 1.0))).ravel(), (units,))
    return call.layer(call.layers.Dense, kernel, scaled, units=units)(call.tensor())


def _refuse_matmul(node: Node, graph: Graph) -> str | None:
    weights = graph.constant(node, 1)
    if weights is None or graph.constant(node, 0) is not None:
        return "a product of two computed tensors, or of a constant from the left"
    if weights.ndim != 2 or graph.rank(node.inputs[0]) < 2:
        return f"weights of rank {weights.ndim} and a tensor of rank {graph.rank(node.inputs[0])}"
    return None


@lowers("MatMul", layout=rules.dense, refuse=_refuse_matmul)
def matmul(call: Call) -> Tensor:
    """A third input is the bias that ``simplify`` found in the Add after it."""
    kernel, bias = call.weights(1), call.constant(2)
    biases = [] if bias is None else [bias]
    config = {"units": kernel.shape[1], "use_bias": bias is not None}
    return call.layer(call.layers.Dense, kernel, *biases, **config)(call.tensor())
