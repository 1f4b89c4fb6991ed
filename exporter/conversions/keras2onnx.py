"""Keras to ONNX by tf2onnx, without shape arithmetic where sizes are known."""

from __future__ import annotations

from pathlib import Path

from exporter.base import same_spec
from exporter.frameworks import keras_model, onnx_writer
from exporter.frameworks.frozen_graph import freeze
from exporter.frameworks.keras_export import for_export
from runtimes.bundle import ModelSpec

SOURCE = "keras"
TARGET = "onnx"
PROCESS = "tensorflow"
FIXES_BATCH = False
artifact_spec = same_spec


def check() -> str | None:
    """None, or how to get what is missing."""
    return onnx_writer.check() or keras_model.check()


def convert(src: Path, out: Path, spec: ModelSpec) -> None:
    """Write one ``.onnx`` file from a ``.keras`` file, with the spec's input and output names."""
    model = for_export(keras_model.load(src), unroll=False)
    function = keras_model.serving_function(model, spec).get_concrete_function()
    onnx_writer.write(freeze(function, lower_control_flow=False), out, spec)
