"""Arithmetic, element by element, with broadcasting."""

from __future__ import annotations

import numpy as np

from exporter.conversions.onnx2keras import rules
from exporter.conversions.onnx2keras.graph import Graph, Node
from exporter.conversions.onnx2keras.lower import Call
from exporter.conversions.onnx2keras.registry import Tensor, lowers

_UNARY = {
    "Abs": "absolute",
    "Acos": "arccos",
    "Acosh": "arccosh",
    "Asin": "arcsin",
    "Asinh": "arcsinh",
    "Atan": "arctan",
    "Atanh": "arctanh",
    "Ceil": "ceil",
    "Cos": "cos",
    "Cosh": "cosh",
    "Erf": "erf",
    "Exp": "exp",
    "Floor": "floor",
    "Log": "log",
    "Neg": "negative",
    "Round": "round",
    "Sign": "sign",
    "Sin": "sin",
    "Sinh": "sinh",
    "Sqrt": "sqrt",
    "Tan": "tan",
}
_BINARY = {
    "Max": "maximum",
    "Min": "minimum",
    "Mul": "multiply",
    "Sub": "subtract",
}
_SUMS = {"Add", "Mean", "Sum"}
_MERGE = {
    "Add": "Add",
    "Max": "Maximum",
    "Min": "Minimum",
    "Mul": "Multiply",
    "Sub": "Subtract",
    "Sum": "Add",
}


def is_float(dtype: str) -> bool:
    return "float" in dtype


def refuse_uint64(node: Node, graph: Graph) -> str | None:
    wide = any(graph.dtype(name) == "uint64" for name in node.inputs if name)
    return "operands of type uint64, which Keras computes in uint32" if wide else None


@lowers(*_UNARY, layout=rules.follow)
def unary(call: Call) -> Tensor:
    return call.op(getattr(call.ops, _UNARY[call.node.op]), call.tensor())


@lowers("Reciprocal", layout=rules.follow)
def reciprocal(call: Call) -> Tensor:
    return call.op(call.ops.divide, 1.0, call.tensor())


@lowers(*_BINARY, *_SUMS, layout=rules.elementwise, refuse=refuse_uint64)
def binary(call: Call) -> Tensor:
    """Tensors of one rank and batch meet in a merging layer; a constant, or another rank, in the operation itself."""
    op, indices = call.node.op, range(len(call.node.inputs))
    operands = [call.operand(index) for index in indices]
    shapes = {tuple(getattr(operand, "shape", ())) for operand in operands}
    alike = len({(len(shape), *shape[:1]) for shape in shapes}) == 1 and () not in shapes
    computed = all(call.constant(index) is None for index in indices) and is_float(call.dtype)
    safe = len(shapes) == 1 or op not in _SUMS
    if alike and computed and safe and len(operands) > 1 and op in _MERGE:
        return call.layer(getattr(call.layers, _MERGE[op]))(operands)
    result = operands[0]
    for operand in operands[1:]:
        result = (
            call.add(result, operand)
            if op in _SUMS
            else call.op(getattr(call.ops, _BINARY[op]), result, operand)
        )
        result = call.cast(result, call.dtype)
    if op == "Mean" and len(operands) > 1:
        return call.op(call.ops.multiply, result, 1 / len(operands), suffix="_mean")
    return result


@lowers("Div", layout=rules.elementwise, refuse=refuse_uint64)
def divide(call: Call) -> Tensor:
    """Whole numbers are divided towards zero."""
    first, second = call.operand(0), call.operand(1)
    if is_float(call.dtype):
        return call.op(call.ops.divide, first, second)
    if call.dtype.startswith("uint"):
        return call.cast(call.op(call.ops.floor_divide, first, second), call.dtype)
    size = call.op(
        call.ops.floor_divide, call.ops.absolute(first), call.ops.absolute(second), suffix="_absolute"
    )
    sign = call.op(call.ops.multiply, call.ops.sign(first), call.ops.sign(second), suffix="_sign")
    return call.cast(call.op(call.ops.multiply, size, sign), call.dtype)


@lowers("Pow", layout=rules.elementwise, refuse=refuse_uint64)
def power(call: Call) -> Tensor:
    """The result has the type of the base; a whole base to a fraction is computed in float64."""
    exponent_type = call.graph.dtype(call.node.inputs[1])
    mixed = is_float(exponent_type) and not is_float(call.dtype)
    within = "float64" if mixed else call.dtype
    exponent = call.constant(1)
    if exponent is not None and exponent.size == 1 and exponent.item() == 2 and call.constant(0) is None:
        return call.op(call.ops.square, call.operand(0))
    result = call.op(call.ops.power, call.operand(0, within), call.operand(1, within))
    return call.cast(result, call.dtype)


@lowers("Mod", layout=rules.elementwise, refuse=refuse_uint64)
def modulo(call: Call) -> Tensor:
    """The sign is the divisor's, or with ``fmod`` the dividend's."""
    function = call.ops.fmod if call.attr("fmod", 0) else call.ops.mod
    return call.cast(call.op(function, call.operand(0), call.operand(1)), call.dtype)


@lowers("Where", layout=rules.elementwise)
def where(call: Call) -> Tensor:
    chosen, other = call.operand(1, call.dtype), call.operand(2, call.dtype)
    return call.cast(call.op(call.ops.where, call.operand(0), chosen, other), call.dtype)


@lowers("Cast", layout=rules.follow)
def cast(call: Call) -> Tensor:
    same = call.graph.dtype(call.node.inputs[0]) == call.dtype
    return call.tensor() if same else call.op(call.ops.cast, call.tensor(), call.dtype)


@lowers("IsInf", layout=rules.follow)
def is_infinite(call: Call) -> Tensor:
    negative, positive = call.attr("detect_negative", 1), call.attr("detect_positive", 1)
    if negative and positive:
        return call.op(call.ops.isinf, call.tensor())
    if not negative and not positive:
        return call.op(call.ops.zeros_like, call.tensor(), "bool")
    return call.op(call.ops.equal, call.tensor(), np.inf if positive else -np.inf)


@lowers("IsNaN", layout=rules.follow)
def is_nan(call: Call) -> Tensor:
    return call.op(call.ops.isnan, call.tensor())
