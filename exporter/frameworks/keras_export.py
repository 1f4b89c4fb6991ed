"""A Keras model as exporters need it: the calls of some layers replaced by others that compute the same.

Keras writes shapes that are known as arithmetic on the running shape, loops over time as TensorFlow loops, and
attention as Einsum; converters and runtimes stumble over each. Its PyTorch backend computes two layers wrongly. The
layers themselves, their weights and the model's graph stay: only ``call`` is replaced on each layer object, so that
nested models, shared layers and subclassed models need no care.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import numpy as np

from exporter.frameworks import keras_conv_transpose, keras_lean, keras_pool_pads

# A recurrent layer over more steps stays a loop: unrolled, its graph would be the larger problem.
MAX_UNROLLED_STEPS = 128

# A mean over more positions is taken along one axis after another: runtimes that add in plain order round far less so.
# Over 14x14 positions both ways err alike, and two means take longer.
MAX_POSITIONS = 16 * 16

Call = Callable[..., Any]
Replacement = Callable[[Any, Call, Any], Any]


def for_export(model: Any, *, unroll: bool = True) -> Any:
    """``model``, changed in place, ready to be traced in inference.

    ``unroll`` writes recurrent layers step by step: TF Lite and TF.js cannot run Keras's loops with a dynamic batch.
    Without it they stay loops, which tf2onnx knows how to turn into ONNX's own LSTM and GRU.
    """
    import keras

    layers = keras.layers
    table: list[tuple[tuple[Any, ...], Replacement]] = [
        ((layers.Flatten,), _flatten),
        ((layers.Reshape,), _reshape),
        ((layers.EinsumDense,), _einsum_dense),
    ]
    if unroll:
        table.append(((layers.RNN,), _recurrent))
    if keras.backend.backend() == "torch":
        averages = (layers.AveragePooling1D, layers.AveragePooling2D, layers.AveragePooling3D)
        convolutions = (layers.Conv1D, layers.Conv2D, layers.Conv3D, layers.DepthwiseConv2D)
        table += [
            (averages, _average_pool_same),
            (convolutions, _convolution_same),
            ((layers.LayerNormalization,), _layer_normalization),
        ]
    else:
        _lean(model)
        table += [
            ((layers.MaxPooling3D, layers.AveragePooling3D), _pool_3d),
            ((layers.GlobalAveragePooling2D, layers.GlobalAveragePooling3D), _global_average),
            ((_operation("Argmax"), _operation("Argmin")), _arg),
        ]
    for part in _parts(model):
        call = next((call for kinds, call in table if isinstance(part, kinds)), None)
        if call:
            _replace(part, call)
        elif isinstance(part, layers.MultiHeadAttention):
            part._compute_attention = _attention(part, part._compute_attention)
    return model


def _lean(model: Any) -> None:
    """Replace the calls of which TensorFlow makes more than it takes."""
    from keras import layers

    calls = {
        layers.Dense: keras_lean.dense,
        layers.LayerNormalization: keras_lean.layer_normalization,
        layers.GroupNormalization: keras_lean.group_normalization,
        layers.Conv2D: keras_lean.dilated,
        layers.DepthwiseConv2D: keras_lean.dilated,
        layers.Conv1D: keras_lean.one_axis,
        layers.DepthwiseConv1D: keras_lean.one_axis,
        layers.MaxPooling1D: keras_lean.one_axis,
        layers.AveragePooling1D: keras_lean.one_axis,
    }
    for layer in model._flatten_layers():
        if isinstance(layer, (layers.Conv1DTranspose, layers.Conv2DTranspose)):
            crop = _cropping(layer, model)
            nothing = ((0, 0),) * len(layer.kernel_size)
            _replace(layer, keras_conv_transpose.conv_transpose(nothing if crop is None else _pairs(crop)))
            if crop is not None:
                _replace(crop, lambda layer, original, x: x)
        elif type(layer) in calls:
            _replace(layer, calls[type(layer)])
    for layer, call in keras_pool_pads.replacements(model):
        _replace(layer, call)
    for part in _parts(model):
        if isinstance(part, _operation("GetItem")):
            part.call = partial(keras_lean.get_item, part.call)


def _cropping(layer: Any, model: Any) -> Any:
    """The cropping layer that alone reads what ``layer`` gives, or None."""
    from keras import layers

    readers = [node.operation for node in layer._outbound_nodes]
    if len(readers) != 1 or not isinstance(readers[0], (layers.Cropping1D, layers.Cropping2D)):
        return None
    once = len(layer._inbound_nodes) == len(readers[0]._inbound_nodes) == 1
    shown = any(tensor is layer.output for tensor in model.outputs) if once else True
    return (
        None
        if shown or getattr(readers[0], "data_format", layer.data_format) != layer.data_format
        else readers[0]
    )


def _pairs(crop: Any) -> tuple[tuple[int, int], ...]:
    """Keras keeps one pair for one axis, and a pair of pairs for two."""
    return (tuple(crop.cropping),) if isinstance(crop.cropping[0], int) else tuple(map(tuple, crop.cropping))


def watch(model: Any) -> list[str]:
    """A list that gets the name and class of the innermost layer whose call fails from now on.

    One whose result is no tensor of Keras's backend fails too.
    """
    from keras import ops, tree

    failed: list[str] = []

    def watched(part: Any, call: Call) -> Call:
        def run(*args: Any, **kwargs: Any) -> Any:
            try:
                result = call(*args, **kwargs)
                for value in tree.flatten(result):
                    if value is not None and not ops.is_tensor(value):
                        raise TypeError(f"it gives a {type(value).__module__}.{type(value).__name__}")
                return result
            except Exception:
                failed.append(f"{part.name} ({type(part).__name__})")
                raise

        return run

    for part in _parts(model):
        part.call = watched(part, part.call)
    return failed


def _parts(model: Any) -> list[Any]:
    """Every layer of the model and of what it nests, and the operations (``keras.ops``) between them."""
    layers = model._flatten_layers(include_self=False)
    operations = [each for part in (model, *layers) for each in getattr(part, "operations", ())]
    return list({id(part): part for part in (*layers, *operations)}.values())


def _operation(name: str) -> Any:
    """The class behind ``keras.ops``'s function of this name; Keras exports only the function."""
    import keras.src.ops.numpy

    return getattr(keras.src.ops.numpy, name)


