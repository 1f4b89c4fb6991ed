"""A Keras model: load it, describe it, prepare it for export, open it as a Session.

Everything here runs in a child whose KERAS_BACKEND is already chosen.
"""

from __future__ import annotations

import importlib.util
import json
import zipfile
from pathlib import Path
from typing import Any

from exporter import describe
from exporter.conversions.onnx2keras.names import Unique
from exporter.frameworks import keras_content
from exporter.frameworks.tensorflow_session import TensorflowSession
from exporter.metadata import metadata
from exporter.source_folder import SOURCE, open_source
from exporter.source_kind import Given
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
    """The ``keras.Model`` in the ``.keras`` file of a source folder, or in another one.

    No code that the file brings is run (``safe_mode``), unless the person allowed it when the source was brought.
    The model that this process has just written there is handed over, once: exporters change what they get.
    """
    if path.exists() and (key := _identity(path)) in _written:
        return _written.pop(key)
    beside = path.with_name(SOURCE)
    trusted = beside.exists() and bool(open_source(path.parent).arguments.get("allow_pickle"))
    return read(path, None, trusted=trusted)


def read(path: Path, weights: Path | None, *, trusted: bool) -> Any:
    """The ``keras.Model`` in a ``.keras``, ``.h5`` or JSON file of Keras 3, with other weights where they are given.

    Raises NotAModelError for one that cannot be loaded.
    """
    import keras

    try:
        if path.suffix == ".json":
            model = keras.models.model_from_json(path.read_text())
        else:
            model = keras.saving.load_model(path, compile=False, safe_mode=not trusted)
        if weights is not None:
            model.load_weights(weights)
    except Exception as error:
        text = keras_content.with_hint(keras_content.reason(error))
        raise NotAModelError(f"{path} is no Keras model that can be loaded: {text}") from error
    return model


def in_float32(model: Any) -> Any:
    """The model itself, or a copy whose half-precision policies are float32; weights are float32 in both."""
    import keras

    config = json.loads(model.to_json())
    single = keras_content.in_float32(config)
    if single == config:
        return model
    copy = keras.models.model_from_json(json.dumps(single))
    copy.set_weights(
        [weight.astype("float32") if weight.dtype.kind in "fV" else weight for weight in model.get_weights()]
    )
    return copy


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

    if given.inputs and not getattr(model, "inputs", None):
        model.build((None, *given.inputs[0].shape[1:]))
    own = [
        TensorSpec(tensor.name, keras.backend.standardize_dtype(tensor.dtype), tuple(tensor.shape))
        for tensor in keras.tree.flatten(getattr(model, "inputs", None) or [])
    ]
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
    histories = [tensor._keras_history for tensor in keras.tree.flatten(model.outputs)]
    outputs = [names.take((getattr(made, "operation", None) or made.layer).name) for made in histories]
    specs = describe.outputs(outputs, runs, inputs, given.output_kind)
    return describe.checked(ModelSpec(given.name, inputs, specs, given.labels, given.preprocessing or ()))


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
