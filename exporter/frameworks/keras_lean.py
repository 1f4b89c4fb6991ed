"""Calls of Keras layers that leave fewer operators in a TensorFlow graph, on a batch of any size.

Each takes the layer, its original call and the input, as ``keras_export`` wants them, and computes the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

# How much larger a depthwise kernel may become when its dilation is written out.
MAX_WIDER = 4

Call = Callable[..., Any]
Array = np.ndarray[Any, np.dtype[Any]]


def dense(layer: Any, original: Call, x: Any) -> Any:
    """On rank 3 and more, Keras's product is ``tf.tensordot``, which reshapes by the running shape."""
    import tensorflow as tf
    from keras import ops

    if len(x.shape) < 3 or getattr(layer, "quantization_mode", None):
        return original(x)
    y = tf.linalg.matmul(ops.cast(x, layer.compute_dtype), ops.convert_to_tensor(layer.kernel))
    if layer.bias is not None:
        y = tf.add(y, ops.convert_to_tensor(layer.bias))
    return y if layer.activation is None else layer.activation(y)


def layer_normalization(layer: Any, original: Call, x: Any) -> Any:
    """By formula: Keras subtracts the mean once from the input and once from the bias."""
    from keras import ops

    if layer.rms_scaling:
        return original(x)
    rank = len(x.shape)
    given = [layer.axis] if isinstance(layer.axis, int) else list(layer.axis)
    axes = sorted(axis % rank for axis in given)
    shape = [x.shape[axis] if axis in axes else 1 for axis in range(axes[0], rank)]
    y = _normalized(x, lambda squares: ops.mean(squares, axes, keepdims=True), layer.epsilon)
    return _scaled(layer, y, shape)


