"""The Keras network that faults are planted in, like ``torch_net``; its images are not square, and it scales them itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from tests.mutants import keras_faults
from tests.mutants.child import SHAPES

CLASSES = 10
MEAN, VARIANCE = (0.485, 0.456, 0.406), (0.229**2, 0.224**2, 0.225**2)

# A step by name: a layer, or any function of its tensors. Faults replace steps before they are wired.
Steps = dict[str, Callable[..., Any]]


def steps(width: int, probabilities: bool) -> Steps:
    """The layers by name. ``depthwise`` and ``hidden`` are as in ``torch_net``."""
    last = layers.Softmax(name="scores") if probabilities else layers.Activation("linear", name="scores")
    made = (
        layers.Rescaling(1 / 255, name="rescaling"),
        layers.Normalization(mean=MEAN, variance=VARIANCE, name="normalization"),
        layers.ZeroPadding2D(((0, 1), (0, 1)), name="pad"),
        layers.Conv2D(width, 3, strides=2, name="stem"),
        layers.BatchNormalization(name="norm"),
        layers.ReLU(name="activation"),
        layers.DepthwiseConv2D(3, padding="same", name="depthwise"),
        layers.BatchNormalization(name="depthwise_norm"),
        layers.Activation("silu", name="swish"),
        layers.Conv2D(width, 1, name="pointwise"),
        layers.Add(name="residual"),
        layers.MaxPooling2D(2, name="max_pool"),
        layers.Conv2D(2 * width, 3, padding="same", dilation_rate=2, name="dilated"),
        layers.Activation("gelu", name="gelu"),
        layers.AveragePooling2D(3, 1, "same", name="average_pool"),
        layers.UpSampling2D(2, interpolation="bilinear", name="resize"),
        layers.Conv2D(2 * width, 3, strides=2, name="mix"),
        layers.Dropout(0.3, name="dropout"),
        layers.Flatten(name="flatten"),
        layers.Dense(32, name="hidden"),
        layers.ReLU(name="hidden_activation"),
        layers.Dense(32, name="second"),
        layers.LeakyReLU(negative_slope=0.1, name="second_activation"),
        layers.Dense(32, name="third"),
        layers.Dense(CLASSES, name="head"),
        last,
        layers.Dense(CLASSES, name="auxiliary"),
    )
    return {
        "image": lambda x: x,
        **{layer.name: layer for layer in made},
        "outputs": lambda scores, auxiliary: [scores, auxiliary],
    }


def network(width: int = 8, probabilities: bool = False, fault: str = "") -> keras.Model:
    """The network, with one of the ``keras_faults.STEPS`` where it is named."""
    made = steps(width, probabilities)
    if fault in keras_faults.STEPS:
        keras_faults.STEPS[fault](made)

    def through(x: Any, *names: str) -> Any:
        for name in names:
            x = made[name](x)
        return x

    image = keras.Input(SHAPES["keras"], name="image")
    shortcut = through(image, "image", "rescaling", "normalization", "pad", "stem", "norm", "activation")
    x = through(shortcut, "depthwise", "depthwise_norm", "swish", "pointwise")
    x = made["residual"]([x, shortcut])
    x = through(x, "max_pool", "dilated", "gelu", "average_pool", "resize", "mix", "dropout", "flatten")
    x = through(x, "hidden", "hidden_activation", "second", "second_activation", "third")
    return keras.Model(image, made["outputs"](through(x, "head", "scores"), made["auxiliary"](x)))
