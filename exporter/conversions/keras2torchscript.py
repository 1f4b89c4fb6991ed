"""Keras to TorchScript: the same ``.keras`` file on Keras's own torch backend, traced, made lean and frozen."""

from __future__ import annotations

from pathlib import Path

from exporter.base import same_spec
from exporter.frameworks import keras_content, keras_model, torch_model, torchscript_lean
from exporter.frameworks.keras_export import for_export, watch
from exporter.metadata import metadata
from runtimes.bundle import ModelSpec
from runtimes.errors import ConversionError

SOURCE = "keras"
TARGET = "torchscript"
PROCESS = "keras-torch"
FIXES_BATCH = False
artifact_spec = same_spec


def check() -> str | None:
    """None, or how to get what is missing."""
    return keras_model.check() or torch_model.check()


def convert(src: Path, out: Path, spec: ModelSpec) -> None:
    """Write a frozen TorchScript file; its input keeps the Keras layout.

    Raises ConversionError that names the layer which cannot run on PyTorch, such as a Lambda that calls TensorFlow.
    """
    import keras
    import torch

    if keras.backend.backend() != "torch":
        raise ConversionError(f"keras2torchscript needs KERAS_BACKEND=torch, not {keras.backend.backend()}")
    model = for_export(keras_model.load(src)).eval()
    failed = watch(model)

    class Forward(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *tensors: object) -> object:
            return self.model(tensors[0] if len(tensors) == 1 else list(tensors), training=False)

    try:
        with torch.device("cpu"):
            traced = torch_model.trace(Forward().eval(), torch_model.example_inputs(spec))
    except ConversionError as error:
        if not failed:
            raise
        raise ConversionError(
            f"layer {failed[0]} does not run on PyTorch: {keras_content.reason(error.__cause__ or error)}"
        ) from error
    torchscript_lean.trace(traced.graph)
    frozen = torch.jit.freeze(traced)
    torchscript_lean.frozen(frozen.graph)
    torch.jit.save(frozen, str(out), _extra_files=metadata(spec))
