"""A ``.keras`` file in Keras on TensorFlow, on the CPU or a GPU."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from runtimes.base import Array, Feeds, Inspection, Session, SessionOptions
from runtimes.bundle import TensorSpec
from runtimes.errors import NotAModelError, UnavailableError
from runtimes.tensorflow_device import check, device_name, prove, set_threads, versions

__all__ = ["DEVICES", "FORMATS", "PRECISIONS", "check", "inspect", "load", "versions"]

FORMATS = ("keras",)
DEVICES = {"cpu": ("tensorflow",), "gpu": ("tensorflow",)}
PRECISIONS = ("float32",)


def inspect(path: Path) -> Inspection:
    """Tensors of the model, its layers counted by class, and the file's own metadata."""
    model = _read(path)
    layers = Counter(type(layer).__name__ for layer in model.layers)
    with zipfile.ZipFile(path) as archive:
        found = json.loads(archive.read("metadata.json"))
    return Inspection(*_specs(model), dict(sorted(layers.items())), {k: str(v) for k, v in found.items()})


def load(path: Path, device: str, options: SessionOptions) -> Session:
    """The model on exactly this device."""
    return _Session(path, device, options)


class _Session(Session):
    def __init__(self, path: Path, device: str, options: SessionOptions) -> None:
        import tensorflow as tf

        set_threads(options.threads)
        self._where = device_name(device)
        with tf.device(self._where):
            model = _read(path)
        self.inputs, self.outputs = _specs(model)

        def forward(tensors: list[Any]) -> list[Any]:
            out = model(tensors[0] if len(tensors) == 1 else tensors, training=False)
            flat: list[Any] = tf.nest.flatten(out)
            return flat

        # One trace for every batch size, as model.predict would.
        signature = [[tf.TensorSpec(spec.shape, spec.dtype) for spec in self.inputs]]
        self._forward = tf.function(forward, input_signature=signature)
        shapes = [[1 if size is None else size for size in spec.shape] for spec in self.inputs]
        zeros = {s.name: np.zeros(n, s.dtype) for s, n in zip(self.inputs, shapes, strict=True)}
        self.device_proof = prove(self._compute(self._tensors(zeros))[0], device)

    def run(self, feeds: Feeds) -> dict[str, Array]:
        values = self._compute(self._tensors(feeds))
        return {spec.name: value.numpy() for spec, value in zip(self.outputs, values, strict=True)}

    def bind(self, feeds: Feeds) -> Callable[[], None]:
        tensors, compute = self._tensors(feeds), self._compute

        def call() -> None:
            for value in compute(tensors):
                value.numpy()

        return call

    def _compute(self, tensors: list[Any]) -> list[Any]:
        import tensorflow as tf

        with tf.device(self._where):
            result: list[Any] = self._forward(tensors)
        return result

    def _tensors(self, feeds: Feeds) -> list[Any]:
        import tensorflow as tf

        with tf.device(self._where):
            return [tf.constant(feeds[spec.name]) for spec in self.inputs]


def _read(path: Path) -> Any:
    import keras

    if keras.backend.backend() != "tensorflow":
        raise UnavailableError(f"this adapter needs KERAS_BACKEND=tensorflow, not {keras.backend.backend()}")
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        raise NotAModelError(f"{path} is no Keras file that Keras can load: {error}") from error


def _specs(model: Any) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Inputs by the name of their Input layer, outputs by the name of the layer that gives them."""

    def spec(name: str, tensor: Any) -> TensorSpec:
        return TensorSpec(name, str(tensor.dtype), tuple(tensor.shape))

    inputs = tuple(spec(tensor.name, tensor) for tensor in model.inputs)
    outputs = tuple(spec(tensor._keras_history.operation.name, tensor) for tensor in model.outputs)
    return inputs, outputs
