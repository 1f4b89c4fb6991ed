"""A session in TensorFlow, whatever file its function came from: its device, its proof, its timing."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from runtimes.base import Array, Feeds, Session, SessionOptions, zero_feeds
from runtimes.frameworks.tensorflow_device import (
    device_name,
    gpu_memory_bytes,
    prove,
    set_up,
    settings,
    wait,
)


class TensorFlowSession(Session):
    """One function on one device. A subclass reads it inside ``tf.device(self.where)``, then calls ``keep_graphs``."""

    def __init__(self, device: str, options: SessionOptions) -> None:
        self.threads = set_up(options)
        self.where = device_name(device)
        self.settings = settings(device)
        self._device, self._lay_on = device, ""

    @abstractmethod
    def tensors(self, feeds: Feeds) -> Any:
        """The inputs on the device, as the function takes them."""

    @abstractmethod
    def compute(self, tensors: Any) -> list[Any]:
        """The outputs in their order, as tensors."""

    def prove(self) -> str:
        """Ask a result where it lies: one of zeros, where nothing has run yet."""
        if not self._lay_on:
            self.run(zero_feeds(self.inputs))
        return prove(self._lay_on, self._device)

    def run(self, feeds: Feeds) -> dict[str, Array]:
        import tensorflow as tf

        with tf.device(self.where):
            values = self.compute(self.tensors(feeds))
        self._lay_on = self._lay_on or values[0].device
        return {spec.name: value.numpy() for spec, value in zip(self.outputs, values, strict=True)}

    def bind(self, feeds: Feeds) -> Callable[[], None]:
        """On a GPU the outputs stay there, and each call waits for the device."""
        import tensorflow as tf

        with tf.device(self.where):
            tensors, compute = self.tensors(feeds), self.compute

        def call() -> None:
            for value in compute(tensors):
                value.numpy()

        def on_gpu() -> None:
            compute(tensors)
            wait()

        return call if self._device == "cpu" else on_gpu

    def gpu_memory_bytes(self) -> int | None:
        return gpu_memory_bytes(self._device)

    def sample(
        self, calls: Sequence[Callable[[], object]], seconds: float, at_least: int, at_most: int
    ) -> Array:
        """On the device, which is chosen once: that takes two microseconds."""
        import tensorflow as tf

        with tf.device(self.where):
            return super().sample(calls, seconds, at_least, at_most)
