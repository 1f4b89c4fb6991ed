"""A TensorFlow SavedModel: a folder with ``saved_model.pb``, or with version folders as TF Serving has them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from exporter import describe
from exporter.frameworks import keras_model, saved_model
from exporter.frameworks.frozen_graph import freeze
from exporter.frameworks.tensorflow_session import TensorflowSession
from exporter.source_folder import open_source
from exporter.source_kind import Brought, Given
from runtimes.base import Session
from runtimes.bundle import ModelSpec, TensorSpec
from runtimes.errors import ConversionError, NotAModelError
from runtimes.formats import recognised
from runtimes.machine import versions_of
from runtimes.reference import Variant

FRAMEWORK = "savedmodel"
PROCESS = "tensorflow"
OPTIONS: tuple[str, ...] = ("signature",)
UNREACHABLE = {
    "keras": "a SavedModel holds a graph of operations, and no layers that a .keras file could hold",
    "torchscript": "Keras on PyTorch makes TorchScript, and a SavedModel holds no Keras layers",
}

WEIGHTS = "saved_model"

check = keras_model.check


def recognises(given: Given) -> bool:
    """Whether the folder, or a folder in it with a number for its name, holds ``saved_model.pb``."""
    return recognised(given.path) == "savedmodel"


def bring(given: Given, folder: Path) -> Brought:
    """Keep the version folder as it is; another signature or fixed sizes are saved anew, as ``serving_default``."""
    opened = saved_model.open_signature(given.path, given.signature)
    spec = _spec(given, opened)
    as_it_is = opened.name == saved_model.SERVING and _inputs(opened) == [
        TensorSpec(tensor.name, tensor.dtype, tensor.shape) for tensor in spec.inputs
    ]
    if as_it_is:
        version = saved_model.version_folder(given.path)
        shutil.copytree(version, folder / WEIGHTS / saved_model.VERSION)
        saved_model.describe(folder / WEIGHTS, spec)
    else:
        saved_model.write(_serving(opened, spec), opened.function.variables, folder / WEIGHTS, spec)
    return Brought(
        weights=WEIGHTS,
        model=spec,
        parameters=sum(int(np.prod(variable.shape)) for variable in opened.function.variables),
        versions=versions_of("tensorflow", "tensorflow-cpu"),
        notes=() if as_it_is else (f"saved anew from the signature {opened.name}",),
    )


def open_session(folder: Path, variant: Variant) -> Session:
    """The signature in the variant's precision."""
    source = open_source(folder)
    opened = saved_model.open_signature(folder / source.weights)
    return TensorflowSession(opened.function, source.model, variant, opened.owner)


def _inputs(opened: saved_model.Opened) -> list[TensorSpec]:
    """What the signature says, in its order. A shape is empty where even its rank is unknown."""
    return [
        TensorSpec(name, tensor.dtype.name, tuple(tensor.shape) if tensor.shape.rank is not None else ())
        for name, tensor in opened.function.structured_input_signature[1].items()
    ]


def _spec(given: Given, opened: saved_model.Opened) -> ModelSpec:
    """Describe the signature by what it says and by running it. Raises NotAModelError where it cannot be exported."""
    import tensorflow as tf

    try:
        freeze(opened.function)
    except ConversionError as error:
        raise NotAModelError(f"{given.source}: {error}") from error
    inputs = describe.inputs(given, _inputs(opened), "NHWC")
    names = list(opened.function.structured_outputs)
    fixed = inputs[0].shape[0]
    runs = []
    for batch in (fixed,) if fixed else describe.PROBE_BATCHES:
        arrays = describe.probe(inputs, batch)
        feeds = {spec.name: tf.constant(array) for spec, array in zip(inputs, arrays, strict=True)}
        try:
            found = opened.function(**feeds)
        except Exception as error:
            raise NotAModelError(f"{given.source} does not run: {type(error).__name__}: {error}") from error
        runs.append([found[name].numpy() for name in names])
    outputs = describe.outputs(names, runs, inputs, given.output_kind)
    return describe.checked(ModelSpec(given.name, inputs, outputs, given.labels, given.preprocessing or ()))


def _serving(opened: saved_model.Opened, spec: ModelSpec) -> Any:
    """The signature as a tf.function of the spec's shapes."""
    import tensorflow as tf

    names = [tensor.name for tensor in spec.inputs]

    def forward(*tensors: Any) -> Any:
        return opened.function(**dict(zip(names, tensors, strict=True)))

    signature = [tf.TensorSpec(tensor.shape, tensor.dtype, name=tensor.name) for tensor in spec.inputs]
    return tf.function(forward, input_signature=signature)
