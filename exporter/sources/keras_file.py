"""A ``.keras`` file."""

from __future__ import annotations

import shutil
from pathlib import Path

from exporter import keras_model
from exporter.source_folder import open_source
from exporter.source_kind import Brought, Given
from runtimes.base import Session
from runtimes.formats import recognised
from runtimes.machine import versions_of
from runtimes.reference import Variant

FRAMEWORK = "keras"
PROCESS = "tensorflow"
OPTIONS: tuple[str, ...] = ()
UNREACHABLE: dict[str, str] = {}

WEIGHTS = "model.keras"

check = keras_model.check


def recognises(given: Given) -> bool:
    """Whether it is a zip with a Keras config in it."""
    return recognised(given.path) == "keras"


def bring(given: Given, folder: Path) -> Brought:
    """Keep the file, read with ``safe_mode``."""
    shutil.copyfile(given.path, folder / WEIGHTS)
    model = keras_model.load(folder / WEIGHTS)
    spec = keras_model.model_spec(model, given)
    keras_model.write_metadata(folder / WEIGHTS, spec)
    return Brought(
        weights=WEIGHTS,
        model=spec,
        parameters=model.count_params(),
        versions=versions_of("keras", "tensorflow", "tensorflow-cpu"),
    )


def open_session(folder: Path, variant: Variant) -> Session:
    """The model in the variant's precision, on TensorFlow."""
    source = open_source(folder)
    return keras_model.open_session(folder / source.weights, source.model, variant)
