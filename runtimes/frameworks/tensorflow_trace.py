"""Every tensor that a TensorFlow function computes: what the adapters of SavedModel and Keras show of their files."""

from __future__ import annotations

from typing import Any

from runtimes.base import Array, Feeds

# What holds weights or hands a tensor on computes nothing.
_PLUMBING = ("Const", "Placeholder", "Identity", "IdentityN", "NoOp")


def computed(function: Any, feeds: Feeds, where: str) -> dict[str, Array]:
    """The floating-point tensors of a ConcreteFunction on these inputs, by node name, on the device ``where``.

    Its variables become constants and its calls are inlined, so that every node is in one graph. As each is an output,
    TensorFlow fuses none of them.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    frozen = convert_variables_to_constants_v2(function)
    graph = frozen.graph
    tensors = [
        tensor
        for operation in graph.get_operations()
        if operation.type not in _PLUMBING
        for tensor in operation.outputs
        if tensor.dtype in (tf.float32, tf.float64, tf.float16)
    ]
    positional, keywords = function.structured_input_signature
    # Dictionaries are flattened by TensorFlow in the order of their sorted keys.
    names = sorted(keywords) or [spec.name for spec in tf.nest.flatten(positional)]
    by_name = dict(zip(names, frozen.inputs, strict=True))
    wrapped = tf.compat.v1.wrap_function(
        lambda: tf.graph_util.import_graph_def(graph.as_graph_def(), name=""), []
    )
    pruned = wrapped.prune(
        [wrapped.graph.get_tensor_by_name(by_name[name].name) for name in feeds],
        [wrapped.graph.get_tensor_by_name(tensor.name) for tensor in tensors],
    )
    with tf.device(where):
        values = pruned(*[tf.constant(array) for array in feeds.values()])
    return {
        tensor.name.removesuffix(":0"): value.numpy() for tensor, value in zip(tensors, values, strict=True)
    }
