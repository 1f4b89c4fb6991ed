"""What runs in a torch child: a module whose code is hard to follow, and what is seen of it."""

from __future__ import annotations

from typing import Any


def recorded() -> list[tuple[str, list[str]]]:
    """``(name, names of what feeds it)`` of each value, in order; each with the numbers it had when it was made."""
    import torch
    from torch import nn

    from exporter.explain import torch_layers

    class Network(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3)
            self.norm = nn.BatchNorm2d(8)
            self.relu = nn.ReLU(inplace=True)
            self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
            self.head = nn.Linear(4, 2)

        def forward(self, image: Any) -> Any:
            x = self.relu(self.norm(self.conv(image)))
            x *= 1.5
            left, right = x.chunk(2, dim=1)
            x = self.relu(left + right)
            x = x.flatten(2).transpose(1, 2)
            x, _ = self.attention(x, x, x, need_weights=False)
            return self.head(x.mean(1))

    network = Network().eval()
    image = torch.randn(2, 3, 8, 8)
    with torch.inference_mode(), torch_layers._recording(network) as (calls, _):
        network(image)
        values = torch_layers._named(calls)
    by_name = {value.name: value.array for value in values}
    assert (by_name["norm"] < 0).any()
    assert (by_name["relu"] >= 0).all()
    return [(value.name, list(value.inputs)) for value in values]


def of_keras() -> list[list[tuple[str, str, tuple[str, ...]]]]:
    """``(name, kind, names of what feeds it)`` of the layers of a Keras model's graph, in float32 and in float64.

    TensorFlow ends a silu in an identity with a gradient of its own, and has no resize in float64.
    """
    import keras
    import tensorflow as tf

    from exporter.explain.tensorflow_layers import _leaving, _Scopes
    from exporter.frameworks.float64_graph import as_float64
    from exporter.frameworks.frozen_graph import freeze

    image = keras.Input((8, 10, 3), name="image")
    x = keras.layers.Conv2D(4, 3, name="stem")(image)
    x = keras.layers.Activation("silu", name="swish")(x)
    x = keras.layers.UpSampling2D(2, interpolation="bilinear", name="resize")(x)
    model = keras.Model(image, keras.layers.Conv2D(4, 3, name="mix")(x))
    spec = tf.TensorSpec((None, 8, 10, 3), tf.float32, name="image")
    call = tf.function(lambda image: {"y": model(image, training=False)})
    frozen = freeze(call.get_concrete_function(spec))
    scopes = _Scopes(frozen, {layer.name: type(layer).__name__ for layer in model._flatten_layers()})
    return [list(_leaving(graph, scopes).values()) for graph in (frozen, as_float64(frozen))]
