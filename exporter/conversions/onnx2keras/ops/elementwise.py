"""Arithmetic, element by element, with broadcasting."""

from __future__ import annotations

from exporter.conversions.onnx2keras import rules
from exporter.conversions.onnx2keras.graph import Graph, Node
from exporter.conversions.onnx2keras.lower import Call
from exporter.conversions.onnx2keras.registry import Tensor, lowers

_UNARY = {
    "Abs": "absolute",
    "Ceil": "ceil",
    "Cos": "cos",
    "Erf": "erf",
    "Exp": "exp",
    "Floor": "floor",
    "Log": "log",
    "Neg": "negative",
    "Round": "round",
    "Sign": "sign",
    "Sin": "sin",
    "Sqrt": "sqrt",
}
_BINARY = {
    "Add": "add",
    "Div": "divide",
    "Max": "maximum",
    "Min": "minimum",
    "Mul": "multiply",
    "Pow": "power",
    "Sub": "subtract",
    "Sum": "add",
}
_MERGE = {
    "Add": "Add",
    "Max": "Maximum",
    "Min": "Minimum",
    "Mul": "Multiply",
    "Sub": "Subtract",
    "Sum": "Add",
}


@lowers(*_UNARY, layout=rules.follow)
def unary(call: Call) -> Tensor:
    return call.op(getattr(call.ops, _UNARY[call.node.op]), call.tensor())


@lowers("Reciprocal", layout=rules.follow)
def reciprocal(call: Call) -> Tensor:
    return call.op(call.ops.divide, 1.0, call.tensor())


def _refuse(node: Node, graph: Graph) -> str | None:
    names = node.inputs[:1] if node.op == "Pow" and graph.constant(node, 1) is not None else node.inputs
    dtypes = {graph.dtype(name) for name in names}
    if node.op == "Div" and any("int" in dtype for dtype in dtypes):
        return "a division of integers"
    return f"operands of types {', '.join(sorted(dtypes))}" if len(dtypes) > 1 else None


@lowers(*_BINARY, layout=rules.elementwise, refuse=_refuse)
def binary(call: Call) -> Tensor:
    """Tensors of one rank meet in a merging layer; a constant, or another rank, in the operation itself."""
    op, indices = call.node.op, range(len(call.node.inputs))
    operands = [call.operand(index) for index in indices]
    alike = len({len(call.shape(index)) for index in indices}) == 1
    computed = all(call.constant(index) is None for index in indices)
    if alike and computed and len(operands) > 1 and op in _MERGE:
        return call.layer(getattr(call.layers, _MERGE[op]))(operands)
    result = operands[0]
    for operand in operands[1:]:
        result = call.op(getattr(call.ops, _BINARY[op]), result, operand)
    return result
