"""Keras 2 files: read by tf_keras, and in Keras 3 only when both agree."""

from __future__ import annotations

import json
from pathlib import Path

import keras_files
import numpy as np
import pytest

from exporter.converters import Converters
from exporter.frameworks import keras_content, keras_legacy
from runtimes.client import Worker
from runtimes.errors import NotAModelError, UnavailableError

IN_KERAS_3 = [
    name
    for name in keras_files.NAMES
    if name not in ("lambda", "own_layer", "tensorflow_call", "hard_sigmoid", "locally_connected")
]

pytestmark = pytest.mark.skipif(keras_legacy.check() is not None, reason=str(keras_legacy.check()))


@pytest.fixture(scope="module")
def child(children: Converters) -> Worker:
    return children.get("tensorflow")


@pytest.mark.parametrize("name", IN_KERAS_3)
def test_a_file_is_rebuilt_in_keras_3(child: Worker, name: str, tmp_path: Path) -> None:
    path = child.call(keras_files.write, name, tmp_path)
    assert child.call(keras_files.load, path, None) == ("keras", "")
    if name != "mixed":  # which tf_keras itself computes in float16
        _same(*child.call(keras_files.predictions, path, None))


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("tensorflow_call", "Keras 3 cannot rebuild it: Could not locate class 'TFOpLambda'"),
        (
            "locally_connected",
            "Keras 3 cannot rebuild it: Could not deserialize 'keras.layers.LocallyConnected2D'",
        ),
        ("hard_sigmoid", "Keras 3 rebuilds another network: output 0 is "),
    ],
)
def test_what_keras_3_cannot_hold_stays_in_tf_keras(
    child: Worker, name: str, note: str, tmp_path: Path
) -> None:
    path = child.call(keras_files.write, name, tmp_path)
    library, why = child.call(keras_files.load, path, None)
    assert library == "tf_keras"
    assert why.startswith(note)


def test_the_difference_is_one_that_keras_3_does_not_report(child: Worker, tmp_path: Path) -> None:
    path = child.call(keras_files.write, "hard_sigmoid", tmp_path)
    assert child.call(keras_files.keras3_predicts_otherwise, path)


def test_an_early_keras_zip_is_one_too(child: Worker, tmp_path: Path) -> None:
    path = child.call(keras_files.write, "lstm", tmp_path, ".keras")
    assert keras_content.version_of(path).startswith("2.")
    assert child.call(keras_files.load, path, None) == ("keras", "")


@pytest.mark.parametrize("weights", ["plain_weights.h5", "plain.weights.h5"])
def test_json_and_weights(child: Worker, weights: str, tmp_path: Path) -> None:
    path = child.call(keras_files.write, "plain", tmp_path, ".json")
    assert child.call(keras_files.load, path, tmp_path / weights) == ("keras", "")
    _same(*child.call(keras_files.predictions, path, tmp_path / weights))


def test_code_in_a_file_is_refused_by_the_name_of_its_layer(child: Worker, tmp_path: Path) -> None:
    path = child.call(keras_files.write, "lambda", tmp_path)
    with pytest.raises(NotAModelError, match=r"in: twice\. .* --allow-pickle"):
        child.call(keras_files.load, path, None)
    assert child.call(keras_files.load, path, None, True)[0] == "tf_keras"


def test_a_layer_without_its_code_is_named(child: Worker, tmp_path: Path) -> None:
    path = child.call(keras_files.write, "own_layer", tmp_path)
    with pytest.raises(NotAModelError, match=r"Unknown layer: 'Mine'\. .*model\.export\(FOLDER\)"):
        child.call(keras_files.load, path, None)


def test_weights_without_a_network_are_refused(child: Worker, tmp_path: Path) -> None:
    path = child.call(keras_files.write_weights_only, tmp_path)
    with pytest.raises(NotAModelError, match="weights without a network"):
        child.call(keras_files.load, path, None)


def test_without_tf_keras_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(keras_legacy.importlib.util, "find_spec", lambda name: None)
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"class_name": "Sequential", "config": {}, "keras_version": "2.4.0"}))
    with pytest.raises(UnavailableError, match=r"written by Keras 2\.4\.0; .*fwexport\[legacy\]"):
        keras_legacy.load(path, None, allow_pickle=False)


@pytest.mark.parametrize("content", [b"no json", b"[]", b"{}", b"PK\x03\x04 cut"])
def test_what_is_no_keras_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(NotAModelError, match="no Keras"):
        keras_content.config_of(path)


def test_code_is_found_at_any_depth() -> None:
    code = {"class_name": "__lambda__", "config": {"code": "..."}}
    inner = {"class_name": "Lambda", "config": {"name": "inner", "function": code}}
    nested = {"class_name": "Functional", "config": {"name": "net", "layers": [inner]}}
    assert keras_content.code_layers(nested) == {"inner"}
    dense = {"class_name": "Dense", "config": {"name": "dense", "activation": code}}
    assert keras_content.code_layers({"config": {"layers": [dense]}}) == {"dense"}
    legacy = {
        "class_name": "Lambda",
        "config": {"name": "old", "function_type": "lambda", "function": ["4wAA"]},
    }
    assert keras_content.code_layers([legacy]) == {"old"}
    named = {
        "class_name": "Lambda",
        "config": {"name": "named", "function_type": "function", "function": "relu"},
    }
    assert keras_content.code_layers([named]) == set()


def _same(wanted: list[np.ndarray], found: list[np.ndarray]) -> None:  # type: ignore[type-arg]
    for old, new in zip(wanted, found, strict=True):
        np.testing.assert_allclose(new, old, rtol=0, atol=1e-5 * np.abs(old).max())
