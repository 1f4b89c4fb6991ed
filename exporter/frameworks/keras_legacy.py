"""Keras 2 files (``.h5``, early ``.keras``, JSON and weights): read by tf_keras, and in Keras 3 where both agree.

Keras 3 refuses many Keras 2 files over arguments that no longer exist, and reads some as another network without a
word. So tf_keras, the library that wrote them, says what a file holds. Its configuration is rewritten for Keras 3,
and the result is taken only when every layer's shape and the outputs on a seeded batch are those of tf_keras.
Runs in a TensorFlow child.
"""

from __future__ import annotations

import importlib.util
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from exporter.frameworks.keras_content import (
    HALF_POLICIES,
    config_of,
    in_float32,
    is_hdf5,
    reason,
    refuse_code,
    version_of,
    with_hint,
)
from exporter.frameworks.keras_export import MAX_UNROLLED_STEPS
from exporter.frameworks.keras_upgrade import plain, upgraded, without_slashes
from runtimes.base import Array
from runtimes.errors import NotAModelError, UnavailableError

SAME = 1e-4  # relative: two float32 libraries on one network differ by about 1e-6


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
        if any(f'"{policy}"' in text for policy in HALF_POLICIES):
            single = tf_keras.models.model_from_json(json.dumps(in_float32(json.loads(text))))
            single.set_weights(model.get_weights())
            return single
    except Exception as error:
        raise NotAModelError(
            f"{path} was written by Keras {version_of(path)}, and tf_keras cannot load it: {with_hint(reason(error))}"
        ) from error
    return model


def _in_keras_3(legacy: Any) -> Any:
    """The tf_keras model rebuilt in Keras 3, its weights copied layer by layer."""
    import keras

    config = without_slashes(json.loads(legacy.to_json()))
    model = keras.models.model_from_json(json.dumps(upgraded(config)))
    by_name = {layer.name: layer for layer in leaves(model)}
    for layer in leaves(legacy):
        by_name[plain(layer.name)].set_weights(layer.get_weights())
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
        shapes = found.setdefault(plain(layer.name), set())
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
