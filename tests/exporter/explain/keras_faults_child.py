"""Keras networks with one fault each, built with another layer in one place, and what is found of it.

Runs in a TensorFlow child.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from exporter.explain.source_faults import source_causes
from exporter.source_folder import SCHEMA, SourceFile, save_source
from exporter.sources import keras_file
from runtimes.bundle import ModelSpec, TensorSpec
from runtimes.reference import Reference, Variant, build

SAMPLES = 16


def network(**other: Any) -> Any:
    """(n, 18, 18, 3) to (n, 5) logits; ``other`` replaces layers by name, all of the same weights."""
    import keras
    from keras import layers

    def layer(name: str, usual: Any) -> Any:
        return other.get(name, usual)

    image = keras.Input((18, 18, 3), name="image")
    x = layer("pad", layers.ZeroPadding2D(((0, 1), (0, 1)), name="pad"))(image)
    x = layer("conv1", layers.Conv2D(8, 3, strides=2, activation="relu", name="conv1"))(x)
    x = layer("bn1", layers.BatchNormalization(name="bn1"))(x)
    x = layer("pool", layers.AveragePooling2D(2, 1, padding="same", name="pool"))(x)
    y = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(x)
    y = layer("bn2", layers.BatchNormalization(name="bn2"))(y)
    y = layer("swish", layers.Activation("hard_swish", name="swish"))(y)
    x = layers.Add(name="add")([x, y])
    x = layer("up", layers.UpSampling2D(2, interpolation="bilinear", name="up"))(x)
    x = layer(
        "conv2", layers.SeparableConv2D(6, 3, strides=3, padding="same", activation="gelu", name="conv2")
    )(x)
    x = layer("flatten", layers.Flatten(name="flatten"))(x)
    x = layer("dense1", layers.Dense(16, name="dense1"))(x)
    x = layers.LayerNormalization(name="norm")(x)
    x = layers.Dense(16, activation="tanh", name="dense2")(x)
    return keras.Model(image, layers.Dense(5, name="logits")(x))


def replaced(make: Callable[[], dict[str, Any]]) -> Callable[[list[Any]], Any]:
    """The network with other layers and the right weights."""

    def build_it(weights: list[Any]) -> Any:
        model = network(**make())
        model.set_weights(weights)
        return model

    return build_it


def edited(change: Callable[[Any], None]) -> Callable[[list[Any]], Any]:
    """The right network with its weights changed."""

    def build_it(weights: list[Any]) -> Any:
        model = network()
        model.set_weights(weights)
        change(model)
        return model

    return build_it


def dropped_bias(model: Any) -> None:
    bias = model.get_layer("dense1").bias
    bias.assign(np.zeros(bias.shape))


def transposed(model: Any) -> None:
    kernel = model.get_layer("dense2").kernel
    kernel.assign(np.asarray(kernel).T)


def truncated(model: Any) -> None:
    model.set_weights([weight.astype("float16").astype("float32") for weight in model.get_weights()])


def bump(model: Any) -> None:
    kernel = model.get_layer("dense2").kernel
    array = np.array(kernel)
    array[3, 4] += 0.05
    kernel.assign(array)


def _layers(name: str, **values: Any) -> Any:
    import keras

    return getattr(keras.layers, name)(**values)


def _permuted_flatten() -> Any:
    import keras

    return keras.Sequential([keras.layers.Permute((3, 1, 2)), keras.layers.Flatten()])


@dataclass(frozen=True)
class Planted:
    """How to build the network with the fault, and what the search must say first when it is told ``layers``."""

    make: Callable[[list[Any]], Any]
    name: str
    detail: str
    layers: tuple[str, ...] = ()
    training: tuple[str, ...] = field(default=())


def _training(name: str) -> Callable[[], dict[str, Any]]:
    def make() -> dict[str, Any]:
        import keras

        class Training(keras.layers.BatchNormalization):  # type: ignore[misc]
            def call(self, x: Any, training: Any = None, mask: Any = None) -> Any:
                mean = keras.ops.mean(x, axis=(0, 1, 2))
                variance = keras.ops.var(x, axis=(0, 1, 2))
                return (x - mean) / keras.ops.sqrt(variance + self.epsilon) * self.gamma + self.beta

        return {name: Training(name=name)}

    return make


PLANTED = {
    "padding": Planted(
        replaced(lambda: {"pad": _layers("ZeroPadding2D", padding=((1, 0), (1, 0)))}),
        "padding off by one",
        "pad: one pixel of the padding of every side is at the start",
        ("pad", "conv1"),
    ),
    "epsilon": Planted(
        replaced(lambda: {"bn2": _layers("BatchNormalization", epsilon=1e-5)}),
        "another epsilon",
        "bn2: epsilon is 1e-05",
        ("bn2",),
    ),
    "training": Planted(replaced(_training("bn1")), "batch norm in training mode", "bn1", ("bn1",)),
    "flatten": Planted(
        replaced(lambda: {"flatten": _permuted_flatten()}), "flatten order", "flatten: ", ("flatten",)
    ),
    "swish": Planted(
        replaced(lambda: {"swish": _layers("Activation", activation="swish")}),
        "activation changed",
        "swish: hard swish has become silu",
        ("swish",),
    ),
    "relu6": Planted(
        replaced(lambda: {"conv1": _layers("Conv2D", filters=8, kernel_size=3, strides=2, activation="relu6")}),
        "activation changed",
        "conv1: relu has become relu6",
        ("conv1",),
    ),
    "gelu": Planted(
        replaced(lambda: {"conv2": _layers("SeparableConv2D", filters=6, kernel_size=3, strides=3, padding="same")}),
        "activation changed",
        "conv2: gelu has become nothing",
        ("conv2",),
    ),
    "max": Planted(
        replaced(lambda: {"pool": _layers("MaxPooling2D", pool_size=2, strides=1, padding="same")}),
        "another pooling",
        "pool: average instead of maximum",
        ("pool",),
    ),
    "nearest": Planted(
        replaced(lambda: {"up": _layers("UpSampling2D", size=2, interpolation="nearest")}),
        "another resize",
        "up: nearest",
        ("up",),
    ),
    "bias": Planted(edited(dropped_bias), "bias dropped", "dense1", ("dense1",)),
    "transposed": Planted(edited(transposed), "weight transposed", "dense2", ("dense2",)),
    "fp16": Planted(edited(truncated), "truncated weights", "all parameters and statistics are float16", ("conv1",)),
}  # fmt: skip


def found(folder: Path) -> dict[str, list[str]]:
    """``name: detail`` of each cause of each planted fault; ``bump`` is one changed weight, ``clean`` nothing."""
    reference, weights = _reference(folder)
    cases = {
        **PLANTED,
        "bump": Planted(edited(bump), "", ""),
        "clean": Planted(edited(lambda model: None), "", ""),
    }
    answers = {}
    for name, case in cases.items():
        model = case.make(weights)
        y = {"logits": np.asarray(model(reference.inputs["image"], training=False))}
        seconds = 20 if name == "bump" else 300
        causes = source_causes(
            folder, reference.inputs, y, reference.y64, reference.noise, case.layers, seconds
        )
        answers[name] = [f"{cause.name}: {cause.detail}" for cause in causes.causes]
    return answers


def _reference(folder: Path) -> tuple[Reference, list[Any]]:
    """The right network as a source folder, its reference, and its weights."""
    import keras

    keras.utils.set_random_seed(4)
    model = network()
    rng = np.random.default_rng(2)
    weights = []
    for variable in model.weights:
        shape, name = variable.shape, variable.name
        ranges = {"gamma": (2.0, 8.0), "moving_variance": (0.02, 1.5)}
        low, high = ranges.get(name, (-0.5, 0.5))
        weights.append(rng.uniform(low, high, shape).astype("float32"))
    model.set_weights(weights)
    model.save(folder / keras_file.WEIGHTS)
    spec = ModelSpec(
        "net",
        (TensorSpec("image", "float32", (None, 18, 18, 3), "NHWC", "image"),),
        (TensorSpec("logits", "float32", (None, 5), "NC", "logits"),),
    )
    save_source(folder, SourceFile(SCHEMA, "keras", keras_file.WEIGHTS, spec, "keras_file"))
    images = rng.uniform(0, 5, (SAMPLES, 18, 18, 3)).astype("float32")
    reference = build(
        lambda variant: keras_file.open_session(folder, variant),
        {"image": images},
        np.full(SAMPLES, -1),
        [Variant(batch=1), Variant()],
        spec.outputs,
    )
    return reference, weights
