"""A Keras model: load it, describe it, prepare it for export, open it as a Session.

Everything here runs in a child whose KERAS_BACKEND is already chosen.
"""

from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path
from typing import Any

from exporter import describe
from exporter.conversions.onnx2keras.names import Unique
from exporter.metadata import metadata
from exporter.source_kind import Given
from exporter.tensorflow_session import TensorflowSession
from runtimes.base import Session
from runtimes.bundle import ModelSpec, TensorSpec
from runtimes.errors import NotAModelError
from runtimes.reference import Variant


def check() -> str | None:
    """None, or how to get Keras on TensorFlow."""
    if importlib.util.find_spec("keras") is None or importlib.util.find_spec("tensorflow") is None:
        return "Keras on TensorFlow is missing: pip install 'fwexport[tensorflow]'"
    return None


# The file that this process wrote last, and its model: the next edge starts from it.
_written: dict[tuple[Path, int, int], Any] = {}


def load(path: Path) -> Any:
    """The ``keras.Model`` in a ``.keras`` file, never running code that the file brings (``safe_mode``).

    The model that this process has just written there is handed over, once: exporters change what they get.
    """
    import keras

    try:
        if (key := _identity(path)) in _written:
            return _written.pop(key)
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        raise NotAModelError(f"{path} is no Keras model that can be loaded: {error}") from error


def save(model: Any, path: Path, spec: ModelSpec) -> None:
    """Write the ``.keras`` file of a model whose tensors are ``spec``. The model is the file's from then on."""
    model.save(path)
    write_metadata(path, spec)
    _written.clear()
    _written[_identity(path)] = model


def _identity(path: Path) -> tuple[Path, int, int]:
    found = path.stat()
    return path.resolve(), found.st_mtime_ns, found.st_size


def model_spec(model: Any, given: Given) -> ModelSpec:
    """Describe ``model``: names and shapes of its inputs, and what running it on seeded inputs gives.

    Raises NotAModelError, with Keras's words, when it cannot run on them.
    """
    import keras

    tensors = keras.tree.flatten(model.inputs)
    own = [TensorSpec(tensor.name, str(tensor.dtype), tuple(tensor.shape)) for tensor in tensors]
    inputs = describe.inputs(given, own, "NHWC")
    fixed = inputs[0].shape[0]
    runs = []
    for batch in (fixed,) if fixed else describe.PROBE_BATCHES:
        arrays = describe.probe(inputs, batch)
        try:
            value = model(arrays[0] if len(arrays) == 1 else arrays, training=False)
        except Exception as error:
            raise NotAModelError(f"{given.source} does not run: {type(error).__name__}: {error}") from error
        runs.append([keras.ops.convert_to_numpy(tensor) for tensor in keras.tree.flatten(value)])
    names = Unique()
    outputs = [
        names.take(tensor._keras_history.operation.name) for tensor in keras.tree.flatten(model.outputs)
    ]
    specs = describe.outputs(outputs, runs, fixed, given.output_kind)
    return ModelSpec(given.name, inputs, specs, given.labels, given.preprocessing or ())


def write_metadata(path: Path, spec: ModelSpec) -> None:
    """Write the spec into a ``.keras`` file, which is a zip: its layers need not bear the tensors' names."""
    with zipfile.ZipFile(path, "a") as archive:
        for name, text in metadata(spec).items():
            archive.writestr(f"{name}.json", text)


def open_session(path: Path, spec: ModelSpec, variant: Variant) -> Session:
    """The model of a ``.keras`` file on TensorFlow, as the reference runs it: on the CPU, in one precision."""
    model = load(path)
    return TensorflowSession(serving_function(model, spec).get_concrete_function(), spec, variant, model)


def serving_function(model: Any, spec: ModelSpec) -> Any:
    """A ``tf.function`` from the spec's inputs, in their order, to a dict by its output names."""
    import tensorflow as tf

    def forward(*tensors: Any) -> dict[str, Any]:
        out = model(tensors[0] if len(tensors) == 1 else list(tensors), training=False)
        return dict(zip([tensor.name for tensor in spec.outputs], tf.nest.flatten(out), strict=True))

    signature = [tf.TensorSpec(tensor.shape, tensor.dtype, name=tensor.name) for tensor in spec.inputs]
    return tf.function(forward, input_signature=signature)
