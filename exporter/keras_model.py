"""A Keras model: load it, describe it, prepare it for export, open it as a Session.

Everything here runs in a child whose KERAS_BACKEND is already chosen.
"""

from __future__ import annotations

import importlib.util
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from exporter import describe
from exporter.conversions.onnx2keras.names import Unique
from exporter.metadata import metadata
from exporter.source_folder import open_source
from exporter.source_kind import Given
from runtimes.base import Array, Feeds, Session
from runtimes.bundle import ModelSpec, TensorSpec
from runtimes.errors import NotAModelError
from runtimes.reference import Variant


def check() -> str | None:
    """None, or how to get Keras on TensorFlow."""
    if importlib.util.find_spec("keras") is None or importlib.util.find_spec("tensorflow") is None:
        return "Keras on TensorFlow is missing: pip install 'fwexport[tensorflow]'"
    return None


def load(path: Path) -> Any:
    """The ``keras.Model`` in a ``.keras`` file, never running code that the file brings (``safe_mode``)."""
    import keras

    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        raise NotAModelError(f"{path} is no Keras model that can be loaded: {error}") from error


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


def export_clone(model: Any) -> Any:
    """The same network and weights with each Flatten as a reshape to a known size.

    Keras's Flatten computes its size from the running shape, which leaves Shape, Gather, Slice and Concat in every
    graph made from it, and splits a TF Lite delegate in two.
    """
    import keras

    if not any(isinstance(layer, keras.layers.Flatten) for layer in model.layers):
        return model

    class StaticFlatten(keras.layers.Layer):  # type: ignore[misc]
        def __init__(self, size: int, order: tuple[int, ...] | None, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.size, self.order = size, order

        def call(self, x: Any) -> Any:
            if self.order is not None:
                x = keras.ops.transpose(x, self.order)
            return keras.ops.reshape(x, (-1, self.size))

    def replace(layer: Any) -> Any:
        if isinstance(layer, keras.layers.Flatten) and None not in layer.output.shape[1:]:
            rank = len(layer.input.shape)
            first = layer.data_format == "channels_first" and rank > 2
            order = (0, *range(2, rank), 1) if first else None
            return StaticFlatten(layer.output.shape[-1], order, name=layer.name)
        return layer.__class__.from_config(layer.get_config())

    clone = keras.models.clone_model(model, clone_function=replace)
    clone.set_weights(model.get_weights())
    return clone


def as_float64(model: Any) -> Any:
    """The same model computing in float64: every float32 policy of its serialised config rewritten.

    ``clone_model`` under a float64 policy keeps computing in float32, which would make y64 worthless.
    """
    import keras

    rewritten = _rewrite(json.loads(model.to_json()))
    exact = keras.models.model_from_json(json.dumps(rewritten))
    exact.set_weights(
        [weight.astype("float64") if weight.dtype == "float32" else weight for weight in model.get_weights()]
    )
    return exact


def _rewrite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rewrite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rewrite(item) for item in value]
    return "float64" if value == "float32" else value


def write_metadata(path: Path, spec: ModelSpec) -> None:
    """Write the spec into a ``.keras`` file, which is a zip: its layers need not bear the tensors' names."""
    with zipfile.ZipFile(path, "a") as archive:
        for name, text in metadata(spec).items():
            archive.writestr(f"{name}.json", text)


class KerasSession(Session):
    """The source model on TensorFlow, as the reference runs it: on the CPU, in one precision."""

    def __init__(self, folder: Path, variant: Variant) -> None:
        import tensorflow as tf

        source = open_source(folder)
        self.device_proof, self.threads = "cpu", variant.threads
        self.inputs, self.outputs = source.model.inputs, source.model.outputs
        model = load(folder / source.weights)
        self._dtype = variant.precision
        self._model = as_float64(model) if self._dtype == "float64" else model

        def forward(tensors: list[Any]) -> Any:
            return self._model(tensors[0] if len(tensors) == 1 else tensors, training=False)

        self._forward = tf.function(forward, reduce_retracing=True)

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Outputs by name, in the session's precision."""
        import tensorflow as tf

        with tf.device("/CPU:0"):
            tensors = [self._tensor(tf, feeds[spec.name]) for spec in self.inputs]
            out = self._forward(tensors)
        values = tf.nest.flatten(out)
        return {spec.name: value.numpy() for spec, value in zip(self.outputs, values, strict=True)}

    def bind(self, feeds: Feeds) -> Callable[[], None]:
        """One run per call."""

        def call() -> None:
            self.run(feeds)

        return call

    def _tensor(self, tf: Any, array: Array) -> Any:
        tensor = tf.constant(array)
        return tf.cast(tensor, self._dtype) if tensor.dtype.is_floating else tensor
