"""TensorFlow functions for the tests of ``exporter.frameworks.frozen_graph``, run in a child process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from exporter.frameworks.float64_graph import as_float64
from exporter.frameworks.frozen_graph import freeze
from runtimes.base import Array


def both(name: str) -> tuple[Array, Array]:
    """What the network ``name`` computes in float32, and its widened graph in float64, on the same 3 samples."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    shape, layers = _NETS[name]
    x = keras.Input(shape)
    model = keras.Model(x, layers(keras.layers, x))
    random = np.random.default_rng(0)
    for variable in model.variables:
        if "Normalization" in variable.path or "normalization" in variable.path:
            variable.assign(random.uniform(0.5, 1.5, variable.shape))
    signature = [tf.TensorSpec((None, *shape), tf.float32, name="x")]
    function = tf.function(lambda x: {"y": model(x, training=False)}, input_signature=signature)
    concrete = _as_signature(function, model.variables)
    feed = random.random((3, *shape)).astype(np.float32)
    [wide] = as_float64(freeze(concrete)).function()(tf.constant(feed, tf.float64))
    return concrete(x=tf.constant(feed))["y"].numpy(), wide.numpy()


def resize(size: tuple[int, int], half_pixel_centers: bool, align_corners: bool) -> tuple[Array, Array]:
    """TensorFlow's own resize in float32, and ours in float64."""
    import tensorflow as tf

    def forward(x: Any) -> dict[str, Any]:
        y = tf.raw_ops.ResizeBilinear(
            images=x, size=size, half_pixel_centers=half_pixel_centers, align_corners=align_corners
        )
        return {"y": y}

    signature = [tf.TensorSpec((None, 5, 7, 2), tf.float32, name="x")]
    concrete = _as_signature(tf.function(forward, input_signature=signature), [])
    feed = np.random.default_rng(0).random((3, 5, 7, 2)).astype(np.float32)
    [wide] = as_float64(freeze(concrete)).function()(tf.constant(feed, tf.float64))
    return concrete(x=tf.constant(feed))["y"].numpy(), wide.numpy()


def channels_first() -> tuple[Array, Array]:
    """A batch norm of NCHW by formula in float64, and by its widened graph; TensorFlow has no CPU kernel for it."""
    import tensorflow as tf

    random = np.random.default_rng(0)
    scale, offset, mean, variance = random.uniform(0.5, 1.5, (4, 3)).astype(np.float32)

    def forward(x: Any) -> dict[str, Any]:
        y = tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=scale,
            offset=offset,
            mean=mean,
            variance=variance,
            data_format="NCHW",
            is_training=False,
        )
        return {"y": y[0]}

    concrete = _as_signature(
        tf.function(forward, input_signature=[tf.TensorSpec((None, 3, 4, 5), name="x")]), []
    )
    feed = random.random((2, 3, 4, 5))
    [wide] = as_float64(freeze(concrete)).function()(tf.constant(feed))
    scale, offset, mean, variance = (
        v.astype(np.float64)[:, None, None] for v in (scale, offset, mean, variance)
    )
    epsilon = float(np.float32(1e-4))
    return (feed - mean) * scale / np.sqrt(variance + epsilon) + offset, wide.numpy()


def refuse(what: str) -> None:
    """Widen, or freeze, what cannot be."""
    import tensorflow as tf

    table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer([0, 1], [5, 6], tf.int64, tf.int64), -1
    )
    forwards: dict[str, Callable[[Any], Any]] = {
        "bicubic": lambda x: tf.image.resize(x, (9, 9), "bicubic") + tf.nn.lrn(x[:, :1, :1]),
        "table": lambda x: tf.cast(table.lookup(tf.cast(x, tf.int64)), tf.float32),
        "training": lambda x: tf.raw_ops.FusedBatchNormV3(
            x=x, scale=[1.0], offset=[0.0], mean=[], variance=[], is_training=True
        )[0],
    }
    signature = [tf.TensorSpec((None, 4, 4, 1), tf.float32, name="x")]
    function = tf.function(lambda x: {"y": forwards[what](x)}, input_signature=signature)
    as_float64(freeze(_as_signature(function, [], table)))


def _as_signature(function: Any, variables: Any, *resources: Any) -> Any:
    """The function as it comes back from a SavedModel."""
    import tempfile

    import tensorflow as tf

    module = tf.Module()
    module.held = [getattr(variable, "value", variable) for variable in variables], resources
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures={"serving_default": function})
        loaded = tf.saved_model.load(folder)
    concrete = loaded.signatures["serving_default"]
    concrete.owner = loaded  # which the signature holds weakly
    return concrete


_NETS: dict[str, tuple[tuple[int, ...], Callable[[Any, Any], Any]]] = {
    "conv": ((8, 8, 3), lambda k, x: k.SeparableConv2D(4, 3)(k.BatchNormalization()(k.Conv2D(4, 3)(x)))),
    "transposed": ((8, 8, 3), lambda k, x: k.Conv2DTranspose(4, 3, strides=2)(x)),
    "bilinear": ((8, 8, 3), lambda k, x: k.UpSampling2D(3, interpolation="bilinear")(x)),
    "lstm": ((7, 4), lambda k, x: k.LSTM(5)(x)),
    "gru": ((7, 4), lambda k, x: k.Bidirectional(k.GRU(5, return_sequences=True))(x)),
    "attention": ((8, 4), lambda k, x: k.MultiHeadAttention(2, 3)(x, x)),
    "norms": ((8, 8, 4), lambda k, x: k.GroupNormalization(2)(k.LayerNormalization()(x))),
    "volume": ((4, 9, 8, 2), lambda k, x: k.Conv3D(2, 2)(k.MaxPooling3D((1, 3, 2), (2, 2, 3), "same")(x))),
}
NAMES = tuple(_NETS)
