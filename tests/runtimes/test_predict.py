"""``predict``: a person's files through a bundle's own preprocessing and labels, in any runtime."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from conftest import FORMATS, fwexport
from PIL import Image

from runtimes.base import names, runtime
from runtimes.bundle import SCHEMA, Artifact, Kind, Manifest, ModelSpec, Source, TensorSpec, save_manifest
from runtimes.errors import ChecksumError, UnavailableError, UsageError, WorkerCrashed
from runtimes.files import digest
from runtimes.inputs import read_inputs
from runtimes.pool import Pool
from runtimes.predict import Prediction, PredictOptions, classes, predict
from runtimes.rows import VERIFY, load_verify, save

RANDOM = np.random.default_rng(9)
IMAGE = TensorSpec("image", "float32", (None, 3, 4, 4), "NCHW", "image")
# The artifact has its own names and layout.
FAKE_IN = TensorSpec("x", "float32", (None, 4, 4, 3), "NHWC", "image")
REDNESS = np.zeros((4, 4, 3, 3), np.float32)
REDNESS[:, :, [0, 1, 2], [0, 1, 2]] = 1


def fake_bundle(folder: Path, kind: Kind = "logits", does: str = "", batch: int | None = None) -> Path:
    """A bundle whose one artifact sums the pixels of each channel: the label is the colour of the image."""
    folder.mkdir()
    scores = TensorSpec("logits", "float32", (batch, 3), "NC", kind)
    source_in = TensorSpec("image", "float32", (batch, 3, 4, 4), "NCHW", "image")
    fake_in, fake_out = (
        TensorSpec("x", "float32", (batch, 4, 4, 3), "NHWC", "image"),
        TensorSpec("y", "float32", (batch, 3), "NC", kind),
    )
    content = {
        "inputs": [msgspec.to_builtins(fake_in)],
        "outputs": [msgspec.to_builtins(fake_out)],
        "weights": (REDNESS.reshape(48, 3) / 16).tolist(),
        "does": does,
    }
    (folder / "model.fake").write_text(json.dumps(content))
    preprocessing = (
        {"op": "color", "mode": "RGB"},
        {"op": "resize", "height": 4, "width": 4, "filter": "box"},
        {"op": "scale", "factor": 1 / 255},
    )
    model = ModelSpec("colours", (source_in,), (scores,), ("red", "green", "blue"), preprocessing)
    artifact = Artifact("fake", "model.fake", digest(folder / "model.fake"), 1, (fake_in,), (fake_out,))
    save_manifest(
        folder, Manifest(SCHEMA, "", "", model, Source("torch", "torch_code", "source"), (artifact,))
    )
    return folder


@pytest.fixture(autouse=True)
def _the_fake_runs_fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    from runtimes import base

    monkeypatch.setattr(
        "runtimes.pool.for_format", lambda format: ["fake"] if format == "fake" else base.for_format(format)
    )


def run(folder: Path, *files: Path, **options: object) -> list[Prediction]:
    with Pool() as pool:
        return predict(folder, files, PredictOptions(**options), pool)  # type: ignore[arg-type]


def painted(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (50, 31)) -> Path:
    Image.new("RGB", size, colour).save(path)
    return path


def test_an_image_of_any_size_gets_its_label(tmp_path: Path) -> None:
    bundle = fake_bundle(tmp_path / "bundle")
    red, blue = painted(tmp_path / "r.png", (255, 10, 0)), painted(tmp_path / "b.png", (0, 10, 255), (3, 90))
    found = run(bundle, red, blue, top=2)
    assert [(one.file, one.top[0].label, len(one.top)) for one in found] == [
        (str(red), "red", 2),
        (str(blue), "blue", 2),
    ]
    assert found[0].scores == "softmax of the logits"
    wanted = np.exp([1, 10 / 255, 0]) / np.exp([1, 10 / 255, 0]).sum()
    np.testing.assert_allclose([one.score for one in found[0].top], wanted[:2], rtol=1e-6)
    np.testing.assert_allclose(found[0].outputs["logits"], [1, 10 / 255, 0], atol=1e-6)


def test_probabilities_are_told_as_they_are_and_tensors_as_no_class(tmp_path: Path) -> None:
    green = painted(tmp_path / "g.png", (0, 255, 0))
    (one,) = run(fake_bundle(tmp_path / "p", "probabilities"), green)
    assert (one.scores, one.top[0].label, one.top[0].score) == ("probabilities", "green", 1.0)
    (one,) = run(fake_bundle(tmp_path / "t", "tensor"), green)
    assert (one.scores, one.top) == ("", ())
    np.testing.assert_array_equal(one.outputs["logits"], [0, 1, 0])


def test_arrays_are_taken_as_the_model_takes_them(tmp_path: Path) -> None:
    bundle = fake_bundle(tmp_path / "bundle", batch=2)
    blue = np.zeros((3, 3, 4, 4), np.float32)
    blue[:, 2] = 1
    np.save(tmp_path / "three.npy", blue)
    np.save(tmp_path / "one.npy", blue[0])
    np.savez(tmp_path / "named.npz", image=np.full((30, 40, 3), (9, 0, 0), np.uint8))
    found = run(bundle, tmp_path / "three.npy", tmp_path / "one.npy", tmp_path / "named.npz")
    assert [(Path(one.file).name, one.sample, one.top[0].label) for one in found] == [
        ("three.npy", 0, "blue"),
        ("three.npy", 1, "blue"),
        ("three.npy", 2, "blue"),
        ("one.npy", 0, "blue"),
        ("named.npz", 0, "red"),
    ]


@pytest.mark.parametrize(
    ("name", "array", "says"),
    [
        (
            "a.npy",
            np.zeros((2, 3, 5, 4), np.float32),
            r"shape \[3, 5, 4\]; the model takes \[3, 4, 4\] \(CHW\)",
        ),
        ("a.npy", np.zeros((1, 3, 4, 4), complex), "are complex128; the model takes float32"),
        ("a.npy", np.full((3, 4, 4), np.inf, np.float32), "not finite"),
        ("a.npy", np.zeros((0, 3, 4, 4), np.float32), "0 of image"),
        ("a.npz", np.zeros((1, 3, 4, 4), np.float32), "holds a; input image needs an array called image"),
        ("a.png", None, "does not exist"),
        ("a.npy", None, "does not exist"),
        ("a.npy", b"nonsense", "cannot be read as .npy"),
        ("a.jpg", b"nonsense", "no image that can be read"),
    ],
)
def test_a_file_that_does_not_fit_is_one_message(
    tmp_path: Path, name: str, array: np.ndarray | bytes | None, says: str
) -> None:
    if isinstance(array, bytes):
        (tmp_path / name).write_bytes(array)
    elif array is not None:
        np.savez(tmp_path / name, a=array) if name.endswith("z") else np.save(tmp_path / name, array)
    model = ModelSpec("m", (IMAGE,), (), (), ({"op": "resize", "height": 4, "width": 4, "filter": "box"},))
    with pytest.raises(UsageError, match=says):
        read_inputs(tmp_path / name, model)


def test_one_array_for_two_inputs_is_refused(tmp_path: Path) -> None:
    model = ModelSpec("m", (IMAGE, FAKE_IN), ())
    np.save(tmp_path / "a.npy", np.zeros(3))
    with pytest.raises(UsageError, match=r"the inputs image, x: give them in a \.npz"):
        read_inputs(tmp_path / "a.npy", model)


def test_classes_are_in_order_and_large_logits_are_no_overflow() -> None:
    found = classes(np.float32([1e4, -5, 1e4 - 1]), "logits", ("a", "b", "c"), 2)
    assert [(one.index, one.label) for one in found] == [(0, "a"), (2, "c")]
    np.testing.assert_allclose([one.score for one in found], [1 / (1 + np.exp(-1)), 1 / (1 + np.e)])
    assert [one.label for one in classes(np.float32([0.25, 0.75]), "probabilities", (), 9)] == ["", ""]


def test_what_cannot_run_is_an_error_and_no_other_runtime_steps_in(tmp_path: Path) -> None:
    image = painted(tmp_path / "r.png", (255, 0, 0))
    with pytest.raises(WorkerCrashed):
        run(fake_bundle(tmp_path / "crash", does="crash"), image)
    with pytest.raises(UnavailableError, match="no GPU: buy one"):
        run(fake_bundle(tmp_path / "gpu"), image, device="gpu")
    changed = fake_bundle(tmp_path / "changed")
    (changed / "model.fake").write_text("{}")
    with pytest.raises(ChecksumError):
        run(changed, image)
    with pytest.raises(UsageError, match="no runtime 'litert'"):
        run(fake_bundle(tmp_path / "bundle"), image, runtimes=("litert",))


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A four, as somebody might scan it: large, in colour, white on black."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    four = digits.images[list(digits.target).index(4)]
    grey = Image.fromarray(np.rint(four * 15.9).astype(np.uint8)).resize((330, 330), Image.Resampling.BICUBIC)
    page = Image.new("RGB", (460, 460))
    page.paste(grey.convert("RGB"), (65, 65))
    path = tmp_path_factory.mktemp("photo") / "four.png"
    page.save(path)
    return path


def test_the_same_image_gets_the_same_label_everywhere(
    bundles: dict[str, Path], photo: Path, pool: Pool
) -> None:
    """Every format of each framework's bundle, in every runtime that is no browser's."""
    native = tuple(name for name in names() if not runtime(name).IN_BROWSER)
    found: dict[str, dict[str, Prediction]] = defaultdict(dict)
    for framework, folder in bundles.items():
        pool.next_bundle()
        for one in predict(folder, [photo], PredictOptions(runtimes=native), pool):
            found[framework][one.artifact] = one
    for framework, by_format in found.items():
        assert sorted(by_format) == list(FORMATS), framework
        assert {one.top[0].label for one in by_format.values()} == {"4"}
        orders = {tuple(each.label for each in one.top) for one in by_format.values()}
        assert len(orders) == 1, orders
        scores = [one.top[0].score for one in by_format.values()]
        np.testing.assert_allclose(scores, scores[0], rtol=1e-5)


def test_it_needs_the_bundle_and_one_runtime(bundles: dict[str, Path], photo: Path, tmp_path: Path) -> None:
    """An edge device with LiteRT alone: nothing else can be imported, in no process."""
    bundle, blocked = tmp_path / "bundle", tmp_path / "blocked"
    shutil.copytree(bundles["torch"], bundle, ignore=shutil.ignore_patterns("source", "reference.npz"))
    blocked.mkdir()
    for name in ("torch", "tensorflow", "keras", "onnx", "onnxruntime", "transformers", "sklearn"):
        (blocked / f"{name}.py").write_text(
            f"raise ModuleNotFoundError('No module named {name!r}', name={name!r})\n"
        )
    done = fwexport("predict", bundle, photo, "--format", "tflite", "--json", PYTHONPATH=str(blocked))
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["rows"]
    assert (row["runtime"], row["top"][0]["label"], len(row["outputs"]["logits"])) == ("litert", "4", 10)


def test_what_a_person_reads(bundles: dict[str, Path], photo: Path) -> None:
    done = fwexport("predict", bundles["torch"].parent, photo, "--top", 2)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == f"{photo}: keras/onnx in onnxruntime"
    assert lines[1].split()[1] == "4"
    assert lines[3] == f"{photo}: torch/onnx in onnxruntime"
    assert lines[-1].startswith("scores: ")


def test_an_artifact_that_verify_failed_is_doubted(own_bundle: Path, photo: Path) -> None:
    """On stderr, for the runtime that is used, and as long as the file is the one that was verified."""
    saved = load_verify(own_bundle / VERIFY)
    assert saved is not None
    rows = [
        replace(row, outcome="mismatch", reason="sample 3 is far") if row.artifact == "onnx" else row
        for row in saved.rows
    ]
    save(own_bundle / VERIFY, replace(saved, rows=tuple(rows)))
    done = fwexport("predict", own_bundle, photo, "--json")
    assert done.returncode == 0
    assert [row["runtime"] for row in json.loads(done.stdout)["rows"]] == ["onnxruntime"]
    assert done.stderr.splitlines() == [
        "warning: torch/onnx in onnxruntime: its predictions are not the source's. verify says mismatch: sample 3 is far"
    ]
    assert fwexport("predict", own_bundle, photo, "--format", "tflite").stderr == ""
    save(own_bundle / VERIFY, replace(saved, rows=tuple(replace(row, artifact_sha256="0") for row in rows)))
    assert fwexport("predict", own_bundle, photo).stderr == ""
