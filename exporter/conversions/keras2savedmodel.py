"""Keras to SavedModel, for TF Serving: ``<out>/1/`` with the signature ``serving_default`` and the source's names.

``model.export`` names its tensors ``keras_tensor`` and ``output_0`` and stores the weights twice. Here a Module
holds each variable once; one that held the Keras model itself would lose the weights on the way to TF Lite.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from exporter import keras_model
from exporter.base import same_spec
from exporter.metadata import metadata
from runtimes.bundle import ModelSpec

SOURCE = "keras"
TARGET = "savedmodel"
PROCESS = "tensorflow"
artifact_spec = same_spec

VERSION = "1"
# TF Serving's own place for files that it does not read.
EXTRA = "assets.extra"

check = keras_model.check


def convert(src: Path, out: Path, spec: ModelSpec) -> None:
    """Write the folder ``out`` with its version folder from a ``.keras`` file."""
    import tensorflow as tf

    model = keras_model.export_clone(keras_model.load(src))
    module = tf.Module()
    module.variables_ = [variable.value for variable in model.variables]
    module.serve = serving_function(model, spec)
    tf.saved_model.save(module, str(out / VERSION), signatures={"serving_default": module.serve})
    extra = out / VERSION / EXTRA
    extra.mkdir()
    (extra / "fwexport.json").write_bytes(msgspec.json.encode(metadata(spec)))


def serving_function(model: Any, spec: ModelSpec) -> Any:
    """A ``tf.function`` from the spec's input names to a dict by its output names."""
    import tensorflow as tf

    def forward(*tensors: Any) -> dict[str, Any]:
        out = model(tensors[0] if len(tensors) == 1 else list(tensors), training=False)
        return dict(zip([tensor.name for tensor in spec.outputs], tf.nest.flatten(out), strict=True))

    signature = [tf.TensorSpec(tensor.shape, tensor.dtype, name=tensor.name) for tensor in spec.inputs]
    return tf.function(forward, input_signature=signature)
