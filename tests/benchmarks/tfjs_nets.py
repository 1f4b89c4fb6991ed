"""SavedModels for ``tfjs_fidelity.py``, and our TF.js files of them, made in a TensorFlow child.

``NETS`` are small Keras networks, each with what its name says; the others are those of tests/saved_models.py and
networks of ``keras.applications``. Keras's own ``model.export`` writes them, not our conversions.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from exporter.conversions import savedmodel2tfjs
from runtimes.adapters import savedmodel
from runtimes.base import Array
from runtimes.bundle import ModelSpec
from tests import saved_models
from tests.zoo import child
from tests.zoo.registry import Model

APPLICATIONS = {
    "MobileNet": 64, "MobileNetV2": 64, "MobileNetV3Small": 64, "EfficientNetB0": 64, "ResNet50V2": 64,
    "DenseNet121": 64, "NASNetMobile": 64, "Xception": 71, "InceptionV3": 75, "ConvNeXtTiny": 64,
}  # fmt: skip


def make(name: str, folder: Path) -> None:
    """The SavedModel of this name as ``folder/1``."""
    if name in saved_models.SPECS:
        saved_models.make(name, folder)
        return
    if name in NETS:
        import keras

        keras.utils.set_random_seed(0)
        model = NETS[name](keras)
        random = np.random.default_rng(0)
        for layer in model.layers:
            layer.set_weights([_drawn(weight, random) for weight in layer.weights])
    else:
        side = APPLICATIONS[name]
        child.make_keras(Model(name, "keras", (side, side, 3)), folder.with_suffix(".keras"))
        model = _loaded(folder.with_suffix(".keras"))
    model.export(folder / "1", verbose=False)


def convert(folder: Path, out: Path) -> None:
    """Our graph model of the SavedModel ``folder/1``, its tensors by the names of its own signature."""
    found = savedmodel.inspect(folder)
    savedmodel2tfjs.convert(folder, out, ModelSpec(out.parent.name, found.inputs, found.outputs))


def feeds(folder: Path, batch: int) -> dict[str, Array]:
    """Random inputs for the SavedModel: numbers in [0, 1), or indices below 4. Sizes that are free are 16."""
    random = np.random.default_rng(1)
    made: dict[str, Array] = {}
    for spec in savedmodel.inspect(folder).inputs:
        shape = [batch if axis == 0 else size or 16 for axis, size in enumerate(spec.shape)]
        made[spec.name] = (
            random.integers(0, 4, shape).astype(spec.dtype)
            if spec.dtype.startswith("int")
            else random.random(shape).astype(spec.dtype)
        )
    return made


def _loaded(path: Path) -> Any:
    import keras

    return keras.saving.load_model(path, compile=False)


def _drawn(weight: Any, random: np.random.Generator) -> Any:
    """He's normal kernels; scales, shifts and statistics away from 1 and 0."""
    value = np.asarray(weight)
    if value.dtype.kind != "f" and value.dtype.name != "bfloat16":
        return value
    if any(word in weight.name for word in ("gamma", "variance", "alpha")):
        return random.uniform(0.5, 1.5, value.shape).astype(value.dtype)
    fan_in = value.size / value.shape[-1] if value.ndim > 1 else 25.0
    return random.normal(0, fan_in**-0.5, value.shape).astype(value.dtype)


def _norms(keras: Any) -> Any:
    """Batch norms after each kind of layer, with and without its bias, and before one."""
    layers = keras.layers
    x = image = keras.Input((16, 16, 3), name="image")
    for layer in (
        layers.Conv2D(8, 3, padding="same", use_bias=False),
        layers.Conv2D(8, 3, padding="same"),
        layers.DepthwiseConv2D(3, padding="same", use_bias=False),
        layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2),
        layers.SeparableConv2D(8, 3, padding="same", use_bias=False),
        layers.Conv2DTranspose(8, 2, 2, use_bias=False),
        layers.Conv2DTranspose(8, 2, 2),
        layers.Dense(8, use_bias=False),
    ):
        x = layers.ReLU()(layers.BatchNormalization()(layer(x)))
    x = layers.BatchNormalization()(x)
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 1)(x))
    for layer in (layers.Dense(8, use_bias=False), layers.Dense(8)):
        x = layers.ReLU()(layers.BatchNormalization()(layer(x)))
    return keras.Model(image, x)


def _activations(keras: Any) -> Any:
    """Each activation after a convolution, a depthwise one and a dense layer."""
    layers = keras.layers
    x = image = keras.Input((16, 16, 8), name="image")
    each = [
        "relu",
        "relu6",
        "elu",
        "leaky_relu",
        "sigmoid",
        "tanh",
        "hard_swish",
        "swish",
        "gelu",
        "selu",
        "softplus",
    ]
    for activation in each:
        x = layers.Conv2D(8, 3, padding="same", activation=activation)(x)
        x = layers.DepthwiseConv2D(3, padding="same", activation=activation)(x)
    x = layers.GlobalAveragePooling2D()(x)
    for activation in each:
        x = layers.Dense(8, activation=activation)(x)
    return keras.Model(image, x)