def group_normalization(layer: Any, original: Call, x: Any) -> Any:
    """The mean of each channel, then of each group: Keras splits the whole tensor into groups by its running shape."""
    from keras import ops

    rank, channels = len(x.shape), x.shape[-1]
    if layer.axis % rank != rank - 1 or rank < 3:
        return original(x)
    groups, spatial = layer.groups, tuple(range(1, rank - 1))

    def mean(values: Any) -> Any:
        each = ops.mean(values, spatial, keepdims=True)
        if groups in (1, channels):
            return each if groups == channels else ops.mean(each, -1, keepdims=True)
        apart = ops.reshape(each, (-1, groups, channels // groups))
        ones = ops.ones((1, 1, channels // groups), dtype=apart.dtype)
        every = ops.multiply(ops.mean(apart, -1, keepdims=True), ones)
        return ops.reshape(every, (-1, *(1,) * (rank - 2), channels))

    return _scaled(layer, _normalized(x, mean, layer.epsilon), [channels])


def _normalized(x: Any, mean: Call, epsilon: float) -> Any:
    from keras import ops

    centred = ops.subtract(x, mean(x))
    variance = mean(ops.square(centred))
    return ops.multiply(centred, ops.rsqrt(ops.add(variance, epsilon)))


def _scaled(layer: Any, y: Any, shape: list[int]) -> Any:
    import tensorflow as tf
    from keras import ops

    if layer.gamma is not None:
        y = ops.multiply(y, ops.reshape(layer.gamma, shape))
    # ``ops.add`` takes what has one axis larger than 1 for a bias of the channels, wherever that axis is.
    return y if layer.beta is None else tf.add(y, ops.reshape(layer.beta, shape))


def dilated(layer: Any, original: Call, x: Any) -> Any:
    """TensorFlow's own dilation: ``tf.nn`` makes space to batch of it, which stays where the batch is dynamic."""
    if (
        layer.data_format != "channels_last"
        or set(layer.dilation_rate) == {1}
        or getattr(layer, "groups", 1) > 1
    ):
        return original(x)
    y = _convolved(layer, x, layer.padding, layer.strides, layer.dilation_rate)
    if y is None:
        return original(x)
    return y if layer.activation is None else layer.activation(y)


def one_axis(layer: Any, original: Call, x: Any) -> Any:
    """Convolution and pooling over one axis as over an image of one row, which is what TensorFlow makes of it anyway,
    by ExpandDims, which no TF Lite delegate takes."""
    from keras import ops

    steps = x.shape[1]
    if layer.data_format != "channels_last" or steps is None or getattr(layer, "groups", 1) > 1:
        return original(x)
    row, padding = x, layer.padding
    if padding == "causal":
        reach = (layer.kernel_size[0] - 1) * layer.dilation_rate[0]
        row, padding = ops.pad(x, ((0, 0), (reach, 0), (0, 0))), "valid"
    row = ops.reshape(row, (-1, 1, row.shape[1], row.shape[2]))
    if hasattr(layer, "pool_size"):
        pool = ops.max_pool if layer.pool_mode == "max" else ops.average_pool
        size, stride = layer.pool_size[0], (layer.strides or layer.pool_size)[0]
        row = pool(row, (1, size), (1, stride), padding, "channels_last")
        return ops.reshape(row, (-1, row.shape[2], row.shape[3]))
    stride = layer.strides[0]
    # TensorFlow's depthwise operator has one stride for both axes.
    strides = (stride if hasattr(layer, "depth_multiplier") else 1, stride)
    row = _convolved(layer, row, padding, strides, (1, layer.dilation_rate[0]))
    if row is None:
        return original(x)
    y = ops.reshape(row, (-1, row.shape[2], row.shape[3]))
    return y if layer.activation is None else layer.activation(y)


def _convolved(layer: Any, x: Any, padding: str, strides: Sequence[int], dilations: Sequence[int]) -> Any:
    """A convolution of images, and the layer's bias; None for a depthwise one of too large a dilation.

    TensorFlow's depthwise operator takes dilations and ignores them in some types and builds: its kernel is written
    out with zeros in between.
    """
    import tensorflow as tf

    kernel = tf.convert_to_tensor(layer.kernel)
    if len(kernel.shape) < 4:
        kernel = kernel[None]
    if hasattr(layer, "depth_multiplier"):
        if set(dilations) != {1}:
            reach = [(size - 1) * d + 1 for size, d in zip(kernel.shape[:2], dilations, strict=True)]
            if math.prod(reach) > MAX_WIDER * math.prod(kernel.shape[:2]):
                return None
            with tf.init_scope():
                narrow = layer.kernel.numpy().reshape(kernel.shape)
            kernel = np.zeros((*reach, *narrow.shape[2:]), narrow.dtype)
            kernel[:: dilations[0], :: dilations[1]] = narrow
        y = tf.nn.depthwise_conv2d(x, kernel, [1, *strides, 1], padding.upper())
    else:
        y = tf.nn.conv2d(x, kernel, strides, padding.upper(), dilations=dilations)
    return tf.nn.bias_add(y, tf.convert_to_tensor(layer.bias)) if layer.use_bias else y


def get_item(original: Call, x: Any, key: Any) -> Any:
    """A slice with steps as one of whole blocks, and one index as a slice: TF Lite's delegates take no others."""
    from keras import ops

    cuts = list(key) if isinstance(key, (tuple, list)) else [key]
    if not all(isinstance(cut, (int, slice)) for cut in cuts):
        return original(x, key)
    apart: list[int] = []  # the sizes, with each stepped axis as (blocks, step)
    inside: list[slice] = []
    result: list[int] = []
    for axis, size in enumerate(x.shape):
        cut = cuts[axis] if axis < len(cuts) else slice(None)
        if cut == slice(None):
            apart, inside, result = [*apart, size or -1], [*inside, cut], [*result, size or -1]
            continue
        if size is None:
            return original(x, key)
        if isinstance(cut, int):
            apart, inside = [*apart, size], [*inside, slice(cut % size, cut % size + 1)]
            continue
        span = range(*cut.indices(size))
        if span.step <= 1:
            apart, inside, result = [*apart, size], [*inside, cut], [*result, len(span)]
            continue
        if size % span.step or len(span) != size // span.step:
            return original(x, key)
        offset = span.start
        apart = [*apart, len(span), span.step]
        inside = [*inside, slice(None), slice(offset, offset + 1)]
        result = [*result, len(span)]
    plain = all(isinstance(cut, slice) and cut.step in (None, 1) for cut in cuts)
    if plain or apart.count(-1) > 1:
        return original(x, key)
    if len(apart) > len(x.shape):
        x = ops.reshape(x, apart)
    return ops.reshape(x[tuple(inside)], result)
