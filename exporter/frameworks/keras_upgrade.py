"""A configuration that Keras 2 wrote, as Keras 3 spells it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

# Arguments that Keras 2 wrote and Keras 3 does not know, with the value that changes nothing.
_NEUTRAL: dict[str, Any] = {"groups": 1, "time_major": False, "softmax_robust_masking": False}
# The same, whatever their values: shapes that the layer finds out itself, and what only training reads.
_REDUNDANT = {
    "": ("batch_input_shape",),
    "MultiHeadAttention": ("query_shape", "key_shape", "value_shape"),
    "SeparableConv1D": ("kernel_initializer", "kernel_regularizer", "kernel_constraint"),
    "SeparableConv2D": ("kernel_initializer", "kernel_regularizer", "kernel_constraint"),
    "SpatialDropout1D": ("trainable", "noise_shape"),
    "SpatialDropout2D": ("trainable", "noise_shape"),
    "SpatialDropout3D": ("trainable", "noise_shape"),
}


def upgraded(config: Any) -> Any:
    """A configuration that tf_keras wrote, as Keras 3 spells it."""
    if isinstance(config, list):
        return [upgraded(item) for item in config]
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "Policy":
        return config["config"]["name"]
    made = {key: upgraded(value) for key, value in config.items() if key != "build_config"}
    kind, inner = made.get("class_name"), made.get("config")
    if isinstance(inner, dict) and kind:
        if kind in ("Functional", "Model"):
            made |= {"class_name": "Functional", "module": "keras.src.models.functional"}
            inner = _renumbered(inner)
        elif kind == "Sequential":
            made["module"] = "keras"
        redundant = (*_REDUNDANT.get(kind, ()), *(_REDUNDANT[""] if kind != "InputLayer" else ()))
        inner = {
            key: value
            for key, value in inner.items()
            if key not in redundant and not (key in _NEUTRAL and value == _NEUTRAL[key])
        }
        if kind == "BatchNormalization" and isinstance(inner.get("axis"), list):
            [inner["axis"]] = inner["axis"]
        made["config"] = inner
    return made


def _renumbered(config: dict[str, Any]) -> dict[str, Any]:
    """A functional configuration whose nested models count their calls from 0.

    In Keras 2 a nested model's own graph is its call 0 where it was built before it was called.
    """
    nested = {
        layer["config"]["name"]: len(layer["inbound_nodes"])
        for layer in config["layers"]
        if layer["class_name"] in ("Functional", "Model", "Sequential")
    }

    def calls(value: Any) -> Iterator[tuple[str, int]]:
        if isinstance(value, list):
            if (
                len(value) >= 3
                and isinstance(value[0], str)
                and value[0] in nested
                and isinstance(value[1], int)
            ):
                yield value[0], value[1]
            for item in value:
                yield from calls(item)
        elif isinstance(value, dict):
            yield from calls(list(value.values()))

    def moved(value: Any) -> Any:
        if isinstance(value, list):
            if len(value) >= 3 and isinstance(value[0], str) and value[0] in shifted:
                return [value[0], value[1] - 1, *map(moved, value[2:])]
            return [moved(item) for item in value]
        return {key: moved(item) for key, item in value.items()} if isinstance(value, dict) else value

    links = {key: config[key] for key in ("input_layers", "output_layers")}
    inbound = [layer["inbound_nodes"] for layer in config["layers"]]
    shifted = {name for name, call in calls([*links.values(), inbound]) if call >= nested[name]}
    layers = [
        {**layer, "inbound_nodes": moved(nodes)}
        for layer, nodes in zip(config["layers"], inbound, strict=True)
    ]
    return {**config, "layers": layers, **{key: moved(value) for key, value in links.items()}}


def without_slashes(config: Any) -> Any:
    """A configuration without slashes in the names of layers, which Keras 2 allowed."""
    names = set(_names(config))

    def renamed(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: renamed(item) for key, item in value.items()}
        if isinstance(value, list):
            return [renamed(item) for item in value]
        return plain(value) if isinstance(value, str) and value in names else value

    return renamed(config)


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("name"), str):
            yield value["name"]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _names(item)


def plain(name: str) -> str:
    """The name as Keras 3 allows it."""
    return name.replace("/", "_")
