"""What the tests of ONNX Runtime do in a child process."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from runtimes.adapters import onnxruntime
from runtimes.base import SessionOptions

FEEDS = {"x": np.ones((2, 3), np.float32)}


def profile(graph: Path, folder: Path) -> str:
    """What ONNX Runtime writes of one run on its CPU provider."""
    session = onnxruntime._create(graph, "cpu", SessionOptions(threads=1), {}, str(folder), strict=False)
    session.run(None, FEEDS)
    return Path(session.end_profiling()).read_text()


def open_on_azure(graph: Path) -> None:
    """As a GPU's provider is opened."""
    onnxruntime._PROVIDERS["azure"] = "AzureExecutionProvider"
    onnxruntime._open(graph, "azure", SessionOptions(), {})


def prove_as_if_on_cuda(graph: Path) -> tuple[str, list[str]]:
    """The proof of a session on a GPU, and what is then left of its profile."""
    real, create = onnxruntime._PROVIDERS["cuda"], onnxruntime._create
    onnxruntime._PROVIDERS["cuda"] = "CPUExecutionProvider"
    onnxruntime._create = lambda path, backend, options, own, profile, strict: create(
        path, backend, options, {}, profile, False
    )
    try:
        session = onnxruntime.load(graph, "cuda", SessionOptions("cuda"))
        folder = Path(session._folder.name)
        assert list(folder.iterdir())
        return session.prove(), [str(path) for path in folder.glob("*")]
    finally:
        onnxruntime._PROVIDERS["cuda"], onnxruntime._create = real, create
