"""The Keras layers that people use, by every route: each artifact predicts what the float64 source predicts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import keras_layers_child as child
import pytest
from keras_layers import NETS

from exporter.base import conversion
from exporter.converters import ENVIRONMENT, Converters
from runtimes.base import runtime
from runtimes.client import Worker
from runtimes.verdict import parity

HERE = str(Path(__file__).parent)
# Format -> its runtime, and the conversions to it, each with the name of what it writes.
ROUTES = {
    "savedmodel": ("savedmodel", (("keras2savedmodel", "saved_model"),)),
    "tflite": ("litert", (("keras2savedmodel", "saved_model"), ("savedmodel2tflite", "model.tflite"))),
    "tfjs": ("tfjs", (("keras2savedmodel", "saved_model"), ("savedmodel2tfjs", "tfjs"))),
    "onnx": ("onnxruntime", (("keras2onnx", "model.onnx"),)),
    "torchscript": ("torchscript", (("keras2torchscript", "model.torchscript"),)),
}


class Networks:
    """Networks, artifacts and their runtimes, each made or started once: a child for each framework and runtime."""

    def __init__(self, folder: Path, children: Converters) -> None:
        self.folder, self.children = folder, children
        self.made: dict[str, child.Made] = {}
        self.errors: dict[Path, str] = {}
        self.workers: dict[str, Worker] = {}

    def worker(self, name: str) -> Worker:
        if name in ENVIRONMENT:
            return self.children.get(name)
        if name not in self.workers:
            env = {"PYTHONPATH": HERE, "CUDA_VISIBLE_DEVICES": "-1", "KERAS_BACKEND": "tensorflow"}
            self.workers[name] = Worker(env)
        return self.workers[name]

    def make(self, name: str) -> child.Made:
        if name not in self.made:
            (self.folder / name).mkdir(exist_ok=True)
            made = self.worker("tensorflow").call(child.make, name, self.folder / name / "model.keras")
            self.made[name] = made
        return self.made[name]

    def convert(self, name: str, format: str) -> Path:
        src = self.folder / name / "model.keras"
        for edge, file in ROUTES[format][1]:
            out = self.folder / name / file
            if out not in self.errors:
                process = self.worker(conversion(edge).PROCESS)
                self.errors[out] = process.call(child.convert, edge, src, out, self.made[name].spec)
            assert self.errors[out] == "", f"{edge}: {self.errors[out]}"
            src = out
        return src


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory, children: Converters) -> Iterator[Networks]:
    made = Networks(tmp_path_factory.mktemp("networks"), children)
    yield made
    for worker in made.workers.values():
        worker.close()


@pytest.mark.parametrize("format", ROUTES)
@pytest.mark.parametrize("name", NETS)
def test_a_layer_predicts_the_same_everywhere(networks: Networks, name: str, format: str) -> None:
    adapter, _ = ROUTES[format]
    missing = runtime(adapter).check("cpu")
    if missing:
        pytest.skip(missing)
    made = networks.make(name)
    assert made.problem == ""
    path = networks.convert(name, format)
    found = networks.worker(adapter).call(child.run, adapter, path, made.feeds)
    assert set(found) == set(made.y64)
    for output, y64 in made.y64.items():
        judgement = parity.judge(found[output], y64, made.noise[output], "tensor")
        assert judgement.passed, f"{output}: {judgement.reason}"


@pytest.mark.parametrize("format", ["savedmodel", "onnx", "torchscript"])
def test_a_long_sequence_stays_a_loop(networks: Networks, format: str) -> None:
    test_a_layer_predicts_the_same_everywhere(networks, "long", format)


@pytest.mark.parametrize(("format", "said"), [("tflite", "--fixed-batch 1"), ("tfjs", "long has loops")])
def test_a_loop_that_a_format_cannot_hold_says_so(networks: Networks, format: str, said: str) -> None:
    networks.make("long")
    with pytest.raises(AssertionError, match=said):
        networks.convert("long", format)


def test_a_loop_reaches_tf_lite_with_a_fixed_batch(networks: Networks) -> None:
    made = networks.make("long")
    spec = replace(made.spec, inputs=tuple(replace(t, shape=(1, *t.shape[1:])) for t in made.spec.inputs))
    folder = networks.folder / "long"
    tensorflow = networks.worker("tensorflow")
    assert (
        tensorflow.call(child.convert, "keras2savedmodel", folder / "model.keras", folder / "one", spec) == ""
    )
    assert (
        tensorflow.call(child.convert, "savedmodel2tflite", folder / "one", folder / "one.tflite", spec) == ""
    )


def test_a_layer_that_calls_tensorflow_is_named(networks: Networks) -> None:
    path = networks.folder / "lambda" / "model.keras"
    path.parent.mkdir()
    spec = networks.worker("tensorflow").call(child.make_lambda, path)
    error = networks.worker("keras-torch").call(
        child.convert, "keras2torchscript", path, path.parent / "x", spec
    )
    assert error.startswith("ConversionError: layer in_tensorflow (Lambda) does not run on PyTorch: ")
    assert "\x1b" not in error
