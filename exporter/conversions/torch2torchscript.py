"""PyTorch to TorchScript: traced with channels_last weights, then frozen.

Channels_last halves the latency of a CNN on a CPU, and freezing folds the batch norms and drops the training
state. The trace is checked to be free of the batch size by the verifier's batches of 1, 2, 3 and 7.
"""

from __future__ import annotations

from pathlib import Path

from exporter.base import same_spec
from exporter.frameworks import torch_model
from exporter.metadata import metadata
from runtimes.bundle import ModelSpec

SOURCE = "torch"
TARGET = "torchscript"
PROCESS = "torch"
FIXES_BATCH = False
artifact_spec = same_spec

check = torch_model.check


def convert(src: Path, out: Path, spec: ModelSpec) -> None:
    """Write a frozen TorchScript file from a source folder."""
    import torch

    model = torch_model.load(src)
    examples = torch_model.example_inputs(spec)
    if any(example.ndim == 4 for example in examples):
        model = model.to(memory_format=torch.channels_last)
    traced = torch_model.trace(model, examples)
    if hasattr(traced, "training"):  # a module that is frozen already has no such state
        traced = torch.jit.freeze(traced.eval())
    torch.jit.save(traced, str(out), _extra_files=metadata(spec))
