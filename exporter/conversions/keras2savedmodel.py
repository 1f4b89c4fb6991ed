"""Keras to SavedModel, for TF Serving: ``<out>/1/`` with the signature ``serving_default`` and the source's names.

``model.export`` names its tensors ``keras_tensor`` and ``output_0`` and stores the weights twice.
"""

from __future__ import annotations

from pathlib import Path

from exporter.base import same_spec
from exporter.frameworks import keras_model, saved_model
from exporter.frameworks.keras_export import for_export
from runtimes.bundle import ModelSpec

SOURCE = "keras"
TARGET = "savedmodel"
PROCESS = "tensorflow"
FIXES_BATCH = False
artifact_spec = same_spec

check = keras_model.check


def convert(src: Path, out: Path, spec: ModelSpec) -> None:
    """Write the folder ``out`` with its version folder from a ``.keras`` file."""
    model = for_export(keras_model.load(src))
    function = keras_model.serving_function(model, spec)
    # Those that the graph reads: some layers are exported with their weights rearranged.
    saved_model.write(function, function.get_concrete_function().variables, out, spec)
