"""What TF.js has no kernel for, or computes wrongly, said with operators that it has: ``SUBSTITUTES`` by operator."""

from __future__ import annotations

from typing import Any

from exporter.conversions.savedmodel2tfjs import folding
from exporter.conversions.savedmodel2tfjs.einsum import einsum
from exporter.frameworks.graph_substitutes import conv2d, erfc, sign_bit, softsign


def _batch_matmul(operation: Any) -> Any:
    """Broadcast in any way but along leading axes.

    The kernels of TF.js 4.22 take matrix i modulo the number of matrices on each side, which is then another one.
    """
    import tensorflow as tf

    a, b = operation.inputs
    rank = max(len(a.shape), len(b.shape)) - 2
    of_a, of_b = (
        [1] * (rank + 2 - len(tensor.shape)) + tensor.shape.as_list()[:-2] for tensor in operation.inputs
    )
    wide_a = [axis for axis in range(rank) if of_a[axis] == 1 != of_b[axis]]
    wide_b = [axis for axis in range(rank) if of_b[axis] == 1 != of_a[axis]]
    leads_a, leads_b = _leading(of_a, wide_a), _leading(of_b, wide_b)
    if leads_a and leads_b and not (wide_a and wide_b):
        return None
    if wide_a and (wide_b or not leads_a):
        a = _tiled(a, wide_a, of_b, b)
    if not leads_b:
        b = _tiled(b, wide_b, of_a, operation.inputs[0])
    adjoint = {name: operation.get_attr(name) for name in ("adj_x", "adj_y")}
    return tf.raw_ops.BatchMatMulV2(x=a, y=b, **adjoint)


def _leading(sizes: list[int | None], axes: list[int]) -> bool:
    """Whether nothing but axes of size 1 stands before the last of ``axes``."""
    return all(size == 1 for size in sizes[: max(axes, default=0)])


def _tiled(tensor: Any, axes: list[int], sizes: list[int | None], like: Any) -> Any:
    """Repeated along ``axes`` to ``sizes``, which are those of ``like``, None where only its value says them."""
    import tensorflow as tf

    rank = len(sizes) + 2
    while len(tensor.shape) < rank:
        tensor = tf.expand_dims(tensor, 0)
    multiples = [1] * rank
    for axis in axes:
        multiples[axis] = sizes[axis] or tf.shape(like)[axis - rank + len(like.shape)]
    return tf.tile(tensor, multiples)


def _bias_add(operation: Any) -> Any:
    """Channels first, as Keras adds a constant of shape (channels, 1, 1): the kernels add to the last axis."""
    import tensorflow as tf

    x, bias = operation.inputs
    if operation.get_attr("data_format") != b"NCHW":
        return folding.bias(operation)
    return x + tf.reshape(bias, (-1, *[1] * (len(x.shape) - 2)))


def _roll(operation: Any) -> Any:
    """Along each axis, the end before the beginning. Not where a shift, an axis or a size is only known at run time."""
    import tensorflow as tf

    x, shifts, axes = operation.inputs
    known = tf.get_static_value(shifts), tf.get_static_value(axes)
    if any(value is None for value in known):
        return None
    for shift, axis in zip(*(value.reshape(-1).tolist() for value in known), strict=True):
        size = x.shape[axis]
        if not size:
            return None
        x = tf.concat(tf.split(x, [size - shift % size, shift % size], axis)[::-1], axis)
    return x


def _space_to_depth(operation: Any) -> Any:
    import tensorflow as tf

    x, block = operation.inputs[0], operation.get_attr("block_size")
    _, height, width, channels = x.shape
    if operation.get_attr("data_format") != b"NHWC" or None in (height, width):
        return None
    x = tf.reshape(x, (-1, height // block, block, width // block, block, channels))
    return tf.reshape(
        tf.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, height // block, width // block, channels * block**2)
    )


SUBSTITUTES = {
    **folding.FOLDS,
    "BatchMatMulV2": _batch_matmul,
    "BiasAdd": _bias_add,
    "BitwiseAnd": sign_bit,
    "Conv2D": conv2d,
    "Einsum": einsum,
    "Erfc": erfc,
    "Roll": _roll,
    "Softsign": softsign,
    "SpaceToDepth": _space_to_depth,
}
