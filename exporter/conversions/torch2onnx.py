"""PyTorch to ONNX by ``torch.onnx.export(dynamo=True)``, with a dynamic batch and the source's tensor names."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path

from exporter.base import same_spec
from exporter.metadata import metadata
from exporter.sources import torch_code
from runtimes.bundle import ModelSpec
from runtimes.errors import ConversionError

SOURCE = "torch"
TARGET = "onnx"
PROCESS = "torch"
artifact_spec = same_spec

OPSET = 20


def check() -> str | None:
    """None, or how to get what is missing."""
    if importlib.util.find_spec("onnxscript") is None:
        return "onnxscript is missing: pip install 'fwexport[torch,onnx]'"
    return torch_code.check()


def convert(src: Path, out: Path, spec: ModelSpec) -> None:
    """Write one ``.onnx`` file, weights inside, from a source folder."""
    import torch

    model = torch_code.load(src)
    examples = torch_code.example_inputs(spec)
    dynamic = [
        {i: torch.export.Dim("batch") for i, n in enumerate(t.shape) if n is None} for t in spec.inputs
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            program = torch.onnx.export(
                model,
                examples,
                dynamo=True,
                opset_version=OPSET,
                input_names=[tensor.name for tensor in spec.inputs],
                output_names=[tensor.name for tensor in spec.outputs],
                dynamic_shapes=tuple(dynamic),
                verbose=False,
            )
        except Exception as error:
            raise ConversionError(f"torch.onnx cannot export {spec.name}: {error}") from error
    program.model.metadata_props.update(metadata(spec))
    program.model.producer_name = "fwexport"
    program.save(str(out), external_data=False)
