"""ONNX for one batch size, for runtimes that take no dynamic one: its sizes are set, and what computes shapes is a constant."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from exporter.base import same_spec
from exporter.frameworks import onnx_model, onnx_shapes
from exporter.metadata import metadata
from runtimes.bundle import ModelSpec

SOURCE = "onnx"
TARGET = "onnx"
PROCESS = "onnx"
FIXES_BATCH = True
artifact_spec = same_spec


def check() -> str | None:
    """None, or how to get ONNX."""
    if importlib.util.find_spec("onnx") is None:
        return "onnx is missing: pip install 'fwexport[onnx]'"
    return None


def convert(src: Path, out: Path, spec: ModelSpec) -> None:
    """Write one ``.onnx`` file, weights inside, whose tensors have the sizes of ``spec``."""
    import onnx

    model = onnx_model.read(src)
    onnx_model.with_shapes(model, spec.inputs)
    onnx_shapes.fold(model)
    onnx_shapes.set_sizes(model.graph.output, spec.outputs)
    onnx.helper.set_model_props(model, metadata(spec))
    onnx.checker.check_model(model)
    onnx.save(model, str(out))
