"""What ``artifact_speed.py`` runs in its children: networks, exports as one would write them at first, and races."""

from __future__ import annotations

import importlib
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from exporter.frameworks import torch_model
from runtimes.base import Array, SessionOptions, runtime, sample_calls
from runtimes.bundle import ModelSpec

# Runs of one file before it is the other's turn.
IN_A_ROW = 3
LOADS = 5
UNOPTIMISED = "onnxruntime, no optimisations"


@dataclass(frozen=True)
class Race:
    """Seconds of the files of one race, shape (files, turns), and of loading them, (files, LOADS)."""

    runs_s: Array
    loads_s: Array


def make_keras(name: str, side: int, out: Path) -> None:
    """A network of ``keras.applications`` with drawn weights."""
    import keras

    keras.utils.set_random_seed(0)
    getattr(keras.applications, name)(weights=None, input_shape=(side, side, 3), classes=10).save(out)


def plain_torch(source: Path, folder: Path, spec: ModelSpec) -> None:
    """A trace, and ``torch.onnx.export`` with a dynamic batch."""
    import torch

    model, examples = torch_model.load(source), torch_model.example_inputs(spec)
    torch.jit.save(torch.jit.trace(model, examples, check_trace=False), str(folder / "model.torchscript"))
    batch = torch.export.Dim("batch")
    program = torch.onnx.export(model, examples, dynamo=True, dynamic_shapes=({0: batch},), verbose=False)
    program.save(str(folder / "model.onnx"), external_data=False)


def plain_keras_on_torch(keras_file: Path, folder: Path, spec: ModelSpec) -> None:
    """A trace of the Keras model on PyTorch."""
    import keras
    import torch

    model = keras.saving.load_model(keras_file, compile=False).eval()
    with torch.no_grad():
        traced = torch.jit.trace(model, torch_model.example_inputs(spec), check_trace=False)
    torch.jit.save(traced, str(folder / "model.torchscript"))


def plain_keras(keras_file: Path, folder: Path, with_onnx: bool) -> None:
    """``model.export``, the TF Lite converter's defaults and, for a Keras source, tf2onnx on a ``tf.function``."""
    import keras
    import tensorflow as tf

    model = keras.saving.load_model(keras_file, compile=False)
    model.export(folder / "saved_model", verbose=False)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "saved_model"))
    (folder / "model.tflite").write_bytes(converter.convert())
    if with_onnx:
        import tf2onnx

        function = tf.function(lambda image: model(image, training=False))
        signature = [tf.TensorSpec((None, *model.input_shape[1:]), tf.float32, name="image")]
        tf2onnx.convert.from_function(function, signature, opset=18, output_path=str(folder / "model.onnx"))


def operators(name: str, path: Path) -> int:
    """How many operators the file has, by its runtime's own count."""
    return sum(runtime(name).inspect(path).ops.values())


def race(name: str, paths: Sequence[Path], images: Array, seconds: float) -> Race:
    """Run files in turns, in an order drawn by lot; in half of the turns by sessions that were opened in reverse."""
    halves = [_half(name, paths, images, seconds / 2, order) for order in ([0, 1], [1, 0])]
    return Race(
        np.concatenate([half.runs_s for half in halves], 1),
        np.concatenate([half.loads_s for half in halves], 1),
    )


def _half(name: str, paths: Sequence[Path], images: Array, seconds: float, opening: Sequence[int]) -> Race:
    open_ = _open_unoptimised if name == UNOPTIMISED else _open
    loads: list[list[float]] = [[] for _ in paths]
    samples: dict[int, Callable[[int], Array]] = {}
    for _ in range(LOADS):
        for number in opening:
            begin = time.perf_counter()
            samples[number] = open_(name, paths[number], images)
            loads[number].append(time.perf_counter() - begin)
    for number in opening:
        samples[number](10)
    random, turns = np.random.default_rng(0), []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(turns) < 10:
        turn = np.empty(len(paths))
        for number in random.permutation(len(paths)):
            turn[number] = np.median(samples[number](IN_A_ROW)) / 1e9
        turns.append(turn)
    return Race(np.stack(turns, 1), np.array(loads))


def _open(name: str, path: Path, images: Array) -> Callable[[int], Array]:
    """Nanoseconds of so many runs, by the adapter that ``bench`` uses, on one thread."""
    session = runtime(name).load(path, "cpu", SessionOptions(threads=1))
    call = session.bind({session.inputs[0].name: images})
    return lambda runs: session.sample([call], 0.0, runs, runs)


def _open_unoptimised(name: str, path: Path, images: Array) -> Callable[[int], Array]:
    """The graph as the file has it, which is what a provider sees that takes over before ONNX Runtime optimises."""
    onnxruntime: Any = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    feeds = {session.get_inputs()[0].name: images}
    return lambda runs: sample_calls([lambda: session.run(None, feeds)], 0.0, runs, runs)


def size_bytes(path: Path) -> int:
    """Of a file or a folder."""
    return (
        sum(one.stat().st_size for one in path.rglob("*") if one.is_file())
        if path.is_dir()
        else path.stat().st_size
    )


def forget(folder: Path) -> None:
    """Begin with an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
