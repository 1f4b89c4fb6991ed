"""Faults in the Keras network: ``STEPS`` replace steps before they are wired, ``WEIGHTS`` change the finished model.

They are written on the network's own layers, apart from the hypotheses that ``fwexport verify --explain`` tries.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import layers, ops

Fault = Callable[[Any], None]

STEPS: dict[str, Fault] = {}
WEIGHTS: dict[str, Fault] = {}
FLOAT16_MAX = 65504.0


def fault(name: str, where: dict[str, Fault] = STEPS) -> Callable[[Fault], Fault]:
    """Register a function under the name of its kind."""

    def register(function: Fault) -> Fault:
        where[name] = function
        return function

    return register


def _after(step: Callable[..., Any], function: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda x: function(step(x))


# What goes in.


@fault("height and width transposed")
def _(steps: Any) -> None:
    """The rows are read as if they were as long as the columns."""
    steps["image"] = lambda x: ops.transpose(ops.reshape(x, (-1, 28, 20, 3)), (0, 2, 1, 3))


@fault("layout reinterpreted")
def _(steps: Any) -> None:
    steps["image"] = lambda x: ops.transpose(ops.reshape(x, (-1, 3, 20, 28)), (0, 2, 3, 1))


@fault("channels reversed")
def _(steps: Any) -> None:
    steps["image"] = lambda x: ops.concatenate([x[..., 2:3], x[..., 1:2], x[..., 0:1]], -1)


@fault("image flipped")
def _(steps: Any) -> None:
    steps["image"] = lambda x: ops.flip(x, 2)


@fault("scale doubled")
def _(steps: Any) -> None:
    steps["image"] = lambda x: x / 255.0


@fault("scale missing")
def _(steps: Any) -> None:
    steps["rescaling"] = lambda x: x


@fault("mean and std missing")
def _(steps: Any) -> None:
    steps["normalization"] = lambda x: x


@fault("mean and std doubled")
def _(steps: Any) -> None:
    mean, variance = (
        np.ravel(steps["normalization"].input_mean),
        np.ravel(steps["normalization"].input_variance),
    )
    again = layers.Normalization(mean=mean, variance=variance, name="normalization_again")
    steps["normalization"] = _after(steps["normalization"], again)


# What comes out.


@fault("softmax missing")
def _(steps: Any) -> None:
    steps["scores"] = layers.Activation("linear", name="scores")


@fault("softmax doubled")
def _(steps: Any) -> None:
    steps["head"] = _after(steps["head"], layers.Softmax(name="softmax"))


@fault("softmax added")
def _(steps: Any) -> None:
    steps["scores"] = layers.Softmax(name="scores")


@fault("labels permuted")
def _(steps: Any) -> None:
    steps["head"] = _after(steps["head"], lambda x: ops.take(x, [0, 9, 1, 2, 3, 4, 5, 6, 7, 8], axis=1))


@fault("outputs swapped")
def _(steps: Any) -> None:
    steps["outputs"] = lambda scores, auxiliary: [auxiliary, scores]


@fault("scale of 1.01")
def _(steps: Any) -> None:
    steps["head"] = _after(steps["head"], lambda x: x * 1.01)


# What lies between: layers with other settings.


@fault("batch norm in training mode")
def _(steps: Any) -> None:
    norm = steps["depthwise_norm"]

    def by_the_batch(x: Any) -> Any:
        mean, variance = ops.moments(x, (0, 1, 2), keepdims=True)
        return norm((x - mean) / ops.sqrt(variance + norm.epsilon))

    steps["depthwise_norm"] = by_the_batch


@fault("batch norm in training mode", WEIGHTS)
def _(model: Any) -> None:
    """What the batch has been normalised by is not applied again."""
    norm = model.get_layer("depthwise_norm")
    norm.moving_mean.assign(ops.zeros_like(norm.moving_mean))
    norm.moving_variance.assign(ops.ones_like(norm.moving_variance) - norm.epsilon)


@fault("dropout traced")
def _(steps: Any) -> None:
    channels = steps["mix"].filters
    mask = (np.random.default_rng(0).random((1, 4, 6, channels)) > 0.3) / np.float32(0.7)
    steps["dropout"] = lambda x: x * mask.astype(np.float32)


@fault("another epsilon")
def _(steps: Any) -> None:
    steps["norm"].epsilon = 1e-5


@fault("epsilon below the noise")
def _(steps: Any) -> None:
    steps["norm"].epsilon = 1e-3 * (1 + 1e-6)


@fault("padding off by one")
def _(steps: Any) -> None:
    steps["pad"] = layers.ZeroPadding2D(((1, 0), (1, 0)), name="pad")


@fault("stride's phase")
def _(steps: Any) -> None:
    shift = lambda x: ops.pad(x[:, 1:, 1:], ((0, 0), (0, 1), (0, 1), (0, 0)))  # noqa: E731
    steps["resize"] = _after(steps["resize"], shift)


@fault("dilation dropped")
def _(steps: Any) -> None:
    steps["dilated"].dilation_rate = (1, 1)


@fault("clip at 6")
def _(steps: Any) -> None:
    steps["hidden_activation"] = layers.ReLU(6, name="hidden_activation")


@fault("activation changed")
def _(steps: Any) -> None:
    steps["swish"] = layers.Activation("hard_silu", name="swish")


@fault("activation's slope")
def _(steps: Any) -> None:
    steps["second_activation"] = layers.LeakyReLU(negative_slope=0.01, name="second_activation")


@fault("slope changed in the file")
def _(steps: Any) -> None:
    """What ``file_faults`` does to the artifact."""
    steps["second_activation"] = layers.LeakyReLU(negative_slope=0.2, name="second_activation")


@fault("gelu by tanh")
def _(steps: Any) -> None:
    steps["gelu"] = lambda x: ops.gelu(x, approximate=True)


@fault("residual dropped")
def _(steps: Any) -> None:
    steps["residual"] = lambda pair: pair[0]


@fault("pooling kind")
def _(steps: Any) -> None:
    steps["max_pool"] = layers.AveragePooling2D(2, name="max_pool")


@fault("pads counted")
def _(steps: Any) -> None:
    """Zeros are averaged with the others where the window leaves the image."""
    pool = layers.AveragePooling2D(3, 1, "valid", name="average_pool")
    steps["average_pool"] = lambda x: pool(ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))))


@fault("resize by nearest")
def _(steps: Any) -> None:
    steps["resize"] = layers.UpSampling2D(2, interpolation="nearest", name="resize")


@fault("flatten order")
def _(steps: Any) -> None:
    steps["flatten"] = _after(lambda x: ops.transpose(x, (0, 3, 1, 2)), steps["flatten"])


@fault("fp16 saturation")
def _(steps: Any) -> None:
    steps["depthwise"] = _after(steps["depthwise"], lambda x: ops.clip(x, -FLOAT16_MAX, FLOAT16_MAX))


@fault("batch folded into one")
def _(steps: Any) -> None:
    """A little of the batch's mean is in every sample; alone, a sample is right."""
    steps["hidden_activation"] = _after(
        steps["hidden_activation"], lambda x: x + 0.01 * (ops.mean(x, 0, keepdims=True) - x)
    )


