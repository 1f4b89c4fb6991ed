"""Graph -> Graph: GELU, which ONNX has since opset 20, found where an exporter wrote it as x * (1 + erf(x / sqrt 2)) / 2."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

from exporter.conversions.onnx2keras.graph import Graph, Node


def with_gelu(graph: Graph) -> Graph:
    """One Gelu for what an Erf is a part of, in whatever order its factors come."""
    uses = Counter([name for node in graph.nodes for name in node.inputs] + list(graph.outputs))
    readers = {name: node for node in graph.nodes for name in node.inputs}
    found: dict[str, Node] = {}
    for node in graph.nodes:
        scaled = graph.producers.get(node.inputs[0]) if node.op == "Erf" else None
        source = _times(scaled, math.sqrt(0.5), graph) if scaled else None
        last = readers.get(node.outputs[0]) if source and uses[node.outputs[0]] == 1 else None
        if source is None or last is None or last.op != "Add" or _other(last, node.outputs[0], graph) != 1:
            continue
        missing = {source, 0.5}
        while missing and uses[last.outputs[0]] == 1 and (reader := readers.get(last.outputs[0])):
            factors = _factors(reader, last.outputs[0], graph)
            if not factors or not factors <= missing:
                break
            last, missing = reader, missing - factors
        if not missing:
            found[last.outputs[0]] = replace(last, op="Gelu", inputs=(source,), attributes={})
    return replace(graph, nodes=tuple(found.get(node.outputs[0], node) for node in graph.nodes))


def _factors(node: Node, name: str, graph: Graph) -> set[str | float]:
    """By what this node multiplies the value ``name``: a tensor, one half, or half a tensor."""
    if node.op == "Div" and node.inputs[0] == name and _number(node.inputs[1], graph) == 2:
        return {0.5}
    if node.op != "Mul":
        return set()
    other = _other(node, name, graph)
    if isinstance(other, float):
        return {other}
    half = graph.producers.get(other)
    source = _times(half, 0.5, graph) if half else None
    return {source, 0.5} if source else {other}


def _times(node: Node, factor: float, graph: Graph) -> str | None:
    """What the node multiplies by this number, or divides by its inverse; None when it does something else."""
    if node.op == "Div" and _close(_number(node.inputs[1], graph), 1 / factor):
        return node.inputs[0]
    if node.op == "Mul":
        for number, tensor in (node.inputs, node.inputs[::-1]):
            if _close(_number(number, graph), factor):
                return tensor
    return None


def _other(node: Node, name: str, graph: Graph) -> str | float:
    """The operand beside ``name``: its number when it is one, else its name."""
    other = node.inputs[1] if node.inputs[0] == name else node.inputs[0]
    number = _number(other, graph)
    return other if number is None else number


def _number(name: str, graph: Graph) -> float | None:
    constant = graph.constants.get(name)
    return float(constant.item()) if constant is not None and constant.size == 1 else None


def _close(number: float | None, wanted: float) -> bool:
    """Equal but for float32's rounding."""
    return number is not None and math.isclose(number, wanted, rel_tol=1e-6)
