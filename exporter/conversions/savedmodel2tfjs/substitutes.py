"""What TF.js has no kernel for, said with operators that it has: ``SUBSTITUTES`` by operator."""

from __future__ import annotations

from typing import Any

from exporter.graph_substitutes import conv2d, erfc, softsign


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
    "Conv2D": conv2d,
    "Erfc": erfc,
    "Roll": _roll,
    "Softsign": softsign,
    "SpaceToDepth": _space_to_depth,
}
