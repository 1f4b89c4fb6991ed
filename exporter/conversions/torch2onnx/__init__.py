"""PyTorch to ONNX by ``torch.onnx.export(dynamo=True)``, with a dynamic batch and the source's tensor names."""

from __future__ import annotations

import importlib.util
import io
import re
import warnings
from pathlib import Path
from typing import Any

from exporter.base import same_spec
from exporter.conversions.torch2onnx.decompose import decompose_in_place
from exporter.frameworks import torch_model
from exporter.metadata import metadata
from runtimes.bundle import ModelSpec
from runtimes.errors import ConversionError

SOURCE = "torch"
TARGET = "onnx"
PROCESS = "torch"
FIXES_BATCH = False
artifact_spec = same_spec

OPSET = 20


def check() -> str | None:
    """None, or how to get what is missing."""
    if importlib.util.find_spec("onnxscript") is None:
        return "onnxscript is missing: pip install 'fwexport[torch,onnx]'"
    return torch_model.check()


def convert(src: Path, out: Path, spec: ModelSpec) -> None:
    """Write one ``.onnx`` file, weights inside, from a source folder."""
    export(torch_model.load(src), out, spec)


def export(model: Any, out: Path, spec: ModelSpec) -> None:
    """Write a module in evaluation mode as one ``.onnx`` file, weights inside."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if isinstance(model, torch.jit.ScriptModule):
                _export_script(model, out, spec)
            else:
                _export(model, out, spec)
        except ConversionError:
            raise
        except Exception as error:
            raise ConversionError(f"torch.onnx cannot export {spec.name}: {_root(error)}") from error


def _export(model: Any, out: Path, spec: ModelSpec) -> None:
    """By ``torch.export``; its nodes remember the modules that they came from."""
    import torch

    examples = torch_model.example_inputs(spec)
    batch = torch.export.Dim("batch")
    dynamic = tuple({i: batch for i, n in enumerate(t.shape) if n is None} for t in spec.inputs)

    def export(module: Any) -> Any:
        return torch.onnx.export(
            module,
            examples,
            dynamo=True,
            opset_version=OPSET,
            input_names=[tensor.name for tensor in spec.inputs],
            output_names=[tensor.name for tensor in spec.outputs],
            dynamic_shapes=dynamic,
            verbose=False,
        )

    try:
        program = export(decompose_in_place(torch.export.export(model, examples, dynamic_shapes=dynamic)))
    except Exception as first:  # torch.onnx has more ways to capture a module, and decomposes more
        try:
            program = export(model)
        except Exception as second:
            reasons = dict.fromkeys((_root(second), _root(first)))
            said = "; before that, torch.export by itself: ".join(reasons)
            raise ConversionError(f"torch.onnx cannot export {spec.name}: {said}") from second
    program.model.metadata_props.update(metadata(spec))
    program.model.producer_name = "fwexport"
    program.save(str(out), external_data=False)


def _export_script(model: Any, out: Path, spec: ModelSpec) -> None:
    """A ScriptModule has a graph of its own, which only the older exporter reads."""
    import onnx
    import torch

    file = io.BytesIO()
    tensors = (*spec.inputs, *spec.outputs)
    torch.onnx.export(
        model,
        torch_model.example_inputs(spec),
        file,
        dynamo=False,
        opset_version=OPSET,
        input_names=[tensor.name for tensor in spec.inputs],
        output_names=[tensor.name for tensor in spec.outputs],
        dynamic_axes={t.name: {i: "batch" for i, n in enumerate(t.shape) if n is None} for t in tensors},
    )
    found = onnx.load_from_string(file.getvalue())
    onnx.helper.set_model_props(found, metadata(spec))
    found.producer_name = "fwexport"
    onnx.save(found, str(out))


def _root(error: BaseException) -> str:
    """The first cause in one paragraph: what torch.onnx wraps around it is advice on reporting bugs of PyTorch."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip()
    return f"{type(error).__name__}: {text.split(chr(10) + chr(10))[0]}"