def _replace(layer: Any, call: Replacement) -> None:
    """``layer(x)`` becomes ``call(layer, original, x)``; the original stays reachable for what ``call`` leaves alone."""
    original = layer.call

    def replaced(x: Any, *args: Any, **kwargs: Any) -> Any:
        return call(layer, lambda x: original(x, *args, **kwargs), x)

    layer.call = replaced


def _sizes(x: Any) -> tuple[int | None, ...]:
    """The sizes after the batch; PyTorch's tracer gives tensors, which would be traced."""
    return tuple(None if size is None else int(size) for size in x.shape[1:])


def _known(x: Any) -> tuple[int, ...] | None:
    """The sizes after the batch, or None when one of them is known only at run time."""
    sizes = _sizes(x)
    return None if None in sizes else cast("tuple[int, ...]", sizes)


def _flatten(layer: Any, original: Call, x: Any) -> Any:
    from keras import ops

    sizes = _known(x)
    if sizes is None:
        return original(x)
    if layer.data_format == "channels_first" and len(sizes) > 1:
        x = ops.transpose(x, (0, *range(2, len(sizes) + 1), 1))
    return ops.reshape(x, (-1, math.prod(sizes)))


def _reshape(layer: Any, original: Call, x: Any) -> Any:
    from keras import ops

    sizes = _known(x)
    if sizes is None:
        return original(x)
    target = list(layer.target_shape)
    if -1 in target:
        target[target.index(-1)] = math.prod(sizes) // -math.prod(target)
    return ops.reshape(x, (-1, *target))


