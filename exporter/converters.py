"""The children of a build: one per process kind (PyTorch, TensorFlow, Keras on PyTorch).

They are started early and kept for the whole build, so that each framework is imported once.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType, TracebackType
from typing import Self

from exporter import child
from runtimes.client import Worker

# What a process kind is told. Conversions run on the CPU: a GPU would change no file, and take its memory.
ENVIRONMENT: Mapping[str, Mapping[str, str]] = {
    "torch": {"CUDA_VISIBLE_DEVICES": "-1"},
    "tensorflow": {"CUDA_VISIBLE_DEVICES": "-1", "KERAS_BACKEND": "tensorflow"},
    "keras-torch": {"CUDA_VISIBLE_DEVICES": "-1", "KERAS_BACKEND": "torch"},
    "onnx": {},
}


class Converters:
    """One child per process kind, started when it is first warmed or used, ended together.

    ``env`` is added to what their kind is told.
    """

    def __init__(self, env: Mapping[str, str] = MappingProxyType({})) -> None:
        self._env = env
        self._workers: dict[str, Worker] = {}
        self._warming: set[str] = set()

    def warm(self, process: str) -> None:
        """Start the child and its imports now, without waiting for them; another one where the last has died."""
        worker = self._workers.get(process)
        if worker is None or not worker.alive:
            self._workers[process] = Worker({**ENVIRONMENT[process], **self._env})
            self._workers[process].start(child.warm, process)
            self._warming.add(process)

    def get(self, process: str) -> Worker:
        """The child of this kind, ready for a call."""
        self.warm(process)
        if process in self._warming:
            self._warming.discard(process)
            self._workers[process].finish(child.warm)
        return self._workers[process]

    def drop(self, process: str) -> None:
        """Forget a child that died, so that the next conversion gets a fresh one."""
        self._workers.pop(process).close()
        self._warming.discard(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        for worker in self._workers.values():
            worker.close()
