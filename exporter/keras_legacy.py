"""Keras 2 files (``.h5``, early ``.keras``, JSON and weights): read by tf_keras, and in Keras 3 where both agree.

Keras 3 refuses many Keras 2 files over arguments that no longer exist, and reads some as another network without a
word. So tf_keras, the library that wrote them, says what a file holds. Its configuration is rewritten for Keras 3,
and the result is taken only when every layer's shape and the outputs on a seeded batch are those of tf_keras.
Everything here but ``version_of`` and the pure functions on configurations runs in a TensorFlow child.
"""

from __future__ import annotations

import importlib.util
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from exporter.keras_export import MAX_UNROLLED_STEPS
from runtimes.base import Array
from runtimes.errors import NotAModelError, UnavailableError

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
SAME = 1e-4  # relative: two float32 libraries on one network differ by about 1e-6
_HALF_POLICIES = ("mixed_float16", "mixed_bfloat16", "float16", "bfloat16")

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


@dataclass(frozen=True)
class Loaded:
    """A model and the library that it lives in; ``note`` says why it is tf_keras, or is empty."""

    model: Any
    library: str
    note: str = ""


def check() -> str | None:
    """None, or how to get tf_keras."""
    if importlib.util.find_spec("tf_keras") is None:
        return "files of Keras 2 are read by tf_keras, which is missing: pip install 'fwexport[legacy]'"
    return None


def version_of(path: Path) -> str:
    """The Keras that wrote the file: "2.15.0", "3.12.0", or "" when it does not say (then it is no Keras 2 file).

    Raises NotAModelError for a file that is none of Keras's.
    """
    if zipfile.is_zipfile(path):
        return str(_zip_json(path, "metadata.json").get("keras_version", ""))
    if is_hdf5(path):
        return _hdf5_text(path, "keras_version")
    return str(_json(path).get("keras_version", ""))


def is_legacy(path: Path) -> bool:
    """Whether a Keras before 3 wrote the file."""
    return version_of(path).partition(".")[0] in ("0", "1", "2")


def config_of(path: Path) -> dict[str, Any]:
    """The configuration in a ``.keras``, ``.h5`` or JSON file. Raises NotAModelError when there is none."""
    if zipfile.is_zipfile(path):
        return _zip_json(path, "config.json")
    if is_hdf5(path):
        text = _hdf5_text(path, "model_config")
        if not text:
            raise NotAModelError(
                f"{path} holds weights without a network. Give the network's JSON and these as --weights, "
                "or save the whole model."
            )
        found: dict[str, Any] = json.loads(text)
        return found
    return _json(path)


def is_hdf5(path: Path) -> bool:
    """Whether the file starts as HDF5 does."""
    with path.open("rb") as stream:
        return stream.read(len(HDF5_MAGIC)) == HDF5_MAGIC


def refuse_code(path: Path, config: dict[str, Any]) -> None:
    """Raise NotAModelError naming each layer that brings Python code, which loading would run."""
    names = sorted(code_layers(config))
    if names:
        raise NotAModelError(
            f"{path} holds Python code, which loading it would run, in: {', '.join(names)}. "
            "If you trust the file, allow it with --allow-pickle; better, replace the Lambda by a layer."
        )


def code_layers(value: Any, owner: str = "the model") -> set[str]:
    """The names of the layers whose configuration holds marshalled code, at any depth."""
    if isinstance(value, dict):
        config = value.get("config")
        if isinstance(config, dict) and value.get("class_name") != "__lambda__":
            owner = str(config.get("name", owner))
        if value.get("class_name") == "__lambda__" or value.get("function_type") == "lambda":
            return {owner}
        return set().union(*(code_layers(item, owner) for item in value.values()))
    if isinstance(value, list):
        return set().union(*(code_layers(item, owner) for item in value))
    return set()


def load(path: Path, weights: Path | None, *, allow_pickle: bool) -> Loaded:
    """A Keras 2 file in Keras 3 when tf_keras agrees, else in tf_keras; half-precision layers compute in float32.

    Raises NotAModelError when tf_keras cannot load it, UnavailableError without tf_keras.
    """
    missing = check()
    if missing:
        raise UnavailableError(f"{path} was written by Keras {version_of(path)}; {missing}")
    legacy = _in_tf_keras(path, weights, allow_pickle)
    try:
        model = _in_keras_3(legacy)
    except Exception as error:
        return Loaded(legacy, "tf_keras", f"Keras 3 cannot rebuild it: {reason(error)}")
    difference = _difference(legacy, model)
    if difference:
        return Loaded(legacy, "tf_keras", f"Keras 3 rebuilds another network: {difference}")
    return Loaded(model, "keras")


def unroll(model: Any) -> None:
    """Have a tf_keras model write its recurrent layers step by step, as ``keras_export`` does and for its reasons."""
    import tf_keras

    for layer in model._flatten_layers():
        if isinstance(layer, tf_keras.layers.RNN):
            steps = layer.input_shape[1] if isinstance(layer.input_shape, tuple) else None
            layer.unroll = steps is not None and steps <= MAX_UNROLLED_STEPS
            layer._could_use_gpu_kernel = False


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


def without_slashes(config: Any) -> Any:
    """A configuration without slashes in the names of layers, which Keras 2 allowed."""
    names = set(_names(config))

    def renamed(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: renamed(item) for key, item in value.items()}
        if isinstance(value, list):
            return [renamed(item) for item in value]
        return _plain(value) if isinstance(value, str) and value in names else value

    return renamed(config)


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("name"), str):
            yield value["name"]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _names(item)


def _plain(name: str) -> str:
    return name.replace("/", "_")


