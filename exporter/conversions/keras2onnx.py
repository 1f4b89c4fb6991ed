"""Keras to ONNX by tf2onnx, from the export clone, so that no shape arithmetic is left in the graph."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from exporter import keras_model
from exporter.base import same_spec
from exporter.conversions.keras2savedmodel import serving_function
from exporter.metadata import metadata
from runtimes.bundle import ModelSpec
from runtimes.errors import ConversionError

SOURCE = "keras"
TARGET = "onnx"
PROCESS = "tensorflow"
artifact_spec = same_spec

OPSET = 18


def check() -> str | None:
    """None, or how to get what is missing."""
    if importlib.util.find_spec("tf2onnx") is None:
        return "tf2onnx is missing: pip install 'fwexport[tensorflow,onnx]'"
    return keras_model.check()


def convert(src: Path, out: Path, spec: ModelSpec) -> None:
    """Write one ``.onnx`` file from a ``.keras`` file, with the spec's input and output names."""
    import onnx
    import tf2onnx

    function = serving_function(keras_model.export_clone(keras_model.load(src)), spec)
    try:
        model, _ = tf2onnx.convert.from_function(function, function.input_signature, opset=OPSET)
    except Exception as error:
        raise ConversionError(f"tf2onnx cannot export {spec.name}: {error}") from error
    model.graph.name, model.producer_name = spec.name, "fwexport"
    onnx.helper.set_model_props(model, metadata(spec))
    onnx.checker.check_model(model)
    onnx.save(model, str(out))
