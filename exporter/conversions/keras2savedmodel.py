"""Keras to SavedModel, for TF Serving: ``<out>/1/`` with the signature ``serving_default`` and the source's names.

``model.export`` names its tensors ``keras_tensor`` and ``output_0`` and stores the weights twice. Here a Module
holds each variable once; one that held the Keras model itself would lose the weights on the way to TF Lite.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from exporter import keras_model
from exporter.base import same_spec
from exporter.keras_export import for_export
from exporter.metadata import metadata
from runtimes.bundle import ModelSpec

SOURCE = "keras"
TARGET = "savedmodel"
PROCESS = "tensorflow"
artifact_spec = same_spec

VERSION = "1"
SIGNATURE = "serving_default"
# TF Serving's own place for files that it does not read.
EXTRA = "assets.extra"

check = keras_model.check


def convert(src: Path, out: Path, spec: ModelSpec) -> None:
    """Write the folder ``out`` with its version folder from a ``.keras`` file."""
    import tensorflow as tf

    model = for_export(keras_model.load(src))
    module = tf.Module()
    module.variables_ = [variable.value for variable in model.variables]
    # The signature alone: an attribute with the same function would store and load its graph twice.
    signature = keras_model.serving_function(model, spec).get_concrete_function()
    tf.saved_model.save(module, str(out / VERSION), signatures={SIGNATURE: signature})
    extra = out / VERSION / EXTRA
    extra.mkdir()
    (extra / "fwexport.json").write_bytes(msgspec.json.encode(metadata(spec)))
