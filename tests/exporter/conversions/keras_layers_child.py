"""What the children of the Keras layer tests run: build and judge in TensorFlow, convert, run each artifact."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from keras_layers import LONG, NETS

from exporter.frameworks import keras_model
from exporter.source_folder import SCHEMA, SourceFile, save_source
from exporter.source_kind import Given
from runtimes import base
from runtimes.base import Array, SessionOptions
from runtimes.batches import run_in_batches
from runtimes.bundle import ModelSpec
from runtimes.reference import Variant
from runtimes.verdict import parity

SAMPLES = 5


@dataclass(frozen=True)
class Made:
    """A saved network: its tensors, inputs to judge it with, what it computes, and why that cannot judge, or ""."""

    spec: ModelSpec
    feeds: dict[str, Array]
    y64: dict[str, Array]
    noise: dict[str, Array]
    problem: str


def make(name: str, path: Path) -> Made:
    """Save the network with seeded weights, every normalisation's statistics at random, and judge it in float64."""
    import keras

    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    model = (LONG if name == "long" else NETS[name])(keras)
    for variable in model.variables:
        if "normalization" in variable.path and variable.dtype == "float32":
            variable.assign(random.uniform(0.5, 1.5, variable.shape))
    model.save(path)
    spec = keras_model.model_spec(keras_model.load(path), Given(str(path), name, output_kind="tensor"))
    feeds: dict[str, Array] = {}
    for tensor in spec.inputs:
        shape = (SAMPLES, *tensor.shape[1:])
        whole = tensor.dtype.startswith("int")
        values = random.integers(0, 2, shape) if whole else random.normal(size=shape)
        feeds[tensor.name] = values.astype(tensor.dtype)
    exact = keras_model.open_session(path, spec, Variant("float64"))
    single = keras_model.open_session(path, spec, Variant())
    y64 = run_in_batches(exact, feeds, SAMPLES)
    runs = [run_in_batches(single, feeds, batch) for batch in (SAMPLES, 1)]
    real = np.ones(SAMPLES, bool)
    noise = {key: parity.noise_floor([run[key] for run in runs], y64[key], "tensor", real) for key in y64}
    problem = "".join(parity.refuse_reference(y64[key], noise[key], "tensor") for key in y64)
    return Made(spec, feeds, y64, noise, problem)


def convert(edge: str, src: Path, out: Path, spec: ModelSpec) -> str:
    """The error of the conversion, or ""."""
    try:
        importlib.import_module(f"exporter.conversions.{edge}").convert(src, out, spec)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def run(runtime: str, path: Path, feeds: dict[str, Array]) -> dict[str, Array]:
    """What the artifact gives, in batches of 1 and of the rest."""
    session = base.runtime(runtime).load(path, "cpu", SessionOptions(threads=1))
    try:
        parts = [
            session.run({key: array[a:b] for key, array in feeds.items()}) for a, b in ((0, 1), (1, SAMPLES))
        ]
    finally:
        session.close()
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def make_lambda(path: Path) -> ModelSpec:
    """Save a network whose Lambda calls TensorFlow, in a source folder that allows it."""
    import keras
    from keras import layers

    image = keras.Input((8, 8, 3), name="x")
    inner = keras.Sequential(
        [
            layers.Lambda(
                lambda x: __import__("tensorflow").image.resize(x, (4, 4)),
                output_shape=(4, 4, 3),
                name="in_tensorflow",
            )
        ]
    )
    model = keras.Model(image, inner(image))
    model.save(path)
    spec = keras_model.model_spec(model, Given(str(path), "lambda"))
    source = SourceFile(SCHEMA, "keras", path.name, spec, "keras_file", arguments={"allow_pickle": True})
    save_source(path.parent, source)
    return spec