def in_float32(config: Any) -> Any:
    """A configuration of either library whose half-precision policies are float32. Weights are float32 in both."""
    if isinstance(config, list):
        return [in_float32(item) for item in config]
    if isinstance(config, dict):
        return {key: in_float32(item) for key, item in config.items()}
    return "float32" if config in _HALF_POLICIES else config


def reason(error: BaseException) -> str:
    """What Keras says at the heart of its long messages about configurations and calls."""
    text = re.sub(r"\x1b\[\d*m", "", str(error))
    text = " ".join(text.partition("Arguments received by")[0].split())
    text = re.sub(r"^Exception encountered when calling [\w.]+\(\)\.\s*", "", text)
    named = re.search(r"Could not (?:locate|deserialize) \S+ ?'[^']*'", text)
    short = named.group() if named else text.rpartition("Exception encountered: ")[2]
    return short if len(short) <= 300 else f"{short[:297]}..."


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


def leaves(model: Any) -> Iterator[Any]:
    """The layers of a model of either library, those of nested models in their place, inputs left out."""
    for layer in model.layers:
        if hasattr(layer, "layers") and hasattr(layer, "get_config") and layer.layers:
            yield from leaves(layer)
        elif type(layer).__name__ != "InputLayer":
            yield layer


def _in_tf_keras(path: Path, weights: Path | None, allow_pickle: bool) -> Any:
    import tf_keras

    config = config_of(path)
    if not allow_pickle:
        refuse_code(path, config)
    try:
        if zipfile.is_zipfile(path) or is_hdf5(path):
            model = tf_keras.models.load_model(path, compile=False, safe_mode=not allow_pickle)
        else:
            model = tf_keras.models.model_from_json(path.read_text())
        if weights is not None:
            model.load_weights(str(weights))
        text = model.to_json()
        if any(f'"{policy}"' in text for policy in _HALF_POLICIES):
            single = tf_keras.models.model_from_json(json.dumps(in_float32(json.loads(text))))
            single.set_weights(model.get_weights())
            return single
    except Exception as error:
        raise NotAModelError(
            f"{path} was written by Keras {version_of(path)}, and tf_keras cannot load it: {reason(error)}"
        ) from error
    return model


def _in_keras_3(legacy: Any) -> Any:
    """The tf_keras model rebuilt in Keras 3, its weights copied layer by layer."""
    import keras

    config = without_slashes(json.loads(legacy.to_json()))
    model = keras.models.model_from_json(json.dumps(upgraded(config)))
    by_name = {layer.name: layer for layer in leaves(model)}
    for layer in leaves(legacy):
        by_name[_plain(layer.name)].set_weights(layer.get_weights())
    return model


def _difference(legacy: Any, model: Any) -> str:
    """How the two models differ in the shapes of layers and in what they compute, or ""."""
    theirs, ours = _shapes(legacy), _shapes(model)
    for name, shapes in theirs.items():
        if shapes != ours.get(name):
            return f"layer {name} gives {_text(ours.get(name))}, in the file {_text(shapes)}"
    feeds = _seeded(legacy.inputs)
    outputs = [
        _flat(library(feeds[0] if len(feeds) == 1 else feeds, training=False)) for library in (legacy, model)
    ]
    for number, (old, new) in enumerate(zip(*outputs, strict=True)):
        if old.shape != new.shape:
            return f"output {number} has shape {new.shape}, in the file {old.shape}"
        far = float(np.max(np.abs(old - new), initial=0.0))
        if not far <= SAME * float(np.max(np.abs(old), initial=0.0)):
            return f"output {number} is {far:.3g} away on a seeded batch"
    return ""


def _shapes(model: Any) -> dict[str, set[tuple[int | None, ...]]]:
    """For each layer by name, the shapes that its calls give, without the batch."""
    import tensorflow as tf

    found: dict[str, set[tuple[int | None, ...]]] = {}
    for layer in leaves(model):
        shapes = found.setdefault(_plain(layer.name), set())
        for node in layer._inbound_nodes:
            given = node.outputs if hasattr(node, "outputs") else node.output_tensors
            shapes |= {tuple(tensor.shape)[1:] for tensor in tf.nest.flatten(given)}
    return found


def _seeded(inputs: Any) -> list[Any]:
    """Two samples of noise for each input: 0 or 1 where it takes integers, 16 where a size is free."""
    import tensorflow as tf

    random = np.random.default_rng(0)
    feeds = []
    for tensor in inputs:
        shape = [2, *(16 if size is None else size for size in tensor.shape[1:])]
        dtype = tf.as_dtype(tensor.dtype)
        value = random.random(shape) if dtype.is_floating else random.integers(0, 2, shape)
        feeds.append(tf.constant(value, dtype))
    return feeds


def _flat(outputs: Any) -> list[Array]:
    import tensorflow as tf

    return [np.asarray(tensor, np.float64) for tensor in tf.nest.flatten(outputs)]


def _text(shapes: set[tuple[int | None, ...]] | None) -> str:
    return "nothing" if not shapes else " and ".join(sorted(map(str, shapes)))


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise NotAModelError(
            f"{path} is no Keras file: neither a .keras zip, nor HDF5, nor JSON ({error})."
        ) from None
    if not isinstance(found, dict) or "class_name" not in found or "config" not in found:
        raise NotAModelError(
            f"{path} is JSON, but describes no Keras model: it has no class_name and config."
        )
    return found


def _zip_json(path: Path, member: str) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            found: dict[str, Any] = json.loads(archive.read(member))
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise NotAModelError(f"{path} is a zip, but no Keras model: {error}") from None
    return found


def _hdf5_text(path: Path, attribute: str) -> str:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            value = file.attrs.get(attribute, "")
    except OSError as error:
        raise NotAModelError(f"{path} is damaged HDF5: {error}") from None
    return value.decode() if isinstance(value, bytes) else str(value)