# Weights.


@fault("weight changed", WEIGHTS)
def _(model: Any) -> None:
    _edit(model, "third", 0, lambda kernel: _times(kernel, (5, 3), 1 + 1e-3))


@fault("dead weight changed", WEIGHTS)
def _(model: Any) -> None:
    _edit(model, "hidden", 1, lambda bias: _times(bias, (0,), 1 + 1e-3))


@fault("bias dropped", WEIGHTS)
def _(model: Any) -> None:
    _edit(model, "mix", 1, np.zeros_like)


@fault("channel swapped", WEIGHTS)
def _(model: Any) -> None:
    _edit(model, "stem", 0, lambda kernel: kernel[..., [1, 0, *range(2, kernel.shape[-1])]])


@fault("kernel flipped", WEIGHTS)
def _(model: Any) -> None:
    _edit(model, "mix", 0, lambda kernel: kernel[::-1, ::-1])


@fault("kernel transposed", WEIGHTS)
def _(model: Any) -> None:
    _edit(model, "mix", 0, lambda kernel: kernel.transpose(1, 0, 2, 3))


@fault("weights transposed", WEIGHTS)
def _(model: Any) -> None:
    _edit(model, "second", 0, np.transpose)


@fault("layers exchanged", WEIGHTS)
def _(model: Any) -> None:
    second, third = model.get_layer("second"), model.get_layer("third")
    kept = second.get_weights()
    second.set_weights(third.get_weights())
    third.set_weights(kept)


@fault("sign flipped", WEIGHTS)
def _(model: Any) -> None:
    _edit(model, "head", 0, np.negative)
    _edit(model, "head", 1, np.negative)


@fault("stale weights", WEIGHTS)
def _(model: Any) -> None:
    random = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign(np.asarray(variable) * (1 + 1e-3 * random.standard_normal(variable.shape)))


@fault("stale statistics", WEIGHTS)
def _(model: Any) -> None:
    _edit(model, "norm", 2, lambda mean: mean * 1.01)


@fault("statistics missing", WEIGHTS)
def _(model: Any) -> None:
    _edit(model, "norm", 2, np.zeros_like)
    _edit(model, "norm", 3, np.ones_like)


@fault("gamma dropped", WEIGHTS)
def _(model: Any) -> None:
    _edit(model, "norm", 0, np.ones_like)


@fault("truncated weights", WEIGHTS)
def _(model: Any) -> None:
    for variable in model.trainable_variables:
        variable.assign(ops.cast(ops.cast(variable, "bfloat16"), "float32"))


@fault("weights through float16", WEIGHTS)
def _(model: Any) -> None:
    for variable in model.trainable_variables:
        kept = np.clip(np.asarray(variable), -FLOAT16_MAX, FLOAT16_MAX)
        variable.assign(kept.astype(np.float16).astype(np.float32))


@fault("one layer through float16", WEIGHTS)
def _(model: Any) -> None:
    _edit(model, "third", 0, lambda kernel: kernel.astype(np.float16).astype(np.float32))


@fault("int8 posing as float", WEIGHTS)
def _(model: Any) -> None:
    def through_int8(kernel: Any) -> Any:
        step = np.abs(kernel).max() / 127
        return np.round(kernel / step) * step

    _edit(model, "hidden", 0, through_int8)


def _edit(model: Any, name: str, place: int, change: Callable[[Any], Any]) -> None:
    """Change one array among the weights of a layer."""
    layer = model.get_layer(name)
    values = layer.get_weights()
    values[place] = change(values[place])
    layer.set_weights(values)


def _times(array: Any, at: tuple[int, ...], factor: float) -> Any:
    changed = array.copy()
    changed[at] *= np.float32(factor)
    return changed