def _recurrent(layer: Any, original: Call, x: Any) -> Any:
    steps = x.shape[1]
    layer.unroll = steps is not None and steps <= MAX_UNROLLED_STEPS
    return original(x)


def _einsum_dense(layer: Any, original: Call, x: Any) -> Any:
    """One matrix product where the equation sums over the last axes of ``x`` and the first ones of the kernel."""
    from keras import ops

    terms, result = layer.equation.replace(" ", "").split("->")
    left, right = terms.split(",")
    summed = [axis for axis in right if axis not in result]
    free, new = left[: len(left) - len(summed)], right[len(summed) :]
    sizes = _sizes(x)[: len(free) - 1]
    plain = left == free + right[: len(summed)] and result == free + new and "." not in left
    if not plain or not summed or None in sizes:
        return original(x)
    kernel = ops.convert_to_tensor(layer.kernel)
    inner = math.prod(kernel.shape[: len(summed)])
    outer = tuple(kernel.shape[len(summed) :])
    y = ops.matmul(ops.reshape(x, (-1, inner)), ops.reshape(kernel, (inner, math.prod(outer))))
    y = ops.reshape(y, (-1, *sizes, *outer))
    if layer.bias is not None:
        y = ops.add(y, layer.bias)
    return y if layer.activation is None else layer.activation(y)


def _attention(layer: Any, original: Call) -> Call:
    """Attention over one axis and without a mask, as two batched matrix products; everything else stays Keras's."""
    from keras import ops

    def compute(
        query: Any,
        key: Any,
        value: Any,
        attention_mask: Any = None,
        training: Any = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        masked = attention_mask is not None or use_causal_mask
        if masked or return_attention_scores or len(query.shape) != 4:
            return original(
                query, key, value, attention_mask, training, return_attention_scores, use_causal_mask
            )
        query, key, value = (ops.transpose(x, (0, 2, 1, 3)) for x in (query, key, value))
        query = ops.multiply(query, ops.cast(layer._inverse_sqrt_key_dim, query.dtype))
        scores = ops.softmax(ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))), axis=-1)
        return ops.transpose(ops.matmul(scores, value), (0, 2, 1, 3)), None

    return compute


def _pool_3d(layer: Any, original: Call, x: Any) -> Any:
    """Pooling of planes, with the depth in the batch, then of depth: TF Lite has no 3-D pooling."""
    from keras import ops

    known = _known(x)
    if layer.data_format != "channels_last" or known is None:
        return original(x)
    pool = ops.max_pool if layer.pool_mode == "max" else ops.average_pool
    depth, height, width, channels = known
    size, strides = layer.pool_size, layer.strides or layer.pool_size
    x = ops.reshape(x, (-1, height, width, channels))
    x = pool(x, size[1:], strides[1:], layer.padding, layer.data_format)
    height, width = x.shape[1:3]
    x = ops.reshape(x, (-1, depth, height * width, channels))
    x = pool(x, (size[0], 1), (strides[0], 1), layer.padding, layer.data_format)
    return ops.reshape(x, (-1, x.shape[1], height, width, channels))


def _global_average(layer: Any, original: Call, x: Any) -> Any:
    from keras import ops

    sizes = _known(x)
    if sizes is None or layer.data_format != "channels_last" or math.prod(sizes[:-1]) <= MAX_POSITIONS:
        return original(x)
    for axis in range(len(sizes) - 1, 0, -1):
        x = ops.mean(x, axis=axis, keepdims=layer.keepdims)
    return x


