"""What ``test_keras2torchscript.py`` runs in a child, where Keras computes with PyTorch."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from exporter.conversions import keras2torchscript
from runtimes.bundle import ModelSpec, TensorSpec

SIDE, CHANNELS = 9, 4


@dataclass(frozen=True)
class Export:
    """How far the file's outputs are from the network's, of the largest, and its operators."""

    error: float
    ops: dict[str, int]


def plain(x: Any) -> Any:
    from keras import layers

    x = layers.Conv2D(6, 3, padding="same", activation="relu")(x)
    x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(8, 3, activation="relu")(x)
    return layers.Dense(5)(layers.Flatten()(x))


def normed(x: Any) -> Any:
    from keras import layers

    x = layers.BatchNormalization()(layers.Conv2D(6, 3, strides=2, padding="same", use_bias=False)(x))
    x = layers.ReLU(6)(x)
    x = layers.BatchNormalization(scale=False)(layers.DepthwiseConv2D(3, padding="same")(x))
    return layers.Dense(5)(layers.GlobalAveragePooling2D()(x))


def residual(x: Any) -> Any:
    from keras import layers

    x = layers.Conv2D(6, 1)(x)
    y = layers.BatchNormalization()(layers.Conv2D(6, 3, padding="same")(layers.ReLU()(x)))
    return layers.Conv2D(3, 1)(layers.ReLU()(layers.Add()([x, y])))


def dense_block(x: Any) -> Any:
    from keras import layers

    y = layers.Conv2D(6, 3, padding="same")(x)
    x = layers.Concatenate()([layers.Conv2D(3, 1)(x), y])
    return layers.Conv2D(3, 1)(layers.ReLU()(layers.BatchNormalization()(x)))


def shared(x: Any) -> Any:
    """The convolution's result is also an output: its batch norm must not end in it."""
    from keras import layers

    y = layers.Conv2D(6, 3)(x)
    return [y, layers.BatchNormalization()(y)]


def gated(x: Any) -> Any:
    """A factor for each channel that depends on the image, and one for each place, which is no factor of a channel."""
    from keras import layers, ops

    y = layers.Conv2D(CHANNELS, 3, padding="same")(x)
    places = np.linspace(0.5, 1.5, SIDE * SIDE, dtype="float32").reshape(1, SIDE, SIDE, 1)
    return layers.Conv2D(2, 1)(ops.multiply(ops.multiply(y, ops.mean(x, (1, 2), keepdims=True)), places))


NETS: dict[str, Callable[[Any], Any]] = {
    build.__name__: build for build in (plain, normed, residual, dense_block, shared, gated)
}


def export(name: str) -> Export:
    """Make a network with drawn weights and statistics, convert its file, run both on a batch that was not traced."""
    import keras
    import torch

    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    given = keras.Input((SIDE, SIDE, CHANNELS), name="image")
    model = keras.Model(given, NETS[name](given))
    for weight in model.weights:
        weight.assign(random.uniform(0.5, 1.5, weight.shape) * (1 if len(weight.shape) < 2 else 0.3))
    outputs = tuple(
        TensorSpec(f"y{number}", "float32", (None, *tensor.shape[1:]))
        for number, tensor in enumerate(model.outputs)
    )
    spec = ModelSpec(name, (TensorSpec("image", "float32", (None, SIDE, SIDE, CHANNELS), "NHWC"),), outputs)
    images = random.random((3, SIDE, SIDE, CHANNELS), dtype=np.float32)
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.keras")
        keras2torchscript.convert(Path(folder) / "model.keras", Path(folder) / "model.pt", spec)
        module = torch.jit.load(str(Path(folder) / "model.pt"))
    with torch.inference_mode():
        expected, found = model(images, training=False), module(torch.from_numpy(images))
    pairs = zip(*((each,) if torch.is_tensor(each) else each for each in (expected, found)), strict=True)
    errors = [float((one - other).abs().max() / one.abs().max()) for one, other in pairs]
    kinds = [node.kind().removeprefix("aten::") for node in module.graph.nodes() if "aten" in node.kind()]
    return Export(max(errors), dict(Counter(kinds)))
