"""Two files against each other, none of them with a bundle: what is right passes, what is wrong is found."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pair_child
import pytest
from conftest import fwexport

from exporter import real_samples
from exporter.basis import basis
from exporter.bring import bring
from exporter.converters import Converters
from exporter.pair import PairOptions, verify_pair
from exporter.reference import exact_outputs
from exporter.samples import generated, read_samples
from exporter.source_kind import Given
from runtimes.bundle import MANIFEST, ModelSpec, TensorSpec
from runtimes.errors import UsageError, WorkerCrashed
from runtimes.pool import Pool
from runtimes.rows import VerifyRow
from runtimes.verdict.parity import margins
from runtimes.verdict.quantized import Limits
from runtimes.verdict.tally import KEPT


@pytest.fixture(scope="session")
def files(children: Converters, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that ``pair_child`` fills."""
    folder = tmp_path_factory.mktemp("pair")
    children.get("tensorflow").call(pair_child.write, folder)
    return folder


class Verify:
    """``fwexport verify A B`` with the frameworks' children kept from test to test."""

    def __init__(self, converters: Converters) -> None:
        self.converters = converters

    def __call__(
        self, a: Path, b: Path, samples: Path | None = None, explain: bool = False, **limits: float
    ) -> list[VerifyRow]:
        options = PairOptions(f"npz:{samples}" if samples else None, limits=Limits(**limits), explain=explain)
        with Pool() as pool:
            return list(verify_pair(Given(str(a)), b, options, self.converters, pool).rows)


@pytest.fixture(scope="module")
def verify(children: Converters) -> Verify:
    return Verify(children)


def test_a_legacy_file_against_a_converted_one_by_its_float64(verify: Verify, files: Path) -> None:
    [row] = verify(files / "classifier.h5", files / "classifier_float.tflite", files / "heldout.npz")
    assert (row.source, row.artifact, row.runtime) == ("keras", "tflite", "litert")
    assert (row.outcome, row.noise, row.samples, row.heldout_n) == ("passed", "measured", "real", 397)
    assert row.top1_agreement == 1.0
    assert (row.sqnr_db or 0) > 100


def test_the_other_way_round_the_noise_is_estimated(verify: Verify, files: Path) -> None:
    [row] = verify(files / "classifier_float.tflite", files / "classifier.h5")
    assert (row.source, row.artifact, row.noise) == ("tflite", "keras", "estimated")
    assert (row.outcome, row.samples) == ("passed", "generated")
    assert 0 < (row.max_noise_ratio or 0) < 24


@pytest.mark.parametrize("reference", ["classifier.keras", "classifier_float.tflite"])
def test_one_weight_of_a_thousandth_more_is_a_mismatch(verify: Verify, files: Path, reference: str) -> None:
    [row] = verify(files / reference, files / "changed.tflite")
    assert row.outcome == "mismatch"
    assert (row.max_noise_ratio or 0) > 50


@pytest.mark.parametrize("kind", ["int8", "uint8", "int8_inside", "dynamic", "float16"])
def test_a_quantised_classifier_is_judged_by_its_classes(verify: Verify, files: Path, kind: str) -> None:
    file = files / f"classifier_{kind}.tflite"
    [row] = verify(files / "classifier.keras", file, files / "heldout.npz")
    assert (row.outcome, row.max_noise_ratio) == ("passed", None)
    assert (row.top1_agreement or 0) > 0.98
    assert (row.sqnr_db or 0) > 20
    stored = {"uint8": "int8, uint8", "float16": "float16"}.get(kind, "int8")
    assert row.reason.startswith(f"quantised ({stored}): the same class for ")
    assert "of 397 samples" in row.reason


def test_few_samples_cannot_decide_and_it_says_how_many_would(
    verify: Verify, files: Path, tmp_path: Path
) -> None:
    with np.load(files / "heldout.npz") as whole:
        np.savez(tmp_path / "few.npz", image=whole["image"][:60])
    pair = (files / "classifier.keras", files / "classifier_int8.tflite", tmp_path / "few.npz")
    [row] = verify(*pair)
    assert row.outcome == "inconclusive"
    assert (row.needed_n or 0) > 60
    assert f"{row.needed_n} samples would decide" in row.reason
    [row] = verify(*pair, min_agreement=0.9)
    assert row.outcome == "passed"


@pytest.mark.parametrize("samples", ["heldout.npz", None])
def test_stale_weights_are_found_through_the_quantisation(
    verify: Verify, files: Path, samples: str | None
) -> None:
    real = files / samples if samples else None
    [row] = verify(files / "stale.keras", files / "classifier_int8.tflite", real)
    assert row.outcome in (("mismatch",) if samples else ("mismatch", "inconclusive")), row


def test_on_generated_inputs_a_quantised_file_is_not_failed_for_clipping(verify: Verify, files: Path) -> None:
    [row] = verify(files / "classifier.keras", files / "classifier_int8.tflite")
    assert row.outcome in ("passed", "inconclusive"), row
    assert "SQNR" in row.reason


