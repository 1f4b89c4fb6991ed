"""What the zoo runs in children: make a model with random, seeded weights and statistics; close sessions.

A network at its initialisation hides faults: its batch norms are identities, its layer scales and position tables
zero. So every parameter is drawn, and the running statistics are measured and then moved, which keeps the
activations in the range of a trained network.
"""

from __future__ import annotations

import functools
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from exporter import samples
from exporter.sources import torch_code
from runtimes.bundle import ModelSpec, TensorSpec
from tests.zoo.registry import Model

# Images that the running statistics are measured on, of the kind that the verdict is reached on.
BATCH = 16


def inputs(model: Model) -> np.ndarray[Any, Any]:
    """Generated inputs, (BATCH, *shape): preprocessed pictures where the model takes images, else noise."""
    layout = ("NHWC" if model.framework == "keras" else "NCHW") if model.preprocessing else ""
    spec = TensorSpec("input", "float32", (None, *model.shape), layout, "image" if layout else "tensor")
    described = ModelSpec(model.name, (spec,), (), preprocessing=model.preprocessing)
    return samples.generated(described).inputs["input"][:BATCH]


def seed(model: Model) -> int:
    """Of the model's name, so that another model beside it changes nothing."""
    return zlib.crc32(model.name.encode()) % 2**31


def make_torch(model: Model, weights: Path) -> None:
    """Write the state_dict of one of our networks."""
    import torch

    generator = torch.Generator().manual_seed(seed(model))
    network = torch_code.build(model.code, {})
    with torch.no_grad():
        draw_torch(network, generator)
        measure_torch(network, torch.from_numpy(inputs(model)), generator)
    torch.save(network.state_dict(), weights)


def draw_torch(model: Any, generator: Any) -> None:
    """He's normal weights; biases, scales and tables away from the values that would hide them."""
    from torch import nn

    norms = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)
    transposed = nn.modules.conv._ConvTransposeNd
    for module in model.modules():
        for name, tensor in module.named_parameters(recurse=False):
            if isinstance(module, norms) and name == "weight":
                tensor.uniform_(0.5, 1.5, generator=generator)
            elif tensor.ndim > 1 and not isinstance(module, norms) and name.endswith("weight"):
                fan_in = tensor[:, 0].numel() if isinstance(module, transposed) else tensor[0].numel()
                tensor.normal_(0, (2 / fan_in) ** 0.5, generator=generator)
            else:
                tensor.normal_(0, 0.2, generator=generator)


def measure_torch(network: Any, images: Any, generator: Any) -> None:
    """Give each batch norm, when the images reach it, the statistics of what reaches it, moved.

    So what one norm changes, the next ones see; the mean moves by a fifth of a deviation, the variance by a quarter.
    """
    from torch import nn

    def measure(norm: Any, arguments: tuple[Any]) -> None:
        axes = [axis for axis in range(arguments[0].ndim) if axis != 1]
        mean, variance = arguments[0].mean(axes), arguments[0].var(axes) + norm.eps
        shift = mean.new_empty(mean.shape).normal_(0, 0.2, generator=generator)
        norm.running_mean.copy_(mean + variance.sqrt() * shift)
        norm.running_var.copy_(
            variance * mean.new_empty(mean.shape).uniform_(0.75, 1.25, generator=generator)
        )

    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    hooks = [norm.register_forward_pre_hook(measure) for norm in norms]
    network(images)
    for hook in hooks:
        hook.remove()


def make_keras(model: Model, path: Path) -> None:
    """Write the ``.keras`` file of a network of ``keras.applications``."""
    import keras

    keras.utils.set_random_seed(seed(model))
    random = np.random.default_rng(seed(model))
    network = getattr(keras.applications, model.name)(weights=None, input_shape=model.shape, classes=10)
    for layer in network.layers:
        layer.set_weights([_draw_keras(layer, weight, random) for weight in layer.weights])
    _measure_keras(network, inputs(model), random)
    network.save(path)


def _draw_keras(layer: Any, weight: Any, random: np.random.Generator) -> np.ndarray[Any, Any]:
    value = np.asarray(weight)
    kind = weight.name
    if kind in ("moving_mean", "moving_variance", "mean", "variance", "count"):
        return value
    if kind == "gamma" and "norm" in type(layer).__name__.lower():
        return random.uniform(0.5, 1.5, value.shape).astype(value.dtype)
    if value.ndim > 1:
        fan_in = value.size // value.shape[-1]
        if "depthwise" in f"{kind} {type(layer).__name__}".lower() and "pointwise" not in kind:
            fan_in = value.shape[0] * value.shape[1]
        return random.normal(0, (2 / fan_in) ** 0.5, value.shape).astype(value.dtype)
    return random.normal(0, 0.2, value.shape).astype(value.dtype)


def _measure_keras(network: Any, images: np.ndarray[Any, Any], random: np.random.Generator) -> None:
    """As ``measure_torch``."""
    import keras

    def measure(norm: Any, call: Any, x: Any, **options: Any) -> Any:
        mean, variance = (np.asarray(value) for value in keras.ops.moments(x, list(range(x.ndim - 1))))
        variance = variance + norm.epsilon
        norm.moving_mean.assign(mean + np.sqrt(variance) * random.normal(0, 0.2, mean.shape))
        norm.moving_variance.assign(variance * random.uniform(0.75, 1.25, variance.shape))
        return call(x, **options)

    norms = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for norm in norms:
        norm.call = functools.partial(measure, norm, norm.call)
    network(images, training=False)
    for norm in norms:
        del norm.call


def unnoticed(model: Model, weights: Path) -> list[str]:
    """The tensors of the network's state without which it predicts the same, to a thousandth.

    Each in turn takes the value of a fresh layer: 1 for a scale or a variance, else 0.
    """
    import torch

    network = torch_code.build(model.code, {})
    state = torch.load(weights, weights_only=True)
    images = torch.from_numpy(inputs(model)[:2])
    found = []
    with torch.inference_mode():
        network.load_state_dict(state)
        whole = network(images)
        for name, tensor in state.items():
            if tensor.is_floating_point():
                fresh = (
                    1.0
                    if name.endswith("running_var") or (tensor.ndim == 1 and name.endswith("weight"))
                    else 0.0
                )
                network.load_state_dict({**state, name: torch.full_like(tensor, fresh)})
                if (network(images) - whole).norm() < 1e-3 * whole.norm():
                    found.append(name)
    return found
