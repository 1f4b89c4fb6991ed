"""TorchScript, .pt2 and code as sources: what they are said to be, and a reference in true float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch_sources_child as child

from exporter import real_samples
from exporter.bring import bring
from exporter.converters import Converters
from exporter.preprocess_option import parse
from exporter.samples import read_samples
from exporter.source_kind import Given, recognise
from exporter.sources import torchscript
from runtimes import preprocess
from runtimes.bundle import ModelSpec, TensorSpec
from runtimes.errors import NotAModelError, UsageError

TESTS = Path(__file__).parent
CODE = f"{TESTS / 'torch_sources_child.py'}:"
IMAGE = (TensorSpec("", "", (None, 3, 8, 8)),)
TABLE = (TensorSpec("", "", (None, 3)),)
RANDOM = np.random.default_rng(2)


@pytest.fixture(scope="module")
def converters(children: Converters) -> Converters:
    return children


@pytest.mark.parametrize(
    ("how", "kind", "inputs", "shapes"),
    [
        ("traced", "torchscript", IMAGE, {"image": (None, 3, 8, 8)}),
        ("scripted", "torchscript", IMAGE, {"image": (None, 3, 8, 8)}),
        ("frozen", "torchscript", IMAGE, {"image": (None, 3, 8, 8)}),
        ("casting", "torchscript", TABLE, {"x": (None, 3)}),
        ("casting frozen", "torchscript", TABLE, {"x": (None, 3)}),
        ("fixed", "exported_program", (), {"image": (2, 3, 8, 8)}),
        ("dynamic", "exported_program", (), {"image": (None, 3, 8, 8)}),
        ("named", "exported_program", (), {"a": (None, 3), "b": (None, 2)}),
    ],
)
def test_a_file_is_described_and_runs_in_float64(
    converters: Converters,
    tmp_path: Path,
    how: str,
    kind: str,
    inputs: tuple[TensorSpec, ...],
    shapes: dict[str, tuple[int | None, ...]],
) -> None:
    path, worker = tmp_path / "model.bin", converters.get("torch")
    worker.call(child.write, how, path)
    assert recognise(Given(str(path))) == kind
    source = bring(Given(str(path), inputs=inputs), None, tmp_path / "source", converters)
    assert {spec.name: spec.shape for spec in source.model.inputs} == shapes
    assert {spec.dtype for spec in source.model.inputs} == {"float32"}
    batch = next(iter(shapes.values()))[0] or 5
    feeds = {
        name: RANDOM.normal(size=(batch, *shape[1:])).astype(np.float32) for name, shape in shapes.items()
    }
    exact = worker.call(child.exact, how, feeds)
    # Freezing a file in float32 rounded the weights that it folded: what it holds is a network next to this one.
    tolerance = 1e-5 if how == "frozen" else 1e-12
    y64 = worker.call(child.run, kind, tmp_path / "source", "float64", feeds)
    y32 = worker.call(child.run, kind, tmp_path / "source", "float32", feeds)
    assert list(y64) == [spec.name for spec in source.model.outputs]
    for spec, wanted in zip(source.model.outputs, exact, strict=True):
        assert y64[spec.name].dtype == np.float64
        np.testing.assert_allclose(y64[spec.name], wanted, rtol=tolerance, atol=tolerance / 10)
        assert y32[spec.name].dtype == np.float32
        assert 0 < np.abs(y32[spec.name] - wanted).max() < 1e-5
        assert spec.shape == ((shapes and next(iter(shapes.values()))[0]), *wanted.shape[1:])


def test_a_dictionary_gives_its_keys_as_names(converters: Converters, tmp_path: Path) -> None:
    inputs = (TensorSpec("a", "", (None, 3)), TensorSpec("b", "", (None, 2)))
    source = bring(Given(CODE + "Named", inputs=inputs), None, tmp_path, converters)
    assert [spec.name for spec in source.model.outputs] == ["total", "norm"]
    assert [spec.shape for spec in source.model.outputs] == [(None, 5), (None,)]
    assert any("no --weights" in note for note in source.notes)


def test_arguments_and_weights_make_the_network_that_was_trained(
    converters: Converters, tmp_path: Path
) -> None:
    worker = converters.get("torch")
    worker.call(child.save, "DataParallel", tmp_path / "w.pt")
    given = Given(CODE + "Net", weights=tmp_path / "w.pt", arguments={"width": 6}, inputs=IMAGE)
    source = bring(given, None, tmp_path / "source", converters)
    assert source.notes == ()
    assert source.parameters == 3 * 6 * 9 + 6 + 6 + 6 + 4 * 6 + 4
    feeds = {source.model.inputs[0].name: RANDOM.normal(size=(4, 3, 8, 8)).astype(np.float32)}
    (wanted,) = worker.call(child.exact, "traced", feeds)
    y64 = worker.call(child.run, "torch_code", tmp_path / "source", "float64", feeds)
    np.testing.assert_allclose(y64[source.model.outputs[0].name], wanted, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("name", "arguments", "inputs", "error", "says"),
    [
        ("Nett", {}, IMAGE, UsageError, r"has no 'Nett'. It has: .*Net"),
        ("Net", {"depth": 3}, IMAGE, UsageError, r"Net\(depth=3\) fails: TypeError.*--arg KEY=VALUE"),
        ("np", {}, IMAGE, UsageError, "is a module; name a torch"),
        ("seeded", {"seed": 1}, (), UsageError, "does not say what goes in.*--input"),
        ("Net", {}, TABLE, NotAModelError, r"does not run on inputs of shape \[2, 3\]"),
    ],
)
def test_code_that_cannot_be_used_says_why(
    converters: Converters,
    tmp_path: Path,
    name: str,
    arguments: dict[str, object],
    inputs: tuple[TensorSpec, ...],
    error: type[Exception],
    says: str,
) -> None:
    with pytest.raises(error, match=says):
        bring(Given(CODE + name, arguments=arguments, inputs=inputs), None, tmp_path, converters)


def test_samples_go_through_the_preprocessing_into_the_source_folder(
    converters: Converters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(real_samples, "MOST", 5)
    pixels, classes = RANDOM.integers(0, 256, (7, 20, 30, 3), np.uint8), np.arange(7) % 4
    np.savez(tmp_path / "mine.npz", x=pixels, y=classes)
    given = Given(
        CODE + "Net", inputs=IMAGE, labels=tuple("abcd"), preprocessing=parse("resize=8x8,scale=1/255")
    )
    source = bring(given, f"npz:{tmp_path / 'mine.npz'}", tmp_path / "source", converters)
    kept = read_samples(tmp_path / "source")
    assert not kept.generated
    assert "5 of 7 samples were taken, by a fixed seed" in source.notes
    rows = {image.tobytes(): row for row, image in enumerate(preprocess.model_input(pixels, source.model))}
    found = [rows[image.tobytes()] for image in kept.inputs[source.model.inputs[0].name]]
    assert sorted(set(found)) == found
    np.testing.assert_array_equal(kept.labels, classes[found])


@pytest.mark.parametrize("how", ["scripted", "dynamic"])
def test_a_cut_file_is_one_message(converters: Converters, tmp_path: Path, how: str) -> None:
    path = tmp_path / "model.bin"
    converters.get("torch").call(child.write, how, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] + whole[len(whole) // 2 + 40 :])
    with pytest.raises(NotAModelError, match=str(path)):
        bring(Given(str(path), inputs=IMAGE), None, tmp_path / "source", converters)


def test_torchscript_needs_its_sizes(converters: Converters, tmp_path: Path) -> None:
    converters.get("torch").call(child.write, "traced", tmp_path / "m.pt")
    with pytest.raises(UsageError, match="--input"):
        bring(Given(str(tmp_path / "m.pt")), None, tmp_path / "source", converters)
    with pytest.raises(UsageError, match=r"--weights: .* takes no such option"):
        bring(Given(str(tmp_path / "m.pt"), weights=tmp_path / "m.pt"), None, tmp_path / "source", converters)


def test_a_name_that_was_asked_for_wins_over_the_one_in_a_file_of_ours() -> None:
    own = ModelSpec("inside", (), (), ("cat",))
    asked = torchscript._completed(Given("dir/m.pt", name="mine"), own)
    assert (asked.name, asked.labels) == ("mine", ("cat",))
    assert torchscript._completed(Given("dir/m.pt", name="m"), own).name == "inside"
