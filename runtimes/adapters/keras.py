"""A ``.keras`` file in Keras on TensorFlow, on the CPU or a GPU."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from runtimes.base import Array, Feeds, Inspection, Session, SessionOptions
from runtimes.bundle import METADATA, ModelSpec, TensorSpec
from runtimes.errors import NotAModelError, UnavailableError
from runtimes.frameworks.tensorflow_device import (
    check,
    device_name,
    keep_graphs,
    versions,
)
from runtimes.frameworks.tensorflow_session import TensorFlowSession
from runtimes.frameworks.tensorflow_trace import computed

__all__ = ["DEVICES", "FORMATS", "PRECISIONS", "THREADS", "check", "inspect", "load", "trace", "versions"]

FORMATS = ("keras",)
DEVICES = {"cpu": ("tensorflow",), "gpu": ("tensorflow",)}
PRECISIONS = ("float32", "tf32")
THREADS: Literal["session", "process"] = "process"
IN_BROWSER = False
FIXED_BATCH: tuple[str, ...] = ()


def inspect(path: Path) -> Inspection:
    """Tensors of the model, its layers counted by class, and the file's own metadata."""
    model = _read(path)
    layers = Counter(type(layer).__name__ for layer in model.layers)
    with zipfile.ZipFile(path) as archive:
        found = {k: str(v) for k, v in json.loads(archive.read("metadata.json")).items()}
    named = _metadata(path)
    return Inspection(
        *_specs(model, named), dict(sorted(layers.items())), {**found, **named}, _quantized(model)
    )


def load(path: Path, device: str, options: SessionOptions) -> Session:
    """The model on exactly this device."""
    return _Session(path, device, options)


def trace(path: Path, device: str, options: SessionOptions, feeds: Feeds) -> dict[str, Array]:
    """Every tensor of the graph that the model's call makes, by the names of its layers."""
    del options
    model = _read(path)
    inputs, _ = _specs(model, _metadata(path))
    forward = _forward(model, inputs)
    named = {str(place): feeds[spec.name] for place, spec in enumerate(inputs)}
    return computed(forward.get_concrete_function(), named, device_name(device))


def _forward(model: Any, inputs: tuple[TensorSpec, ...]) -> Any:
    """The model as a function from a list of tensors to a list, traced once for every batch size, as ``predict`` would."""
    import tensorflow as tf

    def forward(tensors: list[Any]) -> list[Any]:
        out = model(tensors[0] if len(tensors) == 1 else tensors, training=False)
        flat: list[Any] = tf.nest.flatten(out)
        return flat

    signature = [tf.TensorSpec(spec.shape, spec.dtype, name=str(place)) for place, spec in enumerate(inputs)]
    return tf.function(forward, input_signature=[signature])


class _Session(TensorFlowSession):
    def __init__(self, path: Path, device: str, options: SessionOptions) -> None:
        import tensorflow as tf

        super().__init__(device, options)
        with tf.device(self.where):
            model = _read(path)
        self.metadata = _metadata(path)
        self.inputs, self.outputs = _specs(model, self.metadata)
        self._forward = _forward(model, self.inputs)
        keep_graphs(device)

    def tensors(self, feeds: Feeds) -> list[Any]:
        import tensorflow as tf

        return [tf.constant(feeds[spec.name]) for spec in self.inputs]

    def compute(self, tensors: list[Any]) -> list[Any]:
        found: list[Any] = self._forward(tensors)
        return found


def _read(path: Path) -> Any:
    import keras

    if keras.backend.backend() != "tensorflow":
        raise UnavailableError(f"this adapter needs KERAS_BACKEND=tensorflow, not {keras.backend.backend()}")
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        if "safe_mode" in str(error):
            raise UnavailableError(
                f"{path} holds Python code (a Lambda layer), and no code from a file is run here. Where you trust it: "
                "keras.saving.load_model(path, safe_mode=False)"
            ) from error
        raise NotAModelError(f"{path} is no Keras file that Keras can load: {error}") from error


def _quantized(model: Any) -> str:
    """The small types of the weights and of what layers compute in."""
    types = {str(variable.dtype) for variable in model.variables}
    types |= {str(layer.compute_dtype) for layer in model._flatten_layers()}
    return ", ".join(sorted(types & {"float16", "bfloat16", "int8", "uint8", "float8_e4m3fn"}))


def _metadata(path: Path) -> dict[str, str]:
    """What fwexport added to the file: the ModelSpec, when the layers are not named after the tensors."""
    with zipfile.ZipFile(path) as archive:
        if f"{METADATA}.json" not in archive.namelist():
            return {}
        return {METADATA: archive.read(f"{METADATA}.json").decode()}


def _specs(model: Any, named: Mapping[str, str]) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """The model's tensors, by the names of the Input layers and of the layers that give the outputs.

    The metadata, where there are any, have other names, and sizes where the model leaves them free.
    """

    def specs(tensors: list[Any], names: list[str], known: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        shapes = [tuple(tensor.shape) for tensor in tensors]
        if known:
            names = [spec.name for spec in known]
            pairs = zip(shapes, known, strict=True)
            shapes = [
                tuple(said if size is None else size for size, said in zip(shape, spec.shape, strict=True))
                for shape, spec in pairs
            ]
        dtypes = [str(tensor.dtype) for tensor in tensors]
        return tuple(map(TensorSpec, names, dtypes, shapes))

    spec = msgspec.json.decode(named[METADATA], type=ModelSpec) if named else ModelSpec("", (), ())
    outputs = [tensor._keras_history.operation.name for tensor in model.outputs]
    return (
        specs(model.inputs, [tensor.name for tensor in model.inputs], spec.inputs),
        specs(model.outputs, outputs, spec.outputs),
    )
