"""A runtime for tests, real but for its arithmetic: a ``.fake`` file is JSON that says how it answers and misbehaves.

    {"inputs": [TensorSpec], "outputs": [TensorSpec], "weights": [[..]], "does": "", "seconds": 0.0}

It computes ``x.reshape(n, -1) @ weights`` in float32. ``does``: crash, exit, hang, missing or raise; or it answers
otherwise in a batch, the second time (again), or on one thread (threads).
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from runtimes.base import Array, Feeds, Inspection, Session, SessionOptions
from runtimes.bundle import TensorSpec
from runtimes.errors import NotAModelError

FORMATS = ("fake",)
DEVICES = {"cpu": ("fake",), "gpu": ("fake",)}
PRECISIONS = ("float32",)
THREADS: Literal["session", "process"] = "session"


@dataclass(frozen=True)
class FakeFile:
    """The content of a ``.fake`` file."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    weights: list[list[float]]
    does: str = ""
    seconds: float = 0.0


def check(device: str) -> str | None:
    """It has no GPU."""
    return None if device == "cpu" else "the fake runtime has no GPU: buy one"


def versions() -> dict[str, str]:
    """Its own."""
    return {"fake": "1"}


def inspect(path: Path) -> Inspection:
    """The file's tensors."""
    found = _read(path)
    return Inspection(found.inputs, found.outputs, {"MatMul": 1})


def load(path: Path, device: str, options: SessionOptions) -> Session:
    """Open the file, or misbehave at once when it says so."""
    found = _read(path)
    if found.does == "missing":
        import a_library_that_no_one_has  # type: ignore[import-not-found]  # noqa: F401
    return _Session(found, options.threads or 2)


class _Session(Session):
    def __init__(self, file: FakeFile, threads: int) -> None:
        self._file = file
        self.inputs, self.outputs = file.inputs, file.outputs
        self.threads = threads
        self._answered: set[bytes] = set()
        self._weights = np.array(file.weights, np.float32)

    def run(self, feeds: Feeds) -> dict[str, Array]:
        self._misbehave()
        x = feeds[self.inputs[0].name]
        y = x.reshape(len(x), -1).astype(np.float32) @ self._weights
        return {self.outputs[0].name: y + self._error(x)}

    def prove(self) -> str:
        return "fake cpu"

    def bind(self, feeds: Feeds) -> Callable[[], None]:
        seconds = self._file.seconds

        def call() -> None:
            self._misbehave()
            if seconds:
                time.sleep(seconds)

        return call

    def _error(self, x: Array) -> np.float32:
        seen = x.tobytes() in self._answered
        self._answered.add(x.tobytes())
        wrong = {"batch": 1 < len(x) < 4, "again": seen and len(x) > 7, "threads": self.threads == 1}
        return np.float32(wrong.get(self._file.does, False))

    def _misbehave(self) -> None:
        match self._file.does:
            case "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "exit":
                os._exit(3)
            case "hang":
                time.sleep(3600)
            case "raise":
                raise ValueError("the fake runtime was told to fail")


def _read(path: Path) -> FakeFile:
    try:
        return msgspec.json.decode(path.read_bytes(), type=FakeFile)
    except (OSError, msgspec.DecodeError) as error:
        raise NotAModelError(f"{path} is no fake model: {error}") from error
