"""What follows a contraction, folded into its kernel or brought next to it, where ``fuse`` then finds it: ``FOLDS``.

TensorFlow's optimiser folds a factor into Conv2D alone, and leaves the shift of a batch norm as an addition.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from runtimes.base import Array

# The contractions: their arguments, of which the kernel is the second, the kernel's axes that make the channels of the
# output, and the attributes that say what is computed.
_IMAGES = ("strides", "dilations", "padding", "explicit_paddings", "data_format")
_CONTRACTIONS: dict[str, tuple[tuple[str, ...], tuple[int, ...], tuple[str, ...]]] = {
    "Conv2D": (("input", "filter"), (3,), _IMAGES),
    "DepthwiseConv2dNative": (("input", "filter"), (2, 3), _IMAGES),
    "Conv2DBackpropInput": (("input_sizes", "filter", "out_backprop"), (2,), _IMAGES),
    "MatMul": (("a", "b"), (1,), ("transpose_a", "transpose_b")),
}
# What changes the shape in front of the channels: a dense layer has it around its product, a 1-D convolution behind.
_VIEWS = ("Reshape", "Squeeze")


def batch_norm(operation: Any) -> Any:
    """In inference, after a contraction: folded into it."""
    import tensorflow as tf

    known = [tf.get_static_value(tensor) for tensor in operation.inputs[1:5]]
    if operation.get_attr("is_training") or any(value is None for value in known):
        return None
    scale, offset, mean, variance = known
    factor = scale / np.sqrt(variance.astype(np.float64) + operation.get_attr("epsilon"))
    return _folded(operation.inputs[0], factor, offset - mean * factor)


def add(operation: Any) -> Any:
    """A number for each channel, after a contraction: a bias, with what stands between folded into both."""
    for x, other in (operation.inputs, reversed(operation.inputs)):
        shift = _by_channel(other, x)
        if shift is not None:
            return _folded(x, np.ones(shift.shape), shift)
        shift = _by_heads(other, x)
        if shift is not None and len(x.consumers()) == 1:
            folded = _folded(x.op.inputs[0], np.ones(shift.shape), shift)
            return None if folded is None else _viewed(x.op, folded)
    return None


def bias(operation: Any) -> Any:
    """As ``add``, unless it follows its contraction already."""
    return None if operation.inputs[0].op.type in _CONTRACTIONS else add(operation)


def product(operation: Any) -> Any:
    """With a turned kernel of its own: turned here, because one that TF.js turns is not fused."""
    import tensorflow as tf

    a, kernel = operation.inputs
    value = tf.get_static_value(kernel)
    if not operation.get_attr("transpose_b") or value is None or len(kernel.consumers()) != 1:
        return None
    return tf.raw_ops.MatMul(a=a, b=value.T, transpose_a=operation.get_attr("transpose_a"))


def activation(operation: Any) -> Any:
    """Computed before a change of shape that follows a bias: number by number, so it does not matter."""
    import tensorflow as tf

    view = operation.inputs[0].op
    if view.type not in _VIEWS or len(view.outputs[0].consumers()) != 1:
        return None
    biased = view.inputs[0]
    if biased.op.type != "BiasAdd" or len(biased.consumers()) != 1:
        return None
    slope = {"alpha": operation.get_attr("alpha")} if operation.type == "LeakyRelu" else {}
    argument = "x" if operation.type == "Sigmoid" else "features"
    return _viewed(view, getattr(tf.raw_ops, operation.type)(**{argument: biased}, **slope))


def _folded(x: Any, factor: Array, shift: Array) -> Any:
    """``x * factor + shift`` as a contraction and its bias, where ``x`` is one that nothing else reads; else None."""
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
    if operation.type in _VIEWS and operation.inputs[0].shape[-1:] == x.shape[-1:]:
        inner = _folded(operation.inputs[0], factor, shift)
        return None if inner is None else _viewed(operation, inner)
    if operation.type not in _CONTRACTIONS:
        return None
    arguments, axes, names = _CONTRACTIONS[operation.type]
    attributes = {name: operation.get_attr(name) for name in names}
    kernel = tf.get_static_value(operation.inputs[1])
    if kernel is None or attributes.get("data_format", b"NHWC") != b"NHWC":
        return None
    if attributes.get("transpose_b"):
        return None
    shape = [size if axis in axes else 1 for axis, size in enumerate(kernel.shape)]
    inputs = dict(zip(arguments, operation.inputs, strict=True))
    inputs[arguments[1]] = (kernel * factor.reshape(shape)).astype(kernel.dtype)
    return tf.nn.bias_add(
        getattr(tf.raw_ops, operation.type)(**inputs, **attributes), shift.astype(kernel.dtype)
    )


def _viewed(view: Any, tensor: Any) -> Any:
    """``tensor`` in the shape that the operation ``view`` gives its input."""
    import tensorflow as tf

    if view.type == "Squeeze":
        return tf.squeeze(tensor, view.get_attr("squeeze_dims"))
    return tf.reshape(tensor, view.inputs[1])


def _by_channel(tensor: Any, x: Any) -> Array | None:
    """The constant ``tensor`` as one float64 for each of the channels of ``x``, its last axis, or None."""
    import tensorflow as tf

    if not x.shape.rank or x.shape[-1] is None or not tensor.dtype.is_floating:
        return None
    value = tf.get_static_value(tensor)
    if value is None or value.size not in (1, x.shape[-1]) or value.ndim > x.shape.rank:
        return None
    if value.ndim and value.shape[-1] != value.size:
        return None
    return np.broadcast_to(value.reshape(-1).astype(np.float64), (x.shape[-1],))


def _by_heads(tensor: Any, x: Any) -> Array | None:
    """The same for the last axes of ``x`` together, where ``x`` is one reshaped from those as its last axis."""
    import tensorflow as tf

    if x.op.type != "Reshape" or not x.shape.rank or not tensor.dtype.is_floating:
        return None
    value, channels = tf.get_static_value(tensor), x.op.inputs[0].shape[-1]
    if value is None or value.size != channels or value.shape != tuple(x.shape[-value.ndim :]):
        return None
    flat: Array = value.reshape(-1).astype(np.float64)
    return flat


FOLDS = {
    "AddV2": add,
    "FusedBatchNormV3": batch_norm,
    "MatMul": product,
    **dict.fromkeys(("Relu", "Relu6", "Elu", "LeakyRelu", "Sigmoid"), activation),
}