def test_what_is_no_classifier_is_judged_by_noise_and_sqnr(verify: Verify, files: Path) -> None:
    a, samples = files / "autoencoder.keras", files / "heldout.npz"
    [row] = verify(a, files / "autoencoder_float.tflite", samples)
    assert (row.outcome, row.top1_agreement) == ("passed", None)
    assert (row.max_noise_ratio or 99) < 24
    [row] = verify(a, files / "autoencoder_int8.tflite", samples)
    assert row.outcome == "passed"
    assert 20 < (row.sqnr_db or 0) < 90
    [row] = verify(a, files / "autoencoder_int8.tflite", samples, min_sqnr_db=90)
    assert row.outcome == "mismatch"
    assert "90 dB asked for" in row.reason


@pytest.mark.parametrize("name", ["classifier_int8.tflite", "classifier.keras"])
def test_a_file_against_itself_passes(verify: Verify, files: Path, name: str) -> None:
    [row] = verify(files / name, files / name)
    assert row.outcome == "passed"


def test_a_quantised_onnx_file_against_its_float_one(
    verify: Verify, bundles: dict[str, Path], tmp_path: Path
) -> None:
    quantization = pytest.importorskip("onnxruntime.quantization")
    path = tmp_path / "dynamic.onnx"
    quantization.quantize_dynamic(bundles["torch"] / "model.onnx", path)
    [row] = verify(bundles["torch"], path)
    assert row.outcome == "passed"
    assert row.heldout_n > 300
    assert "quantised (" in row.reason
    [row] = verify(path, bundles["torch"] / "model.onnx")
    assert row.outcome == "passed"
    assert "in the reference" in row.reason


def test_a_bundle_judges_a_file_by_its_reference(verify: Verify, bundles: dict[str, Path]) -> None:
    [row] = verify(bundles["torch"], bundles["torch"] / "model.tflite")
    assert (row.outcome, row.source, row.noise, row.samples) == ("passed", "torch", "measured", "real")
    [row] = verify(bundles["torch"], bundles["keras"] / "model.tflite")
    assert row.outcome == "mismatch"
    assert (row.top1_agreement or 1) < 1


def test_a_bundles_source_runs_on_other_samples(
    verify: Verify, bundles: dict[str, Path], tmp_path: Path
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (30, 28, 28), np.uint8)
    np.savez(tmp_path / "x.npz", x=images)
    [row] = verify(bundles["keras"], bundles["keras"] / "model.onnx", tmp_path / "x.npz")
    assert (row.outcome, row.heldout_n, row.accuracy) == ("passed", 30, None)


@pytest.mark.parametrize("reference", ["tflite", "tfjs", "onnx"])
def test_artifacts_in_both_layouts_judge_each_other(
    verify: Verify, bundles: dict[str, Path], reference: str
) -> None:
    folder = bundles["torch"]
    names = {"tflite": "model.tflite", "tfjs": "tfjs", "onnx": "model.onnx"}
    for other in [name for name in names if name != reference]:
        rows = verify(folder / names[reference], folder / names[other])
        assert {row.outcome for row in rows} == {"passed"}
        assert {row.noise for row in rows} == {"measured" if reference == "onnx" else "estimated"}


def test_what_does_not_fit_is_listed_from_both(verify: Verify, files: Path, bundles: dict[str, Path]) -> None:
    [row] = verify(bundles["torch"], files / "classifier_float.tflite")
    assert row.outcome == "failed"
    assert "the model's are image (float32 [?, 1, 28, 28])" in row.reason
    assert "the file's are image (float32 [?, 8, 8, 1])" in row.reason


