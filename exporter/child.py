"""What the children of a build run besides the conversions: their imports, ahead of time, and their versions."""

from __future__ import annotations

import contextlib
import importlib

from runtimes.machine import versions_of

_IMPORTS = {
    "torch": ("torch",),
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


def versions(process: str) -> dict[str, str]:
    """The libraries that conversions in this kind of process are made with."""
    return versions_of(*_DISTRIBUTIONS[process])
