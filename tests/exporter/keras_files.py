"""Keras 2 files for tests, written by tf_keras in a child process, and what tf_keras predicts with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from exporter.frameworks import keras_legacy, keras_upgrade
from runtimes.base import Array


def write(name: str, folder: Path, suffix: str = ".h5") -> Path:
    """Save the network ``name`` with seeded weights, batch-norm statistics included; the file."""
    import tf_keras

    tf_keras.utils.set_random_seed(0)
    model = _NETS[name](tf_keras, tf_keras.layers)
    random = np.random.default_rng(0)
    for layer in keras_legacy.leaves(model):
        if "Normalization" in type(layer).__name__:
            layer.set_weights([random.uniform(0.5, 1.5, weight.shape) for weight in layer.get_weights()])
    path = folder / f"{name}{suffix}"
    if suffix == ".json":
        path.write_text(model.to_json())
        model.save_weights(folder / f"{name}.weights.h5")
        model.save_weights(folder / f"{name}_weights.h5", save_format="h5")
    else:
        model.save(path)
    return path


def write_weights_only(folder: Path) -> Path:
    """An ``.h5`` of weights without their network."""
    import tf_keras

    write("plain", folder, ".json")
    assert tf_keras
    return folder / "plain_weights.h5"


def load(path: Path, weights: Path | None, allow_pickle: bool = False) -> tuple[str, str]:
    """The library that the file ends in, and the note."""
    loaded = keras_legacy.load(path, weights, allow_pickle=allow_pickle)
    return loaded.library, loaded.note


def predictions(path: Path, weights: Path | None) -> tuple[list[Array], list[Array]]:
    """What tf_keras predicts, and what the loaded model predicts, on the same two samples."""
    import tensorflow as tf
    import tf_keras

    if path.suffix == ".json":
        legacy = tf_keras.models.model_from_json(path.read_text())
        legacy.load_weights(weights)
    else:
        legacy = tf_keras.models.load_model(path, compile=False)
    model = keras_legacy.load(path, weights, allow_pickle=False).model
    random = np.random.default_rng(1)
    feeds = [tf.constant(random.random((2, *tensor.shape[1:])), tf.float32) for tensor in legacy.inputs]
    given = feeds[0] if len(feeds) == 1 else feeds
    return tuple([x.numpy() for x in tf.nest.flatten(m(given, training=False))] for m in (legacy, model))  # type: ignore[return-value]


def keras3_predicts_otherwise(path: Path) -> bool:
    """Whether Keras 3's own loader takes the file, to predict something else."""
    import keras
    import tf_keras

    legacy = tf_keras.models.load_model(path, compile=False)
    config = keras_upgrade.upgraded(json.loads(legacy.to_json()))
    model = keras.models.model_from_json(json.dumps(config))
    model.set_weights(legacy.get_weights())
    feed = np.random.default_rng(1).random((2, *legacy.inputs[0].shape[1:]), np.float32)
    return bool(np.abs(np.asarray(legacy(feed)) - np.asarray(model(feed))).max() > 1e-3)


def _image(
    layers: Callable[[Any, Any], Any], shape: tuple[int, ...] = (8, 8, 3)
) -> Callable[[Any, Any], Any]:
    def build(keras: Any, kinds: Any) -> Any:
        x = keras.Input(shape, name="image")
        return keras.Model(x, layers(kinds, x))

    return build


def _plain(keras: Any, kinds: Any) -> Any:
    return keras.Sequential(
        [
            kinds.Conv2D(4, 3, activation="relu", input_shape=(8, 8, 3)),
            kinds.BatchNormalization(),
            kinds.Flatten(),
            kinds.Dense(3, activation="softmax"),
        ]
    )


def _nested(keras: Any, kinds: Any) -> Any:
    x = keras.Input((8, 8, 3))
    inner = keras.Sequential([kinds.Conv2D(4, 3, input_shape=(8, 8, 3)), kinds.Flatten()])
    return keras.Model(x, kinds.Dense(2)(inner(x)))


def _shared(keras: Any, kinds: Any) -> Any:
    left, right, dense = keras.Input((4,), name="left"), keras.Input((4,), name="right"), kinds.Dense(3)
    return keras.Model([left, right], [kinds.Add()([dense(left), dense(right)]), kinds.Dense(2)(left)])


def _mixed(keras: Any, kinds: Any) -> Any:
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        return _image(lambda kinds, x: kinds.Conv2D(4, 3)(x))(keras, kinds)
    finally:
        keras.mixed_precision.set_global_policy("float32")


def _lambda(keras: Any, kinds: Any) -> Any:
    return _image(lambda kinds, x: kinds.Lambda(lambda y: y * 2.0, name="twice")(x))(keras, kinds)


def _tensorflow_call(keras: Any, kinds: Any) -> Any:
    import tensorflow as tf

    return _image(lambda kinds, x: tf.nn.relu(kinds.Conv2D(4, 3)(x)) * 2.0)(keras, kinds)


def _own_layer(keras: Any, kinds: Any) -> Any:
    class Mine(kinds.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x * 2.0

    return _image(lambda k, x: Mine()(x))(keras, kinds)


_NETS: dict[str, Callable[[Any, Any], Any]] = {
    "plain": _plain,
    "nested": _nested,
    "shared": _shared,
    "mixed": _mixed,
    "lambda": _lambda,
    "own_layer": _own_layer,
    "tensorflow_call": _tensorflow_call,
    "depthwise": _image(lambda k, x: k.ReLU(6.0)(k.DepthwiseConv2D(3)(x))),
    "slashes": _image(lambda k, x: k.Dense(2, name="top/out")(k.Conv2D(4, 3, name="block/conv")(x))),
    "separable": _image(lambda k, x: k.SeparableConv2D(4, 3)(x)),
    "transposed": _image(lambda k, x: k.Conv2DTranspose(4, 3, strides=2, padding="same")(x)),
    "lstm": _image(lambda k, x: k.Bidirectional(k.LSTM(5))(x), (7, 4)),
    "gru": _image(lambda k, x: k.GRU(5, reset_after=False)(x), (7, 4)),
    "norms": _image(lambda k, x: k.LayerNormalization(axis=[1, 2])(k.BatchNormalization(axis=1)(x))),
    "dropout": _image(lambda k, x: k.SpatialDropout2D(0.5)(k.LeakyReLU(0.3)(x))),
    "hard_sigmoid": _image(lambda k, x: k.Conv2D(4, 3, activation="hard_sigmoid")(x)),
    "locally_connected": _image(lambda k, x: k.LocallyConnected2D(4, 3)(x)),
}
NAMES = tuple(_NETS)
