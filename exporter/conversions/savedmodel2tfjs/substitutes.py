"""What TF.js has no kernel for, or computes wrongly, said with operators that it has: ``SUBSTITUTES`` by operator."""

from __future__ import annotations

from typing import Any

import numpy as np

from exporter.frameworks.graph_substitutes import conv2d, erfc, sign_bit, softsign
from runtimes.base import Array


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
        return None
    return x + tf.reshape(bias, (-1, *[1] * (len(x.shape) - 2)))


def _batch_norm(operation: Any) -> Any:
    """In inference, after a convolution: folded into it."""
    import tensorflow as tf

    known = [tf.get_static_value(tensor) for tensor in operation.inputs[1:5]]
    if operation.get_attr("is_training") or any(value is None for value in known):
        return None
    scale, offset, mean, variance = known
    factor = scale / np.sqrt(variance.astype(np.float64) + operation.get_attr("epsilon"))
    return _folded(operation.inputs[0], factor, offset - mean * factor)


def _add(operation: Any) -> Any:
    """A number for each channel, after a convolution: a bias, which the optimiser fuses, with what stands between."""
    for x, other in (operation.inputs, reversed(operation.inputs)):
        shift = _by_channel(other, x)
        if shift is not None:
            return _folded(x, np.ones(shift.shape), shift)
    return None


def _folded(x: Any, factor: Array, shift: Array) -> Any:
    """``x * factor + shift`` as a convolution and its bias, where ``x`` is one that nothing else reads; else None.

    TensorFlow's optimiser folds a factor into Conv2D alone, and leaves the shift as an addition that it cannot fuse.
    """
    import tensorflow as tf

    operation = x.op
    if len(x.consumers()) != 1:
        return None
    if operation.type in ("BiasAdd", "Mul"):
        for inner, other in (operation.inputs, reversed(operation.inputs)):
            value = _by_channel(other, inner)
            if value is not None and operation.type == "Mul":
                return _folded(inner, factor * value, shift)
            if value is not None:
                return _folded(inner, factor, shift + factor * value)
        return None
    if operation.type not in ("Conv2D", "DepthwiseConv2dNative"):
        return None
    images, kernel = operation.inputs[0], tf.get_static_value(operation.inputs[1])
    if operation.get_attr("data_format") != b"NHWC" or kernel is None:
        return None
    # The channels of a depthwise convolution are the last two axes of its kernel, in the same order.
    by_channel = factor.reshape(kernel.shape[2:] if operation.type == "DepthwiseConv2dNative" else -1)
    names = ("strides", "dilations", "padding", "explicit_paddings", "data_format")
    attributes = {name: operation.get_attr(name) for name in names}
    folded = getattr(tf.raw_ops, operation.type)(
        input=images, filter=(kernel * by_channel).astype(kernel.dtype), **attributes
    )
    return tf.nn.bias_add(folded, shift.astype(kernel.dtype))


def _by_channel(tensor: Any, x: Any) -> Array | None:
    """The constant ``tensor`` as one float64 for each of the channels of the images ``x``, or None."""
    import tensorflow as tf

    if len(x.shape) != 4 or x.shape[-1] is None or not tensor.dtype.is_floating:
        return None
    value = tf.get_static_value(tensor)
    if value is None or value.size not in (1, x.shape[-1]) or (value.ndim and value.shape[-1] != value.size):
        return None
    return np.broadcast_to(value.reshape(-1).astype(np.float64), (x.shape[-1],))


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
    "AddV2": _add,
    "BatchMatMulV2": _batch_matmul,
    "BiasAdd": _bias_add,
    "BitwiseAnd": sign_bit,
    "Conv2D": conv2d,
    "Erfc": erfc,
    "FusedBatchNormV3": _batch_norm,
    "Roll": _roll,
    "Softsign": softsign,
    "SpaceToDepth": _space_to_depth,
}
