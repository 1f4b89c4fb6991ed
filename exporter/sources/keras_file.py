"""A Keras file: ``.keras``, ``.h5`` of Keras 3 or 2, or the JSON of a network with its weights.

All become a ``.keras`` file, except what only tf_keras computes as the file says: that becomes a SavedModel.
"""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import Any

from exporter.frameworks import keras_content, keras_legacy, keras_model, saved_model
from exporter.source_folder import open_source
from exporter.source_kind import Brought, Given
from exporter.sources import saved_model as saved_model_kind
from runtimes.base import Session
from runtimes.errors import NotAModelError, UsageError
from runtimes.formats import recognised
from runtimes.machine import versions_of
from runtimes.reference import Variant

FRAMEWORK = "keras"
PROCESS = "tensorflow"
OPTIONS: tuple[str, ...] = ("weights", "allow_pickle")
UNREACHABLE: dict[str, str] = {}

WEIGHTS = "model.keras"

check = keras_model.check


def recognises(given: Given) -> bool:
    """Whether it is a zip with a Keras config in it, HDF5, or the JSON of a Keras network."""
    path = given.path
    if not path.is_file():
        return False
    return recognised(path) == "keras" or keras_content.is_hdf5(path) or keras_content.is_network(path)


def bring(given: Given, folder: Path) -> Brought:
    """Load the model, running no code that the file brings unless the person allowed it, and keep it as one file."""
    loaded = _load(given)
    if loaded.library == "tf_keras":
        return _as_saved_model(given, loaded, folder)
    _refuse_channels_first(given, loaded.model)
    model = keras_model.in_float32(loaded.model)
    spec = keras_model.model_spec(model, given)
    if model is loaded.model and given.weights is None and _is_current(given.path):
        shutil.copyfile(given.path, folder / WEIGHTS)
    else:
        model.save(folder / WEIGHTS)
    keras_model.write_metadata(folder / WEIGHTS, spec)
    same = model is loaded.model
    return Brought(
        weights=WEIGHTS,
        model=spec,
        parameters=model.count_params(),
        versions=versions_of("keras", "tensorflow", "tensorflow-cpu"),
        arguments={"allow_pickle": True} if given.allow_pickle else {},
        notes=() if same else ("layers of half precision are exported, and judged, in float32",),
    )


def open_session(folder: Path, variant: Variant) -> Session:
    """The model in the variant's precision, on TensorFlow."""
    source = open_source(folder)
    return keras_model.open_session(folder / source.weights, source.model, variant)


def _load(given: Given) -> keras_legacy.Loaded:
    path = given.path
    config = keras_content.config_of(path)
    if not given.allow_pickle:
        keras_content.refuse_code(path, config)
    if keras_content.is_network(path) and given.weights is None:
        raise UsageError(f"{path} holds a network without its weights. Give them too: --weights FILE.h5")
    if keras_content.is_legacy(path):
        return keras_legacy.load(path, given.weights, allow_pickle=given.allow_pickle)
    return keras_legacy.Loaded(keras_model.read(path, given.weights, trusted=given.allow_pickle), "keras")


def _as_saved_model(given: Given, loaded: keras_legacy.Loaded, folder: Path) -> Brought:
    """What only tf_keras computes as the file says, as the SavedModel kind keeps it."""
    model = loaded.model
    keras_legacy.unroll(model)
    spec = keras_model.model_spec(model, given)
    function = keras_model.serving_function(model, spec)
    saved_model.write(function, model.variables, folder / saved_model_kind.WEIGHTS, spec)
    return Brought(
        weights=saved_model_kind.WEIGHTS,
        model=spec,
        parameters=model.count_params(),
        versions=versions_of("tf_keras", "keras", "tensorflow", "tensorflow-cpu"),
        notes=(f"kept as a SavedModel by tf_keras: {loaded.note}",),
        framework=saved_model_kind.FRAMEWORK,
        kind="saved_model",
    )


def _is_current(path: Path) -> bool:
    """Whether it is a ``.keras`` file of Keras 3, which conversions can read as it is."""
    return zipfile.is_zipfile(path) and not keras_content.is_legacy(path)


def _refuse_channels_first(given: Given, model: Any) -> None:
    """Raise NotAModelError: TensorFlow has no kernels for that order on a CPU, nor has TF Lite or TF.js anywhere."""
    names = [
        layer.name
        for layer in keras_legacy.leaves(model)
        if getattr(layer, "data_format", None) == "channels_first" and type(layer).__name__ != "Flatten"
    ]
    if names:
        raise NotAModelError(
            f"{given.source} has layers with data_format='channels_first' ({', '.join(names[:5])}), which TensorFlow "
            "cannot compute on a CPU. Rebuild it with channels_last; the weights stay the same."
        )
