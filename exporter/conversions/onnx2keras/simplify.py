"""Graph -> Graph: rewrites that leave fewer nodes to lower. Each is pure, and says the same as before."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from exporter.conversions.onnx2keras.gelu import with_gelu
from exporter.conversions.onnx2keras.graph import Graph, Node, Shape
from exporter.conversions.onnx2keras.patterns import (
    with_early_splits,
    with_group_normalization,
    without_flat_products,
)
from exporter.conversions.onnx2keras.rules import reduced_axes

# Operators whose output shape says all that their second input says.
_SHAPED_BY_OUTPUT = {"Reshape", "Squeeze", "Unsqueeze"}
# Operators whose last input is the shape of their output.
_SHAPED_BY_SIZES = {"ConstantOfShape", "Expand"}
_REDUCTION_OF = {"GlobalAveragePool": "ReduceMean", "GlobalMaxPool": "ReduceMax"}


def simplify(graph: Graph) -> Graph:
    """All rewrites, in the order in which they help each other; the first two alone where a shape is not known.

    Such a graph is refused, with every node whose shape is missing, unless what is left of it knows all its shapes.
    """
    graph = without_dead_nodes(without_shape_arithmetic(graph))
    if not all(graph.knows(name) for node in graph.nodes for name in node.outputs if name):
        return graph
    graph = without_flat_products(with_early_splits(graph))
    graph = without_kept_axes(with_gelu(with_group_normalization(graph)))
    return without_dead_nodes(with_fused_biases(without_zero_biases(graph)))


def without_shape_arithmetic(graph: Graph) -> Graph:
    """No shape that is computed where it is known.

    Reshape, Squeeze and Unsqueeze keep only their tensor where the output's shape is known up to one axis; Expand
    and ConstantOfShape take as an attribute a shape that is known up to the sizes of dynamic axes.
    """

    def simpler(node: Node) -> Node:
        value = graph.values.get(node.outputs[0])
        shape = value.shape if value else None
        if node.op in _SHAPED_BY_OUTPUT and shape is not None and shape.count(None) <= 1:
            return replace(node, inputs=node.inputs[:1])
        sizes = graph.sizes.get(node.inputs[-1]) if node.op in _SHAPED_BY_SIZES and node.inputs else None
        if sizes is not None and None not in sizes:
            return replace(node, inputs=node.inputs[:-1], attributes={**node.attributes, "sizes": sizes})
        return node

    return replace(graph, nodes=tuple(map(simpler, graph.nodes)))


def without_kept_axes(graph: Graph) -> Graph:
    """A reduction whose only reader drops the axes that it kept drops them itself, as pooling before a classifier."""
    uses = _uses(graph)
    nodes: list[Node] = []
    at: dict[str, int] = {}  # where the node that computes each value stands in `nodes`
    for node in graph.nodes:
        place = at.get(node.inputs[0]) if node.op in _SHAPED_BY_OUTPUT | {"Flatten"} else None
        if place is not None and uses[node.inputs[0]] == 1:
            shorter = _dropping(nodes[place], graph)
            value = graph.values.get(node.outputs[0])
            if shorter and value and value.shape == _left(shorter, graph):
                nodes[place] = replace(shorter, outputs=node.outputs)
                continue
        at |= dict.fromkeys(node.outputs, len(nodes))
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def _dropping(node: Node, graph: Graph) -> Node | None:
    """A reduction that keeps its axes, as one that drops them; None for any other node."""
    value = graph.values.get(node.inputs[0]) if node.inputs else None
    if value is None or value.shape is None:
        return None
    if node.op in _REDUCTION_OF:
        spatial = tuple(range(2, graph.rank(node.inputs[0])))
        return replace(node, op=_REDUCTION_OF[node.op], attributes={"axes": spatial, "keepdims": 0})
    known = not node.has(1) or graph.constant(node, 1) is not None
    if node.op.startswith("Reduce") and known and node.attributes.get("keepdims", 1):
        return replace(node, attributes={**node.attributes, "keepdims": 0})
    return None


def _left(node: Node, graph: Graph) -> Shape:
    """The shape of a reduction that drops its axes."""
    shape = graph.shape(node.inputs[0])
    dropped = {axis % len(shape) for axis in reduced_axes(node, graph)}
    return tuple(size for axis, size in enumerate(shape) if axis not in dropped)


def without_zero_biases(graph: Graph) -> Graph:
    """A convolution loses a bias of zeros that the exporter made up; one that is the model's parameter stays."""

    def made_up(node: Node) -> bool:
        bias = graph.constant(node, 2)
        return bias is not None and node.inputs[2] not in graph.parameters and not bias.any()

    return replace(
        graph,
        nodes=tuple(
            replace(node, inputs=node.inputs[:2]) if node.op == "Conv" and made_up(node) else node
            for node in graph.nodes
        ),
    )


def with_fused_biases(graph: Graph) -> Graph:
    """A MatMul with constant weights whose only reader adds a constant vector takes it as a third input."""
    uses = _uses(graph)
    nodes: list[Node] = []
    at: dict[str, int] = {}  # where each MatMul that can take a bias stands in `nodes`
    for node in graph.nodes:
        product = next((name for name in node.inputs if name in at), None)
        bias = next((name for name in node.inputs if name in graph.constants), None)
        if node.op == "Add" and product and bias and uses[product] == 1:
            matmul = nodes[at[product]]
            if graph.constants[bias].shape == graph.constants[matmul.inputs[1]].shape[1:]:
                nodes[at[product]] = replace(matmul, inputs=(*matmul.inputs, bias), outputs=node.outputs)
                continue
        if node.op == "MatMul" and node.inputs[1] in graph.constants and graph.rank(node.inputs[1]) == 2:
            at[node.outputs[0]] = len(nodes)
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def _uses(graph: Graph) -> Counter[str]:
    """How often each value is read, by nodes and as an output."""
    return Counter([name for node in graph.nodes for name in node.inputs] + list(graph.outputs))


def without_dead_nodes(graph: Graph) -> Graph:
    """Only the nodes that an output depends on; an optional output that nobody reads is absent."""
    needed = set(graph.outputs)
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if needed.intersection(node.outputs):
            needed.update(node.inputs)
            first, *rest = node.outputs
            kept.append(replace(node, outputs=(first, *(name if name in needed else "" for name in rest))))
    return replace(graph, nodes=tuple(reversed(kept)))
