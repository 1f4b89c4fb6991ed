"""Matrix products: with constant weights a Dense layer, else ``keras.ops.matmul``."""

from __future__ import annotations

import numpy as np

from exporter.conversions.onnx2keras import rules
from exporter.conversions.onnx2keras.graph import Array, Graph, Node
from exporter.conversions.onnx2keras.layout import Assignment, Layout, Layouts, plain
from exporter.conversions.onnx2keras.lower import Call
from exporter.conversions.onnx2keras.registry import Tensor, lowers


def transposed(rank: int) -> Layout:
    """A matrix, or a stack of them, that lies with its last two axes exchanged."""
    return Layout((*range(rank - 2), rank - 1, rank - 2))


def gemm_rule(node: Node, graph: Graph, have: Layouts) -> Assignment:
    """A factor that Gemm transposes lies with its axes exchanged, so that nothing moves.

    Where ``simplify`` left more than one axis in front, it is a product with constant weights.
    """
    if graph.rank(node.inputs[0]) > 2:
        return rules.dense(node, graph, have)
    wants: list[Layout | None] = [
        layout and (transposed(2) if node.attributes.get(flag, 0) else plain(2))
        for layout, flag in zip(have, ("transA", "transB"), strict=False)
    ]
    weights = graph.constant(node, 1)
    if have[0] and weights is not None and not node.attributes.get("transA", 0) and have[0].order == (0, 1):
        wants[0] = have[0]  # permuted features go into the weights
    wants += [
        layout and plain(graph.rank(name)) for layout, name in zip(have[2:], node.inputs[2:], strict=True)
    ]
    return Assignment(tuple(wants), (plain(2),))


@lowers("Gemm", layout=gemm_rule)
def gemm(call: Call) -> Tensor:
    """``alpha * A @ B + beta * C``: a Dense layer where B is constant and C, if any, is one constant row."""
    alpha, beta = call.attr("alpha", 1.0), call.attr("beta", 1.0)
    bias = call.constant(2)
    if call.constant(0) is None and call.constant(1) is not None:
        kernel = call.weights(1, transposed=bool(call.attr("transB", 0)))
        kernel = kernel if alpha == 1 else kernel * kernel.dtype.type(alpha)
        units = kernel.shape[1]
        if bias is not None and (bias.ndim < 2 or bias.shape[0] == 1):
            row = np.broadcast_to((bias * bias.dtype.type(beta)).ravel(), (units,))
            return call.layer(call.layers.Dense, kernel, row, units=units)(call.tensor())
        product = call.layer(call.layers.Dense, kernel, units=units, use_bias=False)(call.tensor())
    else:
        factors = [
            _factor(call, 0, bool(call.attr("transA", 0))),
            _factor(call, 1, bool(call.attr("transB", 0))),
        ]
        product = call.op(call.ops.matmul, *factors)
        if alpha != 1:
            product = call.op(call.ops.multiply, product, alpha, suffix="_alpha")
    if not call.node.has(2):
        return product
    addend = call.tensor(2) if bias is None else bias * bias.dtype.type(beta)
    if bias is None and beta != 1:
        addend = call.op(call.ops.multiply, addend, beta, suffix="_beta")
    return call.add(product, addend, suffix="_bias")


def _factor(call: Call, index: int, transpose: bool) -> Tensor | Array:
    """A factor of a product as it is multiplied: a tensor lies transposed already."""
    constant = call.constant(index)
    if constant is None:
        return call.tensor(index)
    return constant.swapaxes(-1, -2) if transpose else constant


def _has_weights(node: Node, graph: Graph, index: int) -> bool:
    """Whether the factor at ``index`` is a constant matrix and the other a computed tensor."""
    other = node.inputs[1 - index]
    weights = graph.constant(node, index)
    return (
        weights is not None and weights.ndim == 2 and other not in graph.constants and graph.rank(other) > 1
    )


def matmul_rule(node: Node, graph: Graph, have: Layouts) -> Assignment:
    """Constant weights leave their tensor where it lies if the contracted axis is last there.

    Of two tensors, one that lies transposed makes the product lie transposed, by ``(AB)' = B'A'``.
    """
    ranks = [graph.rank(name) for name in node.inputs[:2]]
    if _has_weights(node, graph, 1):
        return rules.dense(node, graph, have)
    if _has_weights(node, graph, 0):
        layout = have[1].without_features() if have[1] else plain(ranks[1])
        if layout.order[-1] != ranks[1] - 2:
            layout = transposed(ranks[1])
        return Assignment((None, layout), (layout,))
    first = next(index for index in (0, 1) if have[index])
    turned = min(ranks) > 1 and have[first] == transposed(ranks[first])
    kind = transposed if turned else plain
    wants = tuple(layout and kind(rank) for layout, rank in zip(have, ranks, strict=True))
    return Assignment(wants, (kind(graph.rank(node.outputs[0])),))


@lowers("MatMul", layout=matmul_rule)
def matmul(call: Call) -> Tensor:
    """A third input is the bias that ``simplify`` found in the Add after it."""
    node, graph = call.node, call.graph
    if _has_weights(node, graph, 1):
        kernel, bias = call.weights(1), call.constant(2)
        biases = [] if bias is None else [bias]
        config = {"units": kernel.shape[1], "use_bias": bias is not None}
        return call.layer(call.layers.Dense, kernel, *biases, **config)(call.tensor())
    if _has_weights(node, graph, 0):
        left = call.constant(0)
        assert left is not None
        return call.layer(call.layers.Dense, left.T, units=left.shape[0], use_bias=False)(call.tensor(1))
    turned = call.output_layout != plain(len(call.output_layout.order))
    factors = [_factor(call, index, turned) for index in (0, 1)]
    return call.op(call.ops.matmul, *(reversed(factors) if turned else factors))