def _arg(operation: Any, original: Call, x: Any) -> Any:
    """Without what Keras adds to tell -0.0 from 0.0, in operators on bits that TF Lite and TF.js lack."""
    import tensorflow as tf

    find = tf.argmax if type(operation).__name__ == "Argmax" else tf.argmin
    if operation.axis is None:
        return original(x)
    y = find(x, operation.axis, output_type=tf.int32)
    return tf.expand_dims(y, operation.axis) if operation.keepdims else y


def _average_pool_same(layer: Any, original: Call, x: Any) -> Any:
    """Keras counts the padding into the mean on PyTorch: here zeros are added and the mean taken over what was there."""
    from keras import ops

    channels_last = layer.data_format == "channels_last"
    sizes = _known(x)
    if layer.padding != "same" or sizes is None:
        return original(x)
    sizes = sizes[:-1] if channels_last else sizes[1:]
    strides = layer.strides or layer.pool_size
    pads = [_same_padding(*axis) for axis in zip(sizes, layer.pool_size, strides, strict=True)]
    ends = [(0, 0)]
    x = ops.pad(x, [*ends, *pads, *ends] if channels_last else [*ends, *ends, *pads])
    x = ops.average_pool(x, layer.pool_size, strides, "valid", layer.data_format)
    share = np.ones(())
    for axis in zip(sizes, layer.pool_size, strides, pads, strict=True):
        share = np.multiply.outer(share, _share(*axis))
    share = share[None, ..., None] if channels_last else share[None, None]
    return ops.divide(x, ops.convert_to_tensor(share, x.dtype))


def _convolution_same(layer: Any, original: Call, x: Any) -> Any:
    """Keras computes the padding of a strided convolution on PyTorch from the running shape: here it is known."""
    from keras import ops

    channels_last = layer.data_format == "channels_last"
    sizes = _known(x)
    if layer.padding != "same" or sizes is None or set(layer.strides) == {1}:
        return original(x)
    reach = [(k - 1) * d + 1 for k, d in zip(layer.kernel_size, layer.dilation_rate, strict=True)]
    axes = zip(sizes[:-1] if channels_last else sizes[1:], reach, layer.strides, strict=True)
    pads, ends = [_same_padding(*axis) for axis in axes], [(0, 0)]
    x = ops.pad(x, [*ends, *pads, *ends] if channels_last else [*ends, *ends, *pads])
    layer.padding = "valid"
    try:
        return original(x)
    finally:
        layer.padding = "same"


def _same_padding(size: int, pool: int, stride: int) -> tuple[int, int]:
    """Zeros before and after, as TensorFlow adds them: the odd one at the end."""
    total = max((math.ceil(size / stride) - 1) * stride + pool - size, 0)
    return total // 2, total - total // 2


def _share(size: int, pool: int, stride: int, pads: tuple[int, int]) -> np.ndarray[Any, np.dtype[Any]]:
    """For each window along one axis, the part of it that is no padding."""
    starts = np.arange(math.ceil(size / stride)) * stride - pads[0]
    real = np.minimum(starts + pool, size) - np.maximum(starts, 0)
    return real / pool


def _layer_normalization(layer: Any, original: Call, x: Any) -> Any:
    """Keras hands PyTorch the axes as if they were the last ones; by formula where they are not."""
    from keras import ops

    given = [layer.axis] if isinstance(layer.axis, int) else list(layer.axis)
    rank = len(x.shape)
    axes = sorted(axis % rank for axis in given)
    if layer.rms_scaling or axes == list(range(axes[0], rank)):
        return original(x)
    shape = [x.shape[axis] if axis in axes else 1 for axis in range(rank)]
    mean = ops.mean(x, axes, keepdims=True)
    centred = ops.subtract(x, mean)
    variance = ops.mean(ops.square(centred), axes, keepdims=True)
    y = ops.multiply(centred, ops.rsqrt(ops.add(variance, layer.epsilon)))
    if layer.gamma is not None:
        y = ops.multiply(y, ops.reshape(layer.gamma, shape))
    return y if layer.beta is None else ops.add(y, ops.reshape(layer.beta, shape))