def _prelu(keras: Any) -> Any:
    """One slope for each channel, and one for each number."""
    layers = keras.layers
    x = image = keras.Input((16, 16, 3), name="image")
    x = layers.PReLU(shared_axes=(1, 2))(layers.Conv2D(8, 3, padding="same")(x))
    x = layers.PReLU(shared_axes=(1, 2))(layers.DepthwiseConv2D(3, padding="same")(x))
    x = layers.PReLU(shared_axes=(1, 2))(
        layers.BatchNormalization()(layers.Conv2D(8, 3, 2, use_bias=False)(x))
    )
    x = layers.PReLU(shared_axes=(1, 2))(
        layers.BatchNormalization()(layers.DepthwiseConv2D(3, use_bias=False)(x))
    )
    x = layers.PReLU(shared_axes=(1, 2))(layers.Conv2D(8, 3, padding="same", use_bias=False)(x))
    x = layers.PReLU()(layers.Conv2D(8, 3)(x))
    x = layers.PReLU()(layers.Dense(8)(layers.Flatten()(x)))
    return keras.Model(image, x)


def _attention(keras: Any) -> Any:
    layers = keras.layers
    x = tokens = keras.Input((16, 32), name="tokens")
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(4, 8)(x, x))
    x = x + layers.Dense(32)(layers.Dense(64, activation="gelu")(x))
    return keras.Model(tokens, layers.Dense(4, activation="softmax")(layers.GlobalAveragePooling1D()(x)))


def _several(keras: Any) -> Any:
    """Two inputs, one of them indices, and three outputs, whose names are not in alphabetical order."""
    layers = keras.layers
    image = keras.Input((16, 16, 3), name="z_image")
    index = keras.Input((5,), dtype="int32", name="a_index")
    x = layers.Conv2D(8, 3, activation="relu")(image)
    row = layers.Concatenate()(
        [layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling1D()(layers.Embedding(9, 8)(index))]
    )
    return keras.Model(
        [image, index],
        {"second": layers.Dense(3)(row), "first": layers.Dense(2, activation="sigmoid")(row), "map": x},
    )


def _any_size(keras: Any) -> Any:
    """Images of any height and width."""
    layers = keras.layers
    x = image = keras.Input((None, None, 3), name="image")
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    x = layers.Conv2D(8, 3, 2, padding="same", activation="relu")(layers.UpSampling2D(2)(x))
    x = layers.Conv2DTranspose(8, 2, 2, activation="relu")(x)
    return keras.Model(image, layers.Conv2D(1, 1, activation="sigmoid")(x))


def _resizes(keras: Any) -> Any:
    """Upsampling of both kinds, a crop and a pad."""
    layers = keras.layers
    x = image = keras.Input((16, 16, 3), name="image")
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    x = layers.UpSampling2D(2, interpolation="nearest")(x)
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    x = layers.Cropping2D(1)(layers.ZeroPadding2D(3)(x))
    return keras.Model(image, layers.Conv2D(1, 1, activation="sigmoid")(x))


def _recurrent(kind: str, **options: Any) -> Callable[[Any], Any]:
    def net(keras: Any) -> Any:
        steps = keras.Input((6, 8), name="steps")
        return keras.Model(steps, keras.layers.Dense(3)(getattr(keras.layers, kind)(12, **options)(steps)))

    return net


def _half(keras: Any) -> Any:
    """Weights of float16."""
    layers = keras.layers
    image = keras.Input((16, 16, 3), name="image")
    x = layers.Conv2D(8, 3, activation="relu", dtype="float16")(image)
    x = layers.GlobalAveragePooling2D(dtype="float16")(x)
    return keras.Model(image, layers.Dense(4, dtype="float32")(x))


def _one_and_three_d(keras: Any) -> Any:
    layers = keras.layers
    volume = keras.Input((8, 8, 8, 2), name="volume")
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv3D(4, 3, use_bias=False)(volume)))
    x = layers.Reshape((36, 24))(x)
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv1D(8, 3, use_bias=False)(x)))
    x = layers.SeparableConv1D(8, 3, activation="relu")(x)
    return keras.Model(volume, layers.GlobalAveragePooling1D()(x))


NETS: dict[str, Callable[[Any], Any]] = {
    "keras_norms": _norms,
    "keras_activations": _activations,
    "keras_prelu": _prelu,
    "keras_attention": _attention,
    "keras_several": _several,
    "keras_any_size": _any_size,
    "keras_resizes": _resizes,
    "keras_lstm": _recurrent("LSTM"),
    "keras_gru": _recurrent("GRU"),
    "keras_lstm_unrolled": _recurrent("LSTM", unroll=True),
    "keras_half": _half,
    "keras_1d_3d": _one_and_three_d,
}
