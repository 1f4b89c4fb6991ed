"""The layers of real sources beside what real artifacts compute: on clean exports every layer is right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import layers_child
import pytest

from exporter.converters import Converters
from exporter.explain.first_layer import first_layer
from exporter.explain.source_layers import SourceLayer, layers
from exporter.source_folder import SourceFile, open_source, save_source
from exporter.source_kind import Framework
from runtimes import session_child
from runtimes.base import Array, SessionOptions, for_format
from runtimes.bundle import open_bundle
from runtimes.client import Worker
from runtimes.files import copy
from runtimes.reference import REFERENCE, open_reference
from runtimes.verdict.verdicts import feeds
from tests.conftest import FORMATS

SAMPLES = [0, 1, 2, -1]


@pytest.fixture(scope="module")
def converters(children: Converters) -> Converters:
    return children


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    """One child for every runtime: what they compute is looked at, not their speed."""
    with Worker({"CUDA_VISIBLE_DEVICES": "-1", "KERAS_BACKEND": "tensorflow"}) as child:
        yield child


def inputs(bundle: Path) -> tuple[dict[str, Array], list[bool]]:
    reference = open_reference(bundle / REFERENCE)
    real = [bool(role != "sentinel") for role in reference.roles[SAMPLES]]
    return {name: array[SAMPLES] for name, array in reference.inputs.items()}, real


@pytest.fixture(scope="module")
def sources(bundles: dict[str, Path], converters: Converters) -> dict[str, list[SourceLayer]]:
    return {
        name: converters.get(open_source(bundle / "source").loader.PROCESS).call(
            layers, bundle / "source", *inputs(bundle)
        )
        for name, bundle in bundles.items()
    }


def test_layers_have_the_names_that_the_source_gives_them(sources: dict[str, list[SourceLayer]]) -> None:
    assert [(layer.name, layer.op, layer.inputs) for layer in sources["torch"]] == [
        ("conv1", "Conv2d", ()),
        ("relu", "ReLU", ("conv1",)),
        ("pool1", "MaxPool2d", ("relu",)),
        ("conv2", "Conv2d", ("pool1",)),
        ("relu#2", "ReLU", ("conv2",)),
        ("pool2", "MaxPool2d", ("relu#2",)),
        ("flatten", "Flatten", ("pool2",)),
        ("dense1", "Linear", ("flatten",)),
        ("relu#3", "ReLU", ("dense1",)),
        ("dropout", "Dropout", ("relu#3",)),
        ("dense2", "Linear", ("dropout",)),
    ]
    assert [(layer.name, layer.op) for layer in sources["keras"]] == [
        ("conv1", "Conv2D"),
        ("pool1", "MaxPooling2D"),
        ("conv2", "Conv2D"),
        ("pool2", "MaxPooling2D"),
        ("flatten", "Flatten"),
        ("dense1", "Dense"),
        ("probabilities", "Dense"),
    ]
    for found in sources.values():
        assert all(layer.moves == (layer.name == "flatten") for layer in found)
        assert all(layer.noise.shape == (len(SAMPLES),) for layer in found)


@pytest.mark.parametrize(
    ("framework", "kind", "format", "layers_at_least"),
    [
        ("onnx", "onnx_file", "onnx", 10),
        ("savedmodel", "saved_model", "savedmodel", 9),
        ("torch", "torchscript", "torchscript", 10),
    ],
)
def test_a_file_is_a_source_with_layers_too(
    framework: Framework,
    kind: str,
    format: str,
    layers_at_least: int,
    bundles: dict[str, Path],
    converters: Converters,
    worker: Worker,
    tmp_path: Path,
) -> None:
    bundle = open_bundle(bundles["torch"])
    artifact = bundle.manifest.artifact(format)
    assert artifact is not None
    copy(bundle.path(artifact), tmp_path / artifact.path)
    model = replace(bundle.manifest.model, inputs=artifact.inputs, outputs=artifact.outputs)
    save_source(tmp_path, SourceFile(1, framework, artifact.path, model, kind))
    samples, real = inputs(bundle.folder)
    given = feeds(samples, bundle.manifest.model, artifact)
    child = converters.get(open_source(tmp_path).loader.PROCESS)
    found = child.call(layers, tmp_path, given, real)
    assert len(found) >= layers_at_least
    assert found[0].inputs == ()
    assert all(layer.inputs for layer in found[1:])
    traced = worker.call(
        session_child.trace,
        for_format(format)[0],
        bundle.path(artifact),
        "cpu",
        SessionOptions(),
        given,
        None,
    )
    assert first_layer(found, traced).span == ()


def test_code_that_writes_in_place_shares_modules_and_calls_functions_is_followed(
    children: Converters,
) -> None:
    found = dict(children.get("torch").call(layers_child.recorded))
    assert list(found) == [
        *("conv", "norm", "relu", "mul", "chunk", "chunk#2", "add", "relu#2", "flatten", "transpose"),
        *("attention.transpose", "attention", "attention.transpose#2", "mean", "head"),
    ]
    assert found["conv"] == []
    assert found["norm"] == ["conv"]
    assert found["relu"] == ["norm"]
    assert found["add"] == ["chunk", "chunk#2"]
    assert found["head"] == ["mean"]


def test_layers_of_a_keras_graph_are_the_same_in_both_precisions(children: Converters) -> None:
    single, double = children.get("tensorflow").call(layers_child.of_keras)
    assert single == double
    assert single == [
        ("stem", "Conv2D", ()),
        ("swish", "Activation", ("stem",)),
        ("resize", "UpSampling2D", ("swish",)),
        ("mix", "Conv2D", ("resize",)),
    ]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("source", ["torch", "keras"])
def test_every_layer_of_a_clean_export_is_right(
    source: str, format: str, bundles: dict[str, Path], sources: dict[str, list[SourceLayer]], worker: Worker
) -> None:
    bundle = open_bundle(bundles[source])
    artifact = bundle.manifest.artifact(format)
    assert artifact is not None
    given = feeds(inputs(bundle.folder)[0], bundle.manifest.model, artifact)
    (name, *_) = for_format(format)
    traced = worker.call(
        session_child.trace, name, bundle.path(artifact), "cpu", SessionOptions(), given, None
    )
    found = first_layer(sources[source], traced)
    assert (found.span, found.last_good) == ((), found.layers[-1].name)
    assert max(layer.ratio or 0 for layer in found.layers) < 12
    seen = [layer.name for layer in found.layers if layer.tensor]
    assert {"pool1", "pool2", found.layers[-1].name} <= set(seen)
