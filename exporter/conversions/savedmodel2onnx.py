"""SavedModel to ONNX by tf2onnx, from the frozen signature; images stay NHWC, as the source has them."""

from __future__ import annotations

from pathlib import Path

from exporter.base import same_spec
from exporter.frameworks import keras_model, onnx_writer, saved_model
from exporter.frameworks.frozen_graph import freeze
from runtimes.bundle import ModelSpec

SOURCE = "savedmodel"
TARGET = "onnx"
PROCESS = "tensorflow"
FIXES_BATCH = False
artifact_spec = same_spec


def check() -> str | None:
    """None, or how to get what is missing."""
    return onnx_writer.check() or keras_model.check()


def convert(src: Path, out: Path, spec: ModelSpec) -> None:
    """Write one ``.onnx`` file from the SavedModel's ``serving_default``, with its names."""
    opened = saved_model.open_signature(src, saved_model.SERVING)
    onnx_writer.write(freeze(opened.function, lower_control_flow=False), out, spec)
