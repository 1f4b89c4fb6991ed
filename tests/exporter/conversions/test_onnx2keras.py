"""PyTorch networks through ONNX to Keras: the same predictions, and a model that one would have written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx2keras_child as child
import pytest

from exporter.conversions import onnx2keras
from exporter.converters import Converters
from runtimes.base import Array
from runtimes.bundle import ModelSpec, TensorSpec
from runtimes.client import Worker

NETS = ("shipped", "mobile", "squeeze", "residual")
# The verdict's own limit on errors, in units of float32's rounding noise.
MAX_NOISE_RATIO = 24


@dataclass(frozen=True)
class Pair:
    """A network before and after."""

    torch: child.Exported
    keras: child.Converted
    file: Path


@pytest.fixture(scope="module")
def torch_child(children: Converters) -> Worker:
    return children.get("keras-torch")


@pytest.fixture(scope="module")
def keras_child(children: Converters) -> Worker:
    return children.get("tensorflow")


@pytest.fixture(scope="module")
def pairs(
    torch_child: Worker, keras_child: Worker, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Pair]:
    folder = tmp_path_factory.mktemp("nets")

    def pair(name: str, optimize: bool = True) -> Pair:
        onnx, keras = folder / f"{name}{optimize}.onnx", folder / f"{name}{optimize}.keras"
        exported = torch_child.call(child.export_net, name, onnx, optimize)
        spec = spec_of(name, exported)
        return Pair(exported, keras_child.call(child.convert_net, onnx, keras, spec, exported.images), keras)

    return {name: pair(name) for name in NETS} | {"mobile as written": pair("mobile", optimize=False)}


def spec_of(name: str, exported: child.Exported) -> ModelSpec:
    image = TensorSpec("image", "float32", (None, *exported.images.shape[1:]), "NCHW", "image")
    return ModelSpec(
        name, (image,), (TensorSpec("logits", "float32", (None, exported.y32.shape[1]), "NC", "logits"),)
    )


def noise_ratio(y: Array, exported: child.Exported) -> float:
    """The largest error of a sample in units of float32's rounding noise on it."""
    size = np.linalg.norm(exported.y64, axis=1)
    noise = np.maximum(np.linalg.norm(exported.y32 - exported.y64, axis=1), 2.0**-24 * size)
    return float((np.linalg.norm(y - exported.y64, axis=1) / noise).max())


@pytest.mark.parametrize("name", [*NETS, "mobile as written"])
def test_predicts_what_the_source_predicts(name: str, pairs: dict[str, Pair]) -> None:
    assert noise_ratio(pairs[name].keras.outputs, pairs[name].torch) < MAX_NOISE_RATIO


@pytest.mark.parametrize("name", [*NETS, "mobile as written"])
def test_no_transpose_is_left(name: str, pairs: dict[str, Pair]) -> None:
    ops = pairs[name].keras.ops
    assert not {"Transpose", "Shape", "StridedSlice", "Pack"} & ops.keys()


# torch.onnx folds batch normalisation into the convolution before it, unless it is told not to optimise.
@pytest.mark.parametrize("name", ["shipped", "squeeze", "mobile as written"])
def test_every_parameter_stays_trainable(name: str, pairs: dict[str, Pair]) -> None:
    assert pairs[name].keras.trainable == pairs[name].torch.parameters


def test_the_shipped_cnn_reads_like_its_source(pairs: dict[str, Pair]) -> None:
    keras = pairs["shipped"].keras
    assert list(keras.layers.items()) == [
        ("image", "InputLayer"),
        ("features_conv1", "Conv2D"),
        ("features_relu1", "ReLU"),
        ("features_pool1", "MaxPooling2D"),
        ("features_conv2", "Conv2D"),
        ("features_relu2", "ReLU"),
        ("features_pool2", "MaxPooling2D"),
        ("classifier_flatten", "Reshape"),
        ("classifier_hidden", "Dense"),
        ("classifier_relu3", "ReLU"),
        ("classifier_logits", "Dense"),
    ]
    assert "features_conv2 (Conv2D)" in keras.summary
    assert "421,642" in keras.summary
    assert keras.input_name == "image"


def test_layers_take_the_names_of_their_modules(pairs: dict[str, Pair]) -> None:
    merged, written = pairs["mobile"].keras.layers, pairs["mobile as written"].keras.layers
    assert merged["blocks_1_depthwise"] == written["blocks_1_depthwise"] == "DepthwiseConv2D"
    assert merged["pool"] == written["pool"] == "GlobalAveragePooling2D"
    assert written["blocks_0_norm3"] == "BatchNormalization"
    assert merged["head"] == written["head"] == "Dense"


@pytest.mark.parametrize("name", ["shipped", "mobile as written"])
def test_can_be_trained_on(name: str, pairs: dict[str, Pair], keras_child: Worker) -> None:
    first, last = keras_child.call(child.fit, pairs[name].file, pairs[name].torch.images, np.arange(3))
    assert last < first / 2


@pytest.mark.parametrize("name", NETS)
def test_the_file_runs_on_another_keras_backend(
    name: str, pairs: dict[str, Pair], torch_child: Worker
) -> None:
    outputs = torch_child.call(child.predict, pairs[name].file, pairs[name].torch.images)
    assert noise_ratio(outputs, pairs[name].torch) < MAX_NOISE_RATIO


def test_keras_spec_describes_the_file(pairs: dict[str, Pair]) -> None:
    spec = onnx2keras.keras_spec(spec_of("shipped", pairs["shipped"].torch))
    assert (spec.inputs[0].name, spec.inputs[0].shape, spec.inputs[0].layout) == (
        pairs["shipped"].keras.input_name,
        (None, 28, 28, 1),
        "NHWC",
    )


def test_onnx2keras_can_run_here() -> None:
    assert onnx2keras.check() is None
