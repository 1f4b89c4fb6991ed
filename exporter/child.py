"""What the children of a build run: their imports, ahead of time, the conversions, and their versions."""

from __future__ import annotations

import contextlib
import gc
import importlib
from pathlib import Path

from exporter.base import conversion
from runtimes.bundle import ModelSpec
from runtimes.machine import versions_of

_IMPORTS = {
    "torch": ("torch", "onnxscript"),
    "tensorflow": ("tensorflow", "keras"),
    "keras-torch": ("torch", "keras"),
    "onnx": ("onnx",),
}
_DISTRIBUTIONS = {
    "torch": ("torch", "onnx", "onnxscript"),
    "tensorflow": ("tensorflow", "tensorflow-cpu", "keras", "onnx", "tf2onnx"),
    "keras-torch": ("torch", "keras"),
    "onnx": ("onnx",),
}


def warm(process: str) -> None:
    """Import what this kind of process will need; what is missing is reported by the conversion that needs it."""
    for name in _IMPORTS[process]:
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(name)
    # The frameworks' own objects stay, so no later collection needs to look at them.
    gc.freeze()


def convert(name: str, src: Path, out: Path, spec: ModelSpec) -> None:
    """Run one edge. Graphs are webs of cycles, which would keep their weights in memory through the next edge."""
    conversion(name).convert(src, out, spec)
    gc.collect()


def versions(process: str) -> dict[str, str]:
    """The libraries that conversions in this kind of process are made with."""
    return versions_of(*_DISTRIBUTIONS[process])
