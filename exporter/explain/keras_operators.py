"""The operators of a Keras source, seen and changed as its layers are called. Runs in a TensorFlow child.

The model runs eagerly, in float32: its rounding is within the noise that an artifact may have anyway. A layer with an
activation is two operators of one name. What fwexport has no float64 for is thus no obstacle here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from exporter import source_folder
from exporter.explain.operators import Op, OpKind, compute
from exporter.explain.source_faults import Change
from exporter.frameworks import keras_model
from runtimes.base import Array, Feeds

# One operator of a layer: its kind and values; ``x`` is the layer's input, or what the operator before it gave.
Part = tuple[OpKind, dict[str, Any]]
_COUNT = "_fwexport_operators"


def open_source(folder: Path) -> KerasSource:
    """The source's model."""
    return KerasSource(folder)


class KerasSource:
    """A Keras source whose operators can be changed while it runs."""

    def __init__(self, folder: Path) -> None:
        source = source_folder.open_source(folder)
        self.inputs, self.outputs = source.model.inputs, source.model.outputs
        self._model = keras_model.load(folder / source.weights)
        self._leaves = dict(_leaves(self._model))

    def operators(self, feeds: Feeds) -> list[Op]:
        """Those that are known, in the order of computation."""
        seen: list[Op] = []
        with _watching(self._leaves, {}, seen):
            self._call(feeds)
        return seen

    def run(self, feeds: Feeds, changes: Mapping[int, Change]) -> dict[str, Array]:
        """The outputs, with the operators at these places changed."""
        with _watching(self._leaves, changes, None):
            return self._call(feeds)

    def _call(self, feeds: Feeds) -> dict[str, Array]:
        import tensorflow as tf

        with tf.device("/CPU:0"):
            tensors = [tf.constant(feeds[spec.name]) for spec in self.inputs]
            value = self._model(tensors[0] if len(tensors) == 1 else tensors, training=False)
        values = tf.nest.flatten(value)
        return {spec.name: tensor.numpy() for spec, tensor in zip(self.outputs, values, strict=True)}


