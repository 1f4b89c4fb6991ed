"""Files of other tools' making: a small Keras model, trained on the digits, and what TensorFlow's converter makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

TRAIN = 1400
KINDS = ("float", "dynamic", "int8_inside", "int8", "uint8", "float16")


def write(folder: Path) -> None:
    """The classifier, an autoencoder, and their TF Lite files: float, changed, int8, uint8, dynamic range and float16.

    ``changed.tflite`` has one weight of 0.1 % more, ``rare.tflite`` is wrong where a pixel is above 1.5, and
    ``stale.keras`` is the classifier some epochs earlier.
    """
    import keras
    from sklearn.datasets import load_digits

    keras.utils.set_random_seed(0)
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32).reshape(-1, 8, 8, 1)
    classifier = _classifier(keras)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    classifier.compile(keras.optimizers.Adam(0.01), loss)
    classifier.fit(images[:TRAIN], labels[:TRAIN], epochs=4, verbose=0)
    classifier.save(folder / "stale.keras")
    classifier.fit(images[:TRAIN], labels[:TRAIN], epochs=6, verbose=0)
    classifier.save(folder / "classifier.keras")
    classifier.save(folder / "classifier.h5")
    np.savez(folder / "heldout.npz", image=images[TRAIN:], labels=labels[TRAIN:])
    _write_tflite(folder, "classifier", classifier, images[:200], KINDS)
    (folder / "rare.tflite").write_bytes(_converter(_rare(keras, classifier)).convert())
    weights = classifier.get_weights()
    place = np.unravel_index(np.argmax(np.abs(weights[0])), weights[0].shape)
    weights[0][place] *= 1.001
    classifier.set_weights(weights)
    (folder / "changed.tflite").write_bytes(_converter(classifier).convert())
    autoencoder = _autoencoder(keras)
    autoencoder.compile("adam", "mse")
    autoencoder.fit(images[:TRAIN], images[:TRAIN], epochs=2, verbose=0)
    autoencoder.save(folder / "autoencoder.keras")
    _write_tflite(folder, "autoencoder", autoencoder, images[:200], ("float", "int8"))


def _classifier(keras: Any) -> Any:
    layers = keras.layers
    image = keras.Input((8, 8, 1), name="image")
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(image)
    x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(16, 3, padding="same", activation="relu")(x)
    return keras.Model(image, layers.Dense(10, name="scores")(layers.Flatten()(x)))


def _rare(keras: Any, classifier: Any) -> Any:
    brightest = keras.layers.GlobalMaxPooling2D()(classifier.input)
    excess = keras.layers.ReLU(threshold=1.5)(brightest)
    return keras.Model(classifier.input, keras.layers.Add()([classifier.output, excess]))


def _autoencoder(keras: Any) -> Any:
    layers = keras.layers
    image = keras.Input((8, 8, 1), name="image")
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(image)
    return keras.Model(image, layers.Conv2DTranspose(1, 3, strides=2, padding="same", name="again")(x))


def _converter(model: Any, **options: Any) -> Any:
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    for name, value in options.items():
        setattr(converter, name, value)
    return converter


def _write_tflite(
    folder: Path, name: str, model: Any, images: np.ndarray[Any, Any], kinds: tuple[str, ...]
) -> None:
    import tensorflow as tf

    smaller = {"optimizations": [tf.lite.Optimize.DEFAULT]}
    whole = {**smaller, "representative_dataset": lambda: ([image[None]] for image in images)}
    options: dict[str, dict[str, Any]] = {
        "float": {},
        "dynamic": smaller,
        "int8_inside": whole,
        "float16": smaller,
    }
    for dtype in (tf.int8, tf.uint8):
        options[dtype.name] = {**whole, "inference_input_type": dtype, "inference_output_type": dtype}
    for kind in kinds:
        converter = _converter(model, **options[kind])
        if "representative_dataset" in options[kind]:
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        if kind == "float16":
            converter.target_spec.supported_types = [tf.float16]
        (folder / f"{name}_{kind}.tflite").write_bytes(converter.convert())
