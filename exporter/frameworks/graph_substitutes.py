"""Operators that a runtime or a converter lacks, said with others that it has, in a GraphDef.

A substitute takes the operation and returns the tensor that takes its output's place, or None where this one can
stay as it is. Here are the mechanism and what several need; each table is where its runtime or converter is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Substitute = Callable[[Any], Any]

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


def substitute(graph_def: Any, table: Mapping[str, Substitute]) -> Any:
    """The GraphDef with a substitute for each operation that needs one; what it replaces is left without a reader."""
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        for operation in graph.get_operations():
            make = table.get(operation.type)
            with tf.name_scope(f"{operation.name}/"):  # the layers' names are those of the nodes
                made = make(operation) if make else None
            if made is not None:
                _replace(operation.outputs[0], made)
        return graph.as_graph_def()


def _replace(tensor: Any, by: Any) -> None:
    for reader in tensor.consumers():
        for place, read in enumerate(reader.inputs):
            if read is tensor:
                reader._update_input(place, by)


def conv2d(operation: Any) -> Any:
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


def erfc(operation: Any) -> Any:
    """TensorFlow's exact GELU has it."""
    import tensorflow as tf

    return 1 - tf.math.erf(operation.inputs[0])


def softsign(operation: Any) -> Any:
    """``x / (1 + abs(x))``."""
    import tensorflow as tf

    x = operation.inputs[0]
    return x / (1 + tf.abs(x))


def expm1(operation: Any) -> Any:
    """``exp(x) - 1``; what it loses near 0 is below float32's rounding of the activations that use it."""
    import tensorflow as tf

    return tf.exp(operation.inputs[0]) - 1


def sign_bit(operation: Any) -> Any:
    """Keras's sign bit of a float, ``bitcast(x) & int32.min``, as ``x < 0``: -0.0 counts as 0. Other uses stay."""
    import tensorflow as tf

    bits, mask = operation.inputs
    if bits.op.type != "Bitcast" or tf.get_static_value(mask) != tf.int32.min:
        return None
    return tf.where(bits.op.inputs[0] < 0, tf.int32.min, 0)
