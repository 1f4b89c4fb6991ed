"""Comparisons, and logic on booleans and on bits."""

from __future__ import annotations

import numpy as np

from exporter.conversions.onnx2keras import rules
from exporter.conversions.onnx2keras.lower import Call
from exporter.conversions.onnx2keras.ops.elementwise import refuse_uint64
from exporter.conversions.onnx2keras.registry import Tensor, lowers

_BINARY = {
    "And": "logical_and",
    "BitwiseAnd": "bitwise_and",
    "BitwiseOr": "bitwise_or",
    "BitwiseXor": "bitwise_xor",
    "Equal": "equal",
    "Greater": "greater",
    "GreaterOrEqual": "greater_equal",
    "Less": "less",
    "LessOrEqual": "less_equal",
    "Or": "logical_or",
    "Xor": "logical_xor",
}
_NOT = {"BitwiseNot": "bitwise_not", "Not": "logical_not"}


@lowers(*_BINARY, layout=rules.elementwise, refuse=refuse_uint64)
def binary(call: Call) -> Tensor:
    operands = [call.operand(index) for index in (0, 1)]
    if call.node.op.startswith("Bitwise"):  # Keras takes no numbers here
        ones = (1,) * len(call.output_shape)
        operands = [np.full(ones, x, call.dtype) if isinstance(x, int) else x for x in operands]
    return call.op(getattr(call.ops, _BINARY[call.node.op]), *operands)


@lowers(*_NOT, layout=rules.follow)
def inverse(call: Call) -> Tensor:
    return call.op(getattr(call.ops, _NOT[call.node.op]), call.tensor())


@lowers("BitShift", layout=rules.elementwise, refuse=refuse_uint64)
def shift(call: Call) -> Tensor:
    """By less than nothing, or by more than there are bits: what stays is the sign."""
    left, width, value = call.attr("direction", "") == "LEFT", np.iinfo(call.dtype).bits, call.operand(0)
    by, ops = call.operand(1), call.ops
    beyond = ops.logical_or(ops.less(by, 0), ops.greater_equal(by, width))
    safe = ops.where(beyond, ops.zeros_like(by), by)
    shifted = call.op(ops.left_shift if left else ops.right_shift, value, safe)
    if left or call.dtype.startswith("uint"):
        return call.op(ops.where, beyond, ops.zeros_like(shifted), shifted, suffix="_kept")
    sign = ops.right_shift(value, ops.full_like(safe, width - 1))
    return call.op(ops.where, beyond, sign, shifted, suffix="_kept")