def _leaves(model: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The layers that hold no others, by the path of their names."""
    for layer in model.layers:
        path = f"{prefix}{layer.name}"
        if getattr(layer, "layers", None):
            yield from _leaves(layer, f"{path}/")
        else:
            yield path, layer


@contextlib.contextmanager
def _watching(
    leaves: Mapping[str, Any], changes: Mapping[int, Change], seen: list[Op] | None
) -> Iterator[None]:
    """While open, operators at these places are changed; all are added to ``seen`` where it is given."""
    count = 0
    before: tuple[Any, str, Any, Any] | None = None

    def called(path: str, layer: Any, original: Callable[..., Any], *given: Any, **more: Any) -> Any:
        nonlocal count, before
        places = range(count, count + _count(layer, given[0]))
        count += len(places)
        if seen is None and changes.keys().isdisjoint(places):
            result = original(*given, **more)
        else:
            x, moved = _canonical(layer, given[0])
            for place, (kind, values) in zip(places, _parts(layer, given[0]), strict=True):
                op = Op(path, kind, x, values)
                if kind == "batch norm" and before is not None and before[0] is given[0]:
                    op = op.but(convolution=_only(*before[1:]))
                if seen is not None:
                    seen.append(op)
                changed = changes[place](op) if place in changes else op
                x = (changed if isinstance(changed, np.ndarray) else compute(changed),)
            result = _tensor(x[0], moved) if seen is None else original(*given, **more)
        before = (result, path, layer, given[0]) if len(places) == 1 else None
        return result

    patched = [(layer, layer.call) for layer in leaves.values()]
    for path, layer in leaves.items():
        object.__setattr__(layer, "call", partial(called, path, layer, layer.call))
    try:
        yield
    finally:
        for layer, _original in patched:
            object.__delattr__(layer, "call")


def _only(path: str, layer: Any, given: Any) -> Op | None:
    """A layer that is a convolution and nothing else, as an operator."""
    ((kind, values),) = _parts(layer, given)
    return Op(path, kind, _canonical(layer, given)[0], values) if kind == "convolution" else None


def _count(layer: Any, given: Any) -> int:
    """How many operators ``_parts`` finds in a layer, which it is only asked the first time."""
    if not hasattr(layer, _COUNT):
        object.__setattr__(layer, _COUNT, len(_parts(layer, given)))
    count: int = getattr(layer, _COUNT)
    return count


def _canonical(layer: Any, given: Any) -> tuple[tuple[Array, ...], bool]:
    """The layer's inputs with channels first, where it looks at places and channels apart; whether they were moved."""
    arrays = tuple(np.asarray(tensor) for tensor in (given if isinstance(given, (list, tuple)) else [given]))
    kinds = (_CHANNELS if arrays[0].ndim > 2 else ()) + _CHANNELS_OR_PLACES
    if type(layer).__name__ in kinds and arrays[0].ndim > 2:
        return tuple(np.moveaxis(array, -1, 1) for array in arrays), True
    return arrays, False


def _tensor(array: Array, moved: bool) -> Any:
    import tensorflow as tf

    if moved and array.ndim > 2:
        array = np.moveaxis(array, 1, -1)
    return tf.constant(np.ascontiguousarray(array), tf.float32)


_CHANNELS_OR_PLACES = ("Flatten", "Reshape")
_CHANNELS = (
    *(f"Conv{rank}D" for rank in (1, 2, 3)),
    *("DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D"),
    *(f"{mode}Pooling{rank}D" for mode in ("Max", "Average") for rank in (1, 2, 3)),
    *("BatchNormalization", "GroupNormalization", "UpSampling2D", "Resizing"),
    *(f"ZeroPadding{rank}D" for rank in (1, 2, 3)),
)


def _parts(layer: Any, given: Any) -> list[Part]:
    """The operators of a layer; none where it has one that is not known."""
    name = type(layer).__name__
    if name not in _LAYERS or getattr(layer, "data_format", "channels_last") != "channels_last":
        return []
    shape = tuple((given[0] if isinstance(given, (list, tuple)) else given).shape)
    found = _LAYERS[name](layer, shape)
    return [] if None in found else [part for part in found if part is not None]


Found = list[Part | None]


def _function(activation: Any, axis: int = -1) -> Found:
    """What an activation function is: nothing, one operator, or None where it is not known."""
    name = getattr(activation, "__name__", "")
    if name == "linear":
        return []
    if name == "softmax":
        return [("softmax", {"axis": axis})]
    function, parameter = _FUNCTIONS.get(name, ("", 0.0))
    return [("activation", {"function": function, "parameter": parameter}) if function else None]


_FUNCTIONS = {
    "relu": ("relu", 0.0),
    "relu6": ("relu6", 0.0),
    "leaky_relu": ("leaky relu", 0.2),
    "elu": ("elu", 1.0),
    "gelu": ("gelu", 0.0),
    "silu": ("silu", 0.0),
    "hard_silu": ("hard swish", 0.0),
    "sigmoid": ("sigmoid", 0.0),
    "hard_sigmoid": ("hard sigmoid", 0.0),
    "tanh": ("tanh", 0.0),
    "softplus": ("softplus", 0.0),
    "mish": ("mish", 0.0),
}


def _pads(
    layer: Any,
    places: tuple[int, ...],
    size: tuple[int, ...],
    strides: tuple[int, ...],
    dilations: tuple[int, ...],
) -> tuple[tuple[int, int], ...]:
    """TensorFlow's: what is odd goes to the end."""
    if layer.padding != "same":
        return tuple((0, 0) for _ in places)
    totals = [
        max(0, (-(-have // s) - 1) * s + (k - 1) * d + 1 - have)
        for have, k, s, d in zip(places, size, strides, dilations, strict=True)
    ]
    return tuple((total // 2, total - total // 2) for total in totals)


def _weights(layer: Any, kernel: Array, bias: bool = True) -> dict[str, Any]:
    return {"weight": kernel, "bias": np.asarray(layer.bias) if bias and layer.use_bias else None}


def _window(layer: Any, shape: tuple[int, ...]) -> dict[str, Any]:
    size, strides, dilations = layer.kernel_size, layer.strides, layer.dilation_rate
    pads = _pads(layer, shape[1:-1], size, strides, dilations)
    return {"strides": strides, "pads": pads, "dilations": dilations}


def _convolution(layer: Any, shape: tuple[int, ...]) -> Found:
    if layer.padding == "causal":
        return [None]
    kernel = np.asarray(layer.kernel)
    turned = np.moveaxis(kernel, (-1, -2), (0, 1))
    values = {**_weights(layer, turned), **_window(layer, shape), "groups": layer.groups}
    return [("convolution", values), *_function(layer.activation, 1)]


def _depthwise_kernel(kernel: Array) -> Array:
    """(*places, channels, multiplier) as (channels x multiplier, 1, *places)."""
    turned = np.moveaxis(kernel, (-2, -1), (0, 1))
    return turned.reshape(-1, 1, *kernel.shape[:-2])


def _depthwise(layer: Any, shape: tuple[int, ...]) -> Found:
    kernel = _depthwise_kernel(np.asarray(layer.kernel))
    values = {**_weights(layer, kernel), **_window(layer, shape), "groups": shape[-1]}
    return [("convolution", values), *_function(layer.activation, 1)]


def _separable(layer: Any, shape: tuple[int, ...]) -> Found:
    ones = (1,) * len(layer.kernel_size)
    first = {
        "weight": _depthwise_kernel(np.asarray(layer.depthwise_kernel)),
        "bias": None,
        **_window(layer, shape),
        "groups": shape[-1],
    }
    pointwise = np.moveaxis(np.asarray(layer.pointwise_kernel), (-1, -2), (0, 1))
    still = {"strides": ones, "pads": tuple((0, 0) for _ in ones), "dilations": ones, "groups": 1}
    second = {**_weights(layer, pointwise), **still}
    return [("convolution", first), ("convolution", second), *_function(layer.activation, 1)]


def _dense(layer: Any, _shape: tuple[int, ...]) -> Found:
    values = _weights(layer, np.asarray(layer.kernel).T)
    return [("dense", values), *_function(layer.activation)]


def _optional(layer: Any, name: str) -> Array | None:
    variable = getattr(layer, name, None)
    return None if variable is None else np.asarray(variable)


def _batch_norm(layer: Any, shape: tuple[int, ...]) -> Found:
    axis = layer.axis if isinstance(layer.axis, int) else -2
    if axis % len(shape) != len(shape) - 1:
        return [None]
    values = {
        "mean": np.asarray(layer.moving_mean),
        "variance": np.asarray(layer.moving_variance),
        "scale": _optional(layer, "gamma"),
        "offset": _optional(layer, "beta"),
        "epsilon": float(layer.epsilon),
    }
    return [("batch norm", values)]


def _layer_norm(layer: Any, shape: tuple[int, ...]) -> Found:
    axes = (layer.axis,) if isinstance(layer.axis, int) else tuple(layer.axis)
    axes = tuple(axis % len(shape) - len(shape) for axis in axes)
    if getattr(layer, "rms_scaling", False) or axes != tuple(range(-len(axes), 0)):
        return [None]
    values = {
        "axes": axes,
        "scale": _optional(layer, "gamma"),
        "offset": _optional(layer, "beta"),
        "epsilon": float(layer.epsilon),
    }
    return [("layer norm", values)]


def _group_norm(layer: Any, shape: tuple[int, ...]) -> Found:
    if layer.axis % len(shape) != len(shape) - 1:
        return [None]
    values = {
        "groups": shape[-1] if layer.groups == -1 else layer.groups,
        "scale": _optional(layer, "gamma"),
        "offset": _optional(layer, "beta"),
        "epsilon": float(layer.epsilon),
    }
    return [("group norm", values)]


def _relu(layer: Any, _shape: tuple[int, ...]) -> Found:
    limits = (layer.max_value, float(layer.threshold))
    slope = float(layer.negative_slope)
    if limits == (None, 0.0):
        function = "leaky relu" if slope else "relu"
        return [("activation", {"function": function, "parameter": slope})]
    return [("activation", {"function": "relu6", "parameter": 0.0}) if limits == (6.0, 0.0) else None]


def _leaky(layer: Any, _shape: tuple[int, ...]) -> Found:
    return [("activation", {"function": "leaky relu", "parameter": float(layer.negative_slope)})]


def _elu(layer: Any, _shape: tuple[int, ...]) -> Found:
    return [("activation", {"function": "elu", "parameter": float(layer.alpha)})]


def _pool(mode: str) -> Callable[[Any, tuple[int, ...]], Found]:
    def parts(layer: Any, shape: tuple[int, ...]) -> Found:
        ones = (1,) * len(layer.pool_size)
        pads = _pads(layer, shape[1:-1], layer.pool_size, layer.strides, ones)
        values = {"mode": mode, "size": layer.pool_size, "strides": layer.strides, "pads": pads}
        return [("pool", {**values, "ceil": False, "count_pads": False})]

    return parts


_INTERPOLATIONS = {"nearest": "nearest", "bilinear": "linear"}


def _upsampling(layer: Any, shape: tuple[int, ...]) -> Found:
    if layer.interpolation not in _INTERPOLATIONS:
        return [None]
    size = tuple(have * by for have, by in zip(shape[1:3], layer.size, strict=True))
    mode = _INTERPOLATIONS[layer.interpolation]
    return [("resize", {"mode": mode, "coordinates": "half_pixel", "size": size})]


def _resizing(layer: Any, _shape: tuple[int, ...]) -> Found:
    plain = not (
        layer.crop_to_aspect_ratio or getattr(layer, "pad_to_aspect_ratio", False) or layer.antialias
    )
    if layer.interpolation not in _INTERPOLATIONS or not plain:
        return [None]
    mode = _INTERPOLATIONS[layer.interpolation]
    return [("resize", {"mode": mode, "coordinates": "half_pixel", "size": (layer.height, layer.width)})]


def _zero_padding(layer: Any, _shape: tuple[int, ...]) -> Found:
    pads = (layer.padding,) if isinstance(layer.padding[0], int) else layer.padding
    return [("pad", {"pads": tuple(tuple(pair) for pair in pads)})]


def _flatten(layer: Any, shape: tuple[int, ...]) -> Found:
    target = getattr(layer, "target_shape", (-1,))
    if len(target) != 1 or len(shape) < 3:
        return []
    return [("flatten", {"order": (*range(2, len(shape)), 1)})]


def _concat(layer: Any, shape: tuple[int, ...]) -> Found:
    return [("concat", {"axis": layer.axis % len(shape)})]


def _add(_layer: Any, _shape: tuple[int, ...]) -> Found:
    return [("add", {})]


def _softmax(layer: Any, _shape: tuple[int, ...]) -> Found:
    return [("softmax", {"axis": layer.axis}) if isinstance(layer.axis, int) else None]


def _activation(layer: Any, _shape: tuple[int, ...]) -> Found:
    return _function(layer.activation)


_LAYERS: dict[str, Callable[[Any, tuple[int, ...]], Found]] = {
    **{f"Conv{rank}D": _convolution for rank in (1, 2, 3)},
    **{f"DepthwiseConv{rank}D": _depthwise for rank in (1, 2)},
    **{f"SeparableConv{rank}D": _separable for rank in (1, 2)},
    "Dense": _dense,
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "GroupNormalization": _group_norm,
    "ReLU": _relu,
    "LeakyReLU": _leaky,
    "ELU": _elu,
    "Activation": _activation,
    "Softmax": _softmax,
    **{f"MaxPooling{rank}D": _pool("max") for rank in (1, 2, 3)},
    **{f"AveragePooling{rank}D": _pool("average") for rank in (1, 2, 3)},
    "UpSampling2D": _upsampling,
    "Resizing": _resizing,
    **{f"ZeroPadding{rank}D": _zero_padding for rank in (1, 2, 3)},
    "Flatten": _flatten,
    "Reshape": _flatten,
    "Concatenate": _concat,
    "Add": _add,
}
