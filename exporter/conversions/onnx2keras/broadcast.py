"""How operands of different shapes meet. Pure."""

from __future__ import annotations

from exporter.conversions.onnx2keras.graph import Array, Shape
from exporter.conversions.onnx2keras.layout import Layout


def aligned(constant: Array, layout: Layout) -> Array | float | int | bool:
    """A constant that broadcasts with tensors of this layout; a number when it is one."""
    if constant.size == 1:
        number: float | int | bool = constant.item()
        return number
    rank = len(layout.order)
    if constant.size == 0:
        return constant
    full = constant.reshape((1,) * (rank - constant.ndim) + constant.shape).transpose(layout.order)
    if layout.flat and full.shape[-1] != 1:
        full = full.take(layout.flat.index(), axis=-1)
    leading = next(axis for axis, size in enumerate(full.shape) if size != 1)
    return full.reshape(full.shape[leading:])


def misread_as_bias(first: Shape, second: Shape) -> bool:
    """Whether ``keras.ops.add`` on TensorFlow may add ``second`` along another axis than broadcasting would.

    It takes a second operand with one axis larger than 1 for a bias, if that is as long as the first operand's axis 1
    or its last one: (N, 4, 4) + (1, 4, 1) is added along the last axis. A dynamic axis may turn out to be 1.
    """
    larger = [axis for axis, size in enumerate(second) if size not in (None, 1)]
    dynamic = [axis for axis, size in enumerate(second) if size is None]
    if first == second or len(first) < 2 or len(larger) > 1:
        return False

    def confused(axis: int) -> bool:
        size = second[axis]
        if axis == len(second) - 1 and size is not None and first[-1] == size:
            return False
        return any(size is None or other is None or other == size for other in (first[1], first[-1]))

    return any(map(confused, larger or dynamic))
