"""What TF.js has no kernel for, said with operators that it has: one function for each operator, in ``SUBSTITUTES``.

A substitute takes the operation and returns the tensor that takes its output's place, or None when TF.js can run
this one as it is.
"""

from __future__ import annotations

from typing import Any

# Keras has grouped convolutions compiled by XLA; a call with these attributes is never inlined.
_COMPILED = ("_XlaMustCompile", "_noinline")


def without_compiled_calls(graph_def: Any) -> Any:
    """The GraphDef with its XLA-compiled calls as plain ones, which the optimiser's ``function`` pass inlines."""
    plain = type(graph_def)()
    plain.CopyFrom(graph_def)
    calls = [node for node in plain.node if "_XlaMustCompile" in node.attr]
    for node in calls:
        node.op = "PartitionedCall"
    for holder in (*calls, *plain.library.function):
        for name in _COMPILED:
            holder.attr.pop(name, None)
    return plain


def substitute(graph_def: Any) -> Any:
    """The GraphDef with a substitute for each operation that needs one; what it replaces is left without a reader."""
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        for operation in graph.get_operations():
            make = SUBSTITUTES.get(operation.type)
            made = make(operation) if make else None
            if made is not None:
                _replace(operation.outputs[0], made)
        return graph.as_graph_def()


def _replace(tensor: Any, by: Any) -> None:
    for reader in tensor.consumers():
        for place, read in enumerate(reader.inputs):
            if read is tensor:
                reader._update_input(place, by)


def _conv2d(operation: Any) -> Any:
    """Grouped: a depthwise convolution where a group is one channel, else one convolution for each group."""
    import tensorflow as tf

    images, kernel = operation.inputs
    height, width, channels, out = kernel.shape
    attributes = {
        name: operation.get_attr(name) for name in ("strides", "dilations", "padding", "data_format")
    }
    if attributes["data_format"] != b"NHWC" or not images.shape[-1] or images.shape[-1] == channels:
        return None
    groups = images.shape[-1] // channels
    _, down, across, _ = attributes["strides"]
    dilated = max(attributes["dilations"]) > 1
    if channels == 1 and down == across and not (dilated and down > 1):
        # Output g * m + j is the j-th of input channel g in both kernels.
        kernel = tf.reshape(kernel, (height, width, groups, out // groups))
        return tf.raw_ops.DepthwiseConv2dNative(input=images, filter=kernel, **attributes)
    parts = zip(tf.split(images, groups, -1), tf.split(kernel, groups, -1), strict=True)
    return tf.concat([tf.raw_ops.Conv2D(input=x, filter=k, **attributes) for x, k in parts], -1)


def _erfc(operation: Any) -> Any:
    """TensorFlow's exact GELU has it."""
    import tensorflow as tf

    return 1 - tf.math.erf(operation.inputs[0])


def _softsign(operation: Any) -> Any:
    import tensorflow as tf

    x = operation.inputs[0]
    return x / (1 + tf.abs(x))


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
    "Conv2D": _conv2d,
    "Erfc": _erfc,
    "Roll": _roll,
    "Softsign": _softsign,
    "SpaceToDepth": _space_to_depth,
}
