"""Keras files and SavedModels as sources: what each becomes, what is refused, and a float64 reference that is one."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import tensorflow_files as files

from exporter.bring import bring
from exporter.converters import Converters
from exporter.describe import parse_input
from exporter.frameworks import keras_legacy
from exporter.reference import write_reference
from exporter.source_folder import SourceFile
from exporter.source_kind import Given, recognise
from runtimes.client import Worker
from runtimes.errors import NotAModelError, UnavailableError, UsageError
from runtimes.reference import Reference, open_reference

legacy = pytest.mark.skipif(keras_legacy.check() is not None, reason=str(keras_legacy.check()))


class Sources:
    """Writes files in one child, brings them in another, as a build does, and runs artifacts in a third."""

    def __init__(self, writer: Worker, converters: Converters, runner: Worker) -> None:
        self.writer, self.converters, self.runner = writer, converters, runner

    def keras(self, name: str, path: Path) -> Given:
        self.writer.call(files.write_keras, name, path)
        return Given(str(path), "net")

    def bring(self, given: Given, folder: Path) -> SourceFile:
        return bring(given, None, folder, self.converters)

    def reference(self, folder: Path) -> Reference:
        self.converters.get("tensorflow").call(write_reference, folder, folder / "reference.npz")
        return open_reference(folder / "reference.npz")


@pytest.fixture(scope="module")
def sources(children: Converters) -> Iterator[Sources]:
    env = {
        "PYTHONPATH": str(Path(__file__).parent), "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"
    }  # fmt: skip
    with Worker(env) as writer, Worker(env) as runner:
        yield Sources(writer, children, runner)


@pytest.mark.parametrize("file", ["net.keras", "net.h5", "net.json"])
def test_every_file_of_keras_3_becomes_one_kind_of_source(
    sources: Sources, file: str, tmp_path: Path
) -> None:
    given = sources.keras("plain", tmp_path / file)
    if file == "net.json":
        given = replace(given, weights=tmp_path / "net.weights.h5")
    source = sources.bring(given, tmp_path / "source")
    assert (source.framework, source.kind, source.notes) == ("keras", "keras_file", ())
    (image,), (classes,) = source.model.inputs, source.model.outputs
    assert (image.name, image.shape, image.layout) == ("image", (None, 8, 8, 3), "NHWC")
    assert (classes.name, classes.shape, classes.kind) == ("classes", (None, 5), "probabilities")
    assert source.parameters == 4 * 27 + 4 + 4 * 4 + 6 * 6 * 4 * 5 + 5
    assert sources.reference(tmp_path / "source").refused == ""


def test_json_without_weights_asks_for_them(sources: Sources, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--weights FILE\.h5"):
        sources.bring(sources.keras("plain", tmp_path / "net.json"), tmp_path / "source")


def test_half_precision_is_exported_in_float32(sources: Sources, tmp_path: Path) -> None:
    source = sources.bring(sources.keras("mixed", tmp_path / "net.keras"), tmp_path / "source")
    assert "half precision" in source.notes[0]
    assert [tensor.dtype for tensor in source.model.outputs] == ["float32"]
    with zipfile.ZipFile(tmp_path / "source" / source.weights) as archive:
        assert b"float16" not in archive.read("config.json")
    assert sources.reference(tmp_path / "source").refused == ""


def test_free_sizes_are_asked_for(sources: Sources, tmp_path: Path) -> None:
    given = sources.keras("free", tmp_path / "net.keras")
    with pytest.raises(UsageError, match="--input NxNx3"):
        sources.bring(given, tmp_path / "source")
    source = sources.bring(replace(given, inputs=(parse_input("9x7x3"),)), tmp_path / "source")
    assert source.model.inputs[0].shape == (None, 9, 7, 3)
    found = sources.runner.call(files.run_keras, tmp_path / "source" / source.weights)
    assert list(map(tuple, found)) == [(None, 9, 7, 3), (None, 18, 14, 4)]


def test_code_is_refused_by_name_unless_allowed(sources: Sources, tmp_path: Path) -> None:
    given = sources.keras("lambda", tmp_path / "net.keras")
    with pytest.raises(NotAModelError, match=r"in: twice\. .*--allow-pickle"):
        sources.bring(given, tmp_path / "source")
    source = sources.bring(replace(given, allow_pickle=True), tmp_path / "source")
    assert sources.reference(tmp_path / "source").refused == ""
    with pytest.raises(UnavailableError, match="holds Python code"):
        sources.runner.call(files.run_keras, tmp_path / "source" / source.weights)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("own_class", r"Could not locate class 'Mine'.* model\.export\(FOLDER\)"),
        ("channels_first", r"data_format='channels_first' \(up\)"),
        ("unbuilt", "--input"),
    ],
)
def test_what_cannot_be_brought_says_why(sources: Sources, name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises((NotAModelError, UsageError), match=said):
        sources.bring(sources.keras(name, tmp_path / "net.keras"), tmp_path / "source")


@legacy
def test_what_only_tf_keras_computes_rightly_becomes_a_savedmodel(sources: Sources, tmp_path: Path) -> None:
    sources.writer.call(files.write_legacy, tmp_path / "old.h5")
    source = sources.bring(Given(str(tmp_path / "old.h5"), "old"), tmp_path / "source")
    assert (source.framework, source.kind, source.weights) == ("savedmodel", "saved_model", "saved_model")
    assert "Keras 3 rebuilds another network: output 0" in source.notes[0]
    assert [tensor.name for tensor in source.model.outputs] == ["scores"]
    assert sources.reference(tmp_path / "source").refused == ""


def test_a_savedmodel_of_keras(sources: Sources, tmp_path: Path) -> None:
    sources.writer.call(files.export_keras, tmp_path / "exported")
    given = Given(str(tmp_path / "exported"), "net")
    assert recognise(given) == "saved_model"
    source = sources.bring(given, tmp_path / "source")
    assert source.model.inputs[0].shape == (None, 8, 8, 3)
    assert source.model.outputs[0].kind == "probabilities"
    said = json.loads((tmp_path / "source/saved_model/1/assets.extra/fwexport.json").read_bytes())
    assert "output_0" in said["fwexport"]
    assert sources.reference(tmp_path / "source").refused == ""


def test_a_signature_is_chosen(sources: Sources, tmp_path: Path) -> None:
    sources.writer.call(files.save_module, tmp_path / "module")
    given = Given(str(tmp_path / "module"), "net")
    with pytest.raises(UsageError, match=r"several signatures .* --signature: images, rows"):
        sources.bring(given, tmp_path / "source")
    with pytest.raises(UsageError, match="no signature 'columns'"):
        sources.bring(replace(given, signature="columns"), tmp_path / "source")
    source = sources.bring(replace(given, signature="rows"), tmp_path / "source")
    assert {tensor.name: tensor.shape for tensor in source.model.outputs} == {
        "scores": (None, 4), "sums": (None, 4)
    }  # fmt: skip
    assert source.parameters == 32
    assert sources.reference(tmp_path / "source").refused == ""


def test_free_sizes_of_a_signature_are_fixed(sources: Sources, tmp_path: Path) -> None:
    sources.writer.call(files.save_module, tmp_path / "module")
    given = Given(str(tmp_path / "module"), "net", signature="images", inputs=(parse_input("9x7x3"),))
    source = sources.bring(given, tmp_path / "source")
    assert source.model.inputs[0].shape == (None, 9, 7, 3)
    assert sources.reference(tmp_path / "source").refused == ""


def test_a_savedmodel_of_tensorflow_1(sources: Sources, tmp_path: Path) -> None:
    sources.writer.call(files.save_by_session, tmp_path / "old")
    source = sources.bring(Given(str(tmp_path / "old"), "net"), tmp_path / "source")
    assert [tensor.name for tensor in (*source.model.inputs, *source.model.outputs)] == ["x", "y"]
    assert sources.reference(tmp_path / "source").refused == ""


@pytest.mark.parametrize(
    ("write", "said"),
    [(files.save_with_table, "tables or files"), (files.save_without_signature, "has no signature")],
)
def test_a_savedmodel_that_cannot_be_exported(
    sources: Sources, write: object, said: str, tmp_path: Path
) -> None:
    sources.writer.call(write, tmp_path / "saved")  # type: ignore[arg-type]
    with pytest.raises(NotAModelError, match=said):
        sources.bring(Given(str(tmp_path / "saved"), "net"), tmp_path / "source")
