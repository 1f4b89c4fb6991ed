"""A frozen graph computing in float64: what exports are judged by, for Keras, tf_keras and SavedModels alike.

TensorFlow has no switch for it, and Keras's own float64 rounds to float32 in places. Here every float32 type and
constant of the graph is widened. Operators without a float64 kernel are written as others that have one, or the
graph is refused by their names. Runs in a TensorFlow child.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from exporter.frameworks.frozen_graph import Frozen
from exporter.frameworks.graph_substitutes import Substitute, conv2d, sign_bit, substitute
from runtimes.base import Array
from runtimes.errors import UnavailableError

Node = Any


def as_float64(frozen: Frozen) -> Frozen:
    """The same graph and weights in float64; half-precision types are widened too.

    Raises UnavailableError that names every operator for which TensorFlow has no float64 kernel.
    """
    from tensorflow.compat.v1.graph_util import extract_sub_graph

    ends = [name.partition(":")[0] for name in (*frozen.inputs.values(), *frozen.outputs.values())]
    wide = extract_sub_graph(substitute(frozen.graph_def, _SUBSTITUTES), ends)
    for node in wide.node:
        _widen(node)
    for function in wide.library.function:
        for argument in (*function.signature.input_arg, *function.signature.output_arg):
            argument.type = _wider(argument.type)
        for node in function.node_def:
            _widen(node)
    missing = _without_kernel([*wide.node, *(node for f in wide.library.function for node in f.node_def)])
    if missing:
        raise UnavailableError(
            f"TensorFlow cannot compute {', '.join(missing)} in float64, so there is no exact reference"
        )
    return Frozen(wide, frozen.inputs, frozen.outputs)


def _wider(type_: int) -> int:
    """The DataType's number for float64 where it is float32, float16 or bfloat16, possibly as a reference type."""
    base, reference = (type_ - 100, 100) if type_ > 100 else (type_, 0)
    return reference + (2 if base in (1, 14, 19) else base)


def _widen(node: Node) -> None:
    from tensorflow.python.framework.tensor_util import MakeNdarray, make_tensor_proto

    for attr in node.attr.values():
        kind = attr.WhichOneof("value")
        if kind == "type":
            attr.type = _wider(attr.type)
        elif kind == "list" and attr.list.type:
            attr.list.type[:] = [_wider(type_) for type_ in attr.list.type]
        elif kind == "tensor" and _wider(attr.tensor.dtype) != attr.tensor.dtype:
            attr.tensor.CopyFrom(make_tensor_proto(MakeNdarray(attr.tensor).astype(np.float64)))


def _without_kernel(nodes: Iterable[Node]) -> list[str]:
    """Operators that have no CPU kernel for their types, or that compute in float32 whatever their types are."""
    from tensorflow.python.framework import kernels, op_def_registry

    missing = set()
    for node in nodes:
        definition = op_def_registry.get(node.op)
        if definition is None:  # a function of the graph's own library
            continue
        fixed = any(
            argument.type in (1, 14, 19) for argument in (*definition.input_arg, *definition.output_arg)
        )
        registered = [
            kernel
            for kernel in kernels.get_registered_kernels_for_op(node.op).kernel
            if kernel.device_type == "CPU"
        ]
        fits = not registered or any(_fits(node, kernel) for kernel in registered)
        if fixed or not fits:
            missing.add(node.op)
    return sorted(missing)


def _fits(node: Node, kernel: Any) -> bool:
    return all(
        node.attr[rule.name].type in rule.allowed_values.list.type
        for rule in kernel.constraint
        if node.attr[rule.name].WhichOneof("value") == "type"
    )


def _batch_norm(operation: Any) -> Any:
    """``(x - mean) * (scale * rsqrt(variance + epsilon)) + offset``; not where it computes the statistics itself."""
    import tensorflow as tf

    if operation.get_attr("is_training"):
        return None
    x, scale, offset, mean, variance = operation.inputs
    factor = scale * tf.math.rsqrt(variance + operation.get_attr("epsilon"))
    if operation.get_attr("data_format") == b"NCHW":
        factor, offset, mean = (tf.reshape(vector, (-1, 1, 1)) for vector in (factor, offset, mean))
    return (x - mean) * factor + offset


def _resize_bilinear(operation: Any) -> Any:
    """Two multiplications by interpolation matrices; not where the sizes are known only at run time."""
    import tensorflow as tf

    images, size = operation.inputs[0], tf.get_static_value(operation.inputs[1])
    if size is None or None in (images.shape[1:3] if images.shape.rank else [None]):
        return None
    options = {name: operation.get_attr(name) for name in ("half_pixel_centers", "align_corners")}
    rows, columns = (
        # A constant of float64, whatever the graph around it is: the cast is widened with the rest.
        tf.cast(tf.constant(interpolation(before, int(after), **options)), tf.float32)
        for before, after in zip(images.shape[1:3], size, strict=True)
    )
    return tf.einsum("hi,wj,bijc->bhwc", rows, columns, tf.cast(images, tf.float32))


def _max_pool_3d(operation: Any) -> Any:
    """Over height and width with the depth in the batch, then over depth; not where sizes are unknown."""
    import tensorflow as tf

    x, padding = operation.inputs[0], operation.get_attr("padding").decode()
    if operation.get_attr("data_format") != b"NDHWC" or None in x.shape[1:]:
        return None
    _, depth, height, width, channels = x.shape
    size, strides = operation.get_attr("ksize")[1:4], operation.get_attr("strides")[1:4]
    x = tf.reshape(x, (-1, height, width, channels))
    x = tf.nn.max_pool2d(x, size[1:], strides[1:], padding)
    height, width = x.shape[1:3]
    x = tf.reshape(x, (-1, depth, height * width, channels))
    x = tf.nn.max_pool2d(x, (size[0], 1), (strides[0], 1), padding)
    return tf.reshape(x, (-1, x.shape[1], height, width, channels))


def interpolation(before: int, after: int, *, half_pixel_centers: bool, align_corners: bool) -> Array:
    """The matrix, shape (after, before), of TensorFlow's linear resize along one axis."""
    index = np.arange(after, dtype=np.float64)
    if align_corners and after > 1:
        at = index * ((before - 1) / (after - 1))
    elif half_pixel_centers:
        at = (index + 0.5) * (before / after) - 0.5
    else:
        at = index * (before / after)
    low = np.floor(at)
    weight = at - low
    matrix = np.zeros((after, before))
    rows = np.arange(after)
    np.add.at(matrix, (rows, np.clip(low, 0, before - 1).astype(int)), 1 - weight)
    np.add.at(matrix, (rows, np.clip(low + 1, 0, before - 1).astype(int)), weight)
    return matrix


_SUBSTITUTES: dict[str, Substitute] = {
    "BitwiseAnd": sign_bit,
    "Conv2D": conv2d,
    "FusedBatchNorm": _batch_norm,
    "FusedBatchNormV2": _batch_norm,
    "FusedBatchNormV3": _batch_norm,
    "MaxPool3D": _max_pool_3d,
    "ResizeBilinear": _resize_bilinear,
}