def test_the_command_prints_rows_and_notes_and_writes_where_o_says(files: Path, tmp_path: Path) -> None:
    before = sorted(files.iterdir())
    pair = (files / "classifier_float.tflite", files / "changed.tflite")
    done = fwexport("verify", *pair, "-o", tmp_path / "out")
    assert done.returncode == 1, done
    assert "tflite/tflite" in done.stdout
    assert "the reference is what litert gives for classifier_float.tflite" in done.stdout
    assert sorted(files.iterdir()) == before
    [path] = (tmp_path / "out").iterdir()
    assert json.loads(path.read_bytes())["rows"][0]["outcome"] == "mismatch"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["classifier.keras", "none.tflite"], 2, "none.tflite does not exist"),
        (["none.keras", "classifier_float.tflite"], 2, "none.keras does not exist"),
        (["classifier.keras", "heldout.npz"], 4, "no model"),
        (["heldout.npz", "classifier.keras"], 4, "no model"),
        (["classifier.keras", "classifier_float.tflite", "--format", "tflite"], 2, "--format"),
        (["classifier.keras", "classifier_float.tflite", "--samples", "npz:none.npz"], 2, "does not exist"),
        (["classifier.keras", "--samples", "npz:none.npz"], 2, "two files"),
    ],
)
def test_wrong_use_is_one_message(files: Path, arguments: list[str], code: int, said: str) -> None:
    done = fwexport("verify", *arguments, cwd=files)
    assert (done.returncode, done.stdout) == (code, ""), done
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_options_that_a_bundle_has_no_use_for_are_named(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text("{}")
    said = Given(str(tmp_path), labels=("cat", "dog"), preprocessing=(), layout="NHWC")
    words = pytest.raises(UsageError, match="--layout, --labels, --preprocess would: leave them out")
    with Converters() as converters, ExitStack() as stack, words:
        basis(said, tmp_path, converters, stack)


def test_a_file_that_crashes_its_runtime_as_it_is_loaded_is_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise WorkerCrashed("killed by signal 11")

    monkeypatch.setattr("exporter.pair.ForeignFile", crash)
    monkeypatch.setattr("exporter.pair.basis", lambda *_: known)
    model = ModelSpec(
        "net", (TensorSpec("x", "float32", (None, 3)),), (TensorSpec("y", "float32", (None, 2)),)
    )
    known = SimpleNamespace(model=model, framework="keras")
    (tmp_path / "b.tflite").write_bytes(b"\0\0\0\0TFL3")
    with Converters() as converters, Pool() as pool:
        rows = verify_pair(Given("a"), tmp_path / "b.tflite", PairOptions(), converters, pool).rows
    assert [(row.artifact, row.outcome, row.reason) for row in rows] == [
        ("tflite", "crashed", "killed by signal 11")
    ]


def test_a_damaged_file_is_no_model(files: Path, tmp_path: Path) -> None:
    shutil.copy(files / "classifier_float.tflite", tmp_path / "cut.tflite")
    content = (tmp_path / "cut.tflite").read_bytes()
    (tmp_path / "cut.tflite").write_bytes(content[: len(content) // 2])
    done = fwexport("verify", files / "classifier_float.tflite", tmp_path / "cut.tflite")
    assert done.returncode == 4, done


def test_all_of_many_samples_count_in_the_memory_of_few(verify: Verify, files: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    with np.load(files / "heldout.npz") as whole:
        images, labels = whole["image"], whole["labels"]
    peaks = []
    for count in (3_000, 15_000):
        rows = random.integers(0, len(images), count)
        noisy = images[rows] + random.normal(0, 0.03, (count, 8, 8, 1)).astype(np.float32)
        np.savez(tmp_path / "many.npz", image=noisy, labels=labels[rows])
        tracemalloc.start()
        [row] = verify(
            files / "classifier_float.tflite", files / "classifier_float.tflite", tmp_path / "many.npz"
        )
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert (row.outcome, row.heldout_n, row.top1_agreement) == ("passed", count, 1.0)
    assert peaks[1] < peaks[0] + 1_000_000, peaks


def test_one_sample_among_many_is_found(verify: Verify, files: Path, tmp_path: Path) -> None:
    with np.load(files / "heldout.npz") as whole:
        images = np.repeat(whole["image"], 8, axis=0)
    pair = (files / "classifier_float.tflite", files / "rare.tflite", tmp_path / "many.npz")
    np.savez(tmp_path / "many.npz", image=images)
    [row] = verify(*pair)
    assert (row.outcome, row.heldout_n) == ("passed", len(images))
    images[1235, 4, 4] = 2.0
    np.savez(tmp_path / "many.npz", image=images)
    [row] = verify(*pair)
    assert row.outcome == "mismatch"
    assert f"of all {len(images):,} samples" in row.reason
    [row] = verify(files / "classifier.keras", *pair[1:], explain=True)
    assert row.explanation is not None
    assert "the outputs do not" in " ".join(row.explanation.notes), row.explanation


def test_a_build_finds_the_smallest_margins_of_all_samples(
    verify: Verify, files: Path, tmp_path: Path
) -> None:
    with np.load(files / "heldout.npz") as whole:
        images = np.concatenate([whole["image"] + np.float32(step / 64) for step in range(7)])
    np.savez(tmp_path / "many.npz", image=images)
    given = Given(str(files / "classifier.keras"))
    source = bring(given, f"npz:{tmp_path / 'many.npz'}", tmp_path / "source", verify.converters)
    found = read_samples(tmp_path / "source")
    assert len(found.labels) == real_samples.MOST
    assert f"the smallest margins are those of {len(images):,} of {len(images):,} samples" in source.notes
    scores = verify.converters.get("tensorflow").call(exact_outputs, tmp_path / "source", {"image": images})
    best = np.argsort(margins(scores[source.model.outputs[0].name]))[:KEPT]
    wanted = {images[row].tobytes() for row in best[: KEPT // 2]}
    assert wanted <= {image.tobytes() for image in found.closest["image"]}


def test_generated_inputs_fill_the_range_of_a_quantised_input() -> None:
    image = TensorSpec("image", "float32", (None, 3, 8, 8), "NCHW", "image")
    noise = TensorSpec("noise", "float32", (None, 5))
    model = ModelSpec("net", (image, noise), (TensorSpec("y", "float32", (None, 2)),))
    made = generated(model, {"image": (-1.0, 1.0), "noise": (0.0, 255.0)})
    assert [made.inputs["image"].min(), made.inputs["image"].max()] == [-1.0, 1.0]
    assert [made.inputs["noise"].min(), made.inputs["noise"].max()] == [0.0, 255.0]
    assert 0 <= generated(model).inputs["image"].min() <= generated(model).inputs["image"].max() <= 1
