"""The verifier on real artifacts: it passes what is right, and names what is wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from runtimes.adapters import fake
from runtimes.base import Array, Feeds, Session
from runtimes.bundle import (
    METADATA,
    Artifact,
    Manifest,
    TensorSpec,
    describe_artifact,
    open_bundle,
    save_manifest,
)
from runtimes.errors import UsageError
from runtimes.exit_codes import exit_code
from runtimes.files import digest
from runtimes.pool import Pool, cells
from runtimes.reference import REFERENCE, Variant, build, open_reference, save_reference, variants
from runtimes.rows import VerifyRow, load_verify
from runtimes.verdict.verdicts import metadata_faults, structure_faults
from runtimes.verify import VerifyOptions, verify
from tests.fake_bundle import fake_bundle

ROWS = 7  # six artifacts; TF.js runs on two backends


def run(folder: Path, *formats: str, timeout_s: float = 300.0) -> list[VerifyRow]:
    with Pool(timeout_s) as pool:
        return list(verify(folder, VerifyOptions(formats=formats), pool).rows)


def accept(folder: Path, format: str) -> None:
    """Make the manifest describe the damaged file: what is then found is found by running it."""
    bundle = open_bundle(folder)
    changed = tuple(_redescribed(folder, a) if a.format == format else a for a in bundle.manifest.artifacts)
    fields = {name: getattr(bundle.manifest, name) for name in Manifest.__dataclass_fields__}
    save_manifest(folder, Manifest(**{**fields, "artifacts": changed}))


def _redescribed(folder: Path, artifact: Artifact) -> Artifact:
    _, sha256, size = describe_artifact(folder, folder / artifact.path)
    fields = {name: getattr(artifact, name) for name in Artifact.__dataclass_fields__}
    return Artifact(**{**fields, "sha256": sha256, "size_bytes": size})


def edit_onnx(path: Path, change: str) -> None:
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    weights = max(model.graph.initializer, key=lambda tensor: np.prod(tensor.dims))
    array = numpy_helper.to_array(weights).copy()
    if change == "weight":
        live = np.unravel_index(np.argmax(np.abs(array)), array.shape)
        array[live] += 1e-2
    elif change == "fp16":
        array = array.astype(np.float16).astype(np.float32)
    elif change == "nan":
        array.flat[0] = np.nan
    weights.CopyFrom(numpy_helper.from_array(array, weights.name))
    if change == "batch":
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    if change == "name":
        for node in model.graph.node:
            node.output[:] = ["scores" if name == "logits" else name for name in node.output]
        model.graph.output[0].name = "scores"
    onnx.save(model, path)


def test_every_row_of_both_bundles_passed(job: tuple[Path, dict[str, list[dict[str, object]]]]) -> None:
    rows = job[1]["rows"]
    assert len(rows) == 2 * ROWS
    assert {row["outcome"] for row in rows} == {"passed"}
    for row in rows:
        assert row["n"] == 86 or "this runtime is slow" in str(row["reason"])
        assert 0 < row["max_noise_ratio"] <= 24
        assert row["top1_agreement"] == 1.0
        assert row["top1_interval"] == pytest.approx([0.025 ** (1 / row["heldout_n"]), 1.0])
        assert row["accuracy"] == row["source_accuracy"] > 0.85
        assert row["accuracy_change"] == 0.0
        assert row["accuracy_change_interval"][0] == -row["accuracy_change_interval"][1] < 0
        assert row["mcnemar_p"] == 1.0
        assert row["sqnr_db"] > 110
        assert row["device_proof"]
        assert 0 < row["wall_s"] < 60


@pytest.mark.parametrize(
    ("change", "outcome", "said"),
    [
        ("weight", "mismatch", "rounding noise"),
        ("fp16", "mismatch", "rounding noise"),
        ("nan", "mismatch", "NaN or Inf"),
        ("batch", "failed", "shape [1, 1, 28, 28], the manifest says [None, 1, 28, 28]"),
        ("name", "failed", "no output logits; it has scores"),
    ],
)
def test_a_fault_in_the_onnx_file_is_found(own_bundle: Path, change: str, outcome: str, said: str) -> None:
    edit_onnx(own_bundle / "model.onnx", change)
    accept(own_bundle, "onnx")
    (row,) = run(own_bundle, "onnx")
    assert row.outcome == outcome, row
    assert said in row.reason
    assert exit_code([row]) == 1


def test_a_file_that_was_changed_is_never_opened(own_bundle: Path) -> None:
    edit_onnx(own_bundle / "model.onnx", "weight")
    (row,) = run(own_bundle, "onnx")
    assert row.outcome == "failed"
    assert "was changed after it was exported" in row.reason
    assert row.device_proof == ""


def test_a_truncated_file_is_a_row_and_the_others_go_on(own_bundle: Path) -> None:
    path = own_bundle / "model.tflite"
    path.write_bytes(path.read_bytes()[:1000])
    accept(own_bundle, "tflite")
    rows = {row.artifact: row for row in run(own_bundle, "tflite", "onnx")}
    assert rows["onnx"].outcome == "passed"
    assert rows["tflite"].outcome in ("failed", "crashed")
    assert rows["tflite"].reason


def test_stale_weights_are_found(own_bundle: Path, bundles: dict[str, Path]) -> None:
    """An artifact of another training run has the right structure and the wrong predictions."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(own_bundle / "model.onnx")
    rng = np.random.default_rng(0)
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype == np.float32:
            fresh = (array + rng.normal(scale=0.02, size=array.shape)).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(fresh, tensor.name))
    onnx.save(model, own_bundle / "model.onnx")
    accept(own_bundle, "onnx")
    (row,) = run(own_bundle, "onnx")
    assert row.outcome == "mismatch"
    assert row.max_noise_ratio is not None
    assert row.max_noise_ratio > 100


FAKE_IN = TensorSpec("x", "float32", (None, 1, 28, 28), "NCHW", "image")
FAKE_OUT = TensorSpec("logits", "float32", (None, 10), "NC", "logits")


@pytest.mark.parametrize(
    ("does", "outcome", "code", "said"),
    [
        ("crash", "crashed", 5, "killed by SIGSEGV"),
        ("exit", "crashed", 5, "exit code 3"),
        ("hang", "timeout", 5, "did not answer within 6 s"),
        ("missing", "failed", 1, "a_library_that_no_one_has"),
        ("raise", "failed", 1, "told to fail"),
        ("", "mismatch", 1, "rounding noise"),
    ],
)
def test_a_runtime_that_misbehaves_is_an_outcome(
    own_bundle: Path, monkeypatch: pytest.MonkeyPatch, does: str, outcome: str, code: int, said: str
) -> None:
    _only_a_fake(own_bundle, does)
    monkeypatch.setattr("runtimes.pool.for_format", lambda format: ["fake"])
    (row,) = run(own_bundle, "fake", timeout_s=6.0)
    assert (row.outcome, exit_code([row])) == (outcome, code), row
    assert said in row.reason


def _only_a_fake(own_bundle: Path, does: str, weights: Array | None = None) -> None:
    """Replace the artifacts by one of the fake runtime, which misbehaves as it is told."""
    content = {
        "inputs": [msgspec.to_builtins(FAKE_IN)],
        "outputs": [msgspec.to_builtins(FAKE_OUT)],
        "weights": (np.zeros((784, 10)) if weights is None else weights).tolist(),
        "does": does,
    }
    (own_bundle / "model.fake").write_text(json.dumps(content))
    bundle = open_bundle(own_bundle)
    fake = Artifact("fake", "model.fake", digest(own_bundle / "model.fake"), 1, (FAKE_IN,), (FAKE_OUT,))
    fields = {name: getattr(bundle.manifest, name) for name in Manifest.__dataclass_fields__}
    save_manifest(own_bundle, Manifest(**{**fields, "artifacts": (fake,)}))


class _Product(Session):
    """What the fake runtime computes, in the variant's precision."""

    inputs, outputs, threads = (replace(FAKE_IN, name="image"),), (FAKE_OUT,), 1
    weights = np.random.default_rng(0).normal(size=(784, 10)).astype(np.float32)

    def __init__(self, variant: Variant) -> None:
        self.precision = variant.precision

    def run(self, feeds: Feeds) -> dict[str, Array]:
        x = feeds["image"].reshape(-1, 784).astype(self.precision)
        return {"logits": x @ self.weights.astype(self.precision)}

    def bind(self, feeds: Feeds) -> Callable[[], None]:
        return lambda: None


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("", ""),
        ("batch", "logits, in batches of 1, 2, 3 and 7: "),
        ("again", "logits, a second time: "),
        ("threads", "logits, on one thread: "),
    ],
)
def test_an_answer_depends_on_the_sample_alone(
    own_bundle: Path, monkeypatch: pytest.MonkeyPatch, does: str, said: str
) -> None:
    """Not on the batch it is in, on what was asked before, or on the number of threads."""
    inputs = open_reference(own_bundle / REFERENCE).inputs
    real = {name: array[:64] for name, array in inputs.items()}
    runs = variants(1, channels_last=False)
    save_reference(own_bundle / REFERENCE, build(_Product, real, np.zeros(64, int), runs, (FAKE_OUT,)))
    _only_a_fake(own_bundle, does, _Product.weights)
    monkeypatch.setattr("runtimes.pool.for_format", lambda format: ["fake"])
    (row,) = run(own_bundle, "fake")
    assert row.outcome == ("mismatch" if does else "passed"), row
    assert row.reason.startswith(said)


def test_labels_inside_the_file_are_the_manifests(own_bundle: Path) -> None:
    import onnx

    path = own_bundle / "model.onnx"
    model = onnx.load(path)
    (entry,) = [entry for entry in model.metadata_props if entry.key == METADATA]
    entry.value = entry.value.replace('"0","1","2"', '"0","2","1"')
    onnx.save(model, path)
    accept(own_bundle, "onnx")
    (row,) = run(own_bundle, "onnx")
    assert row.outcome == "failed"
    assert row.reason.startswith("the labels in the file's metadata are ('0', '2', '1'")


def test_metadata_that_fwexport_wrote_must_be_there(bundles: dict[str, Path]) -> None:
    manifest = open_bundle(bundles["keras"]).manifest
    written, given = manifest.artifact("onnx"), manifest.artifact("keras")
    assert written is not None
    assert given is not None
    assert metadata_faults({}, given, manifest.model) == ""  # the person's own file
    assert "has lost its metadata" in metadata_faults({}, written, manifest.model)
    assert "are damaged" in metadata_faults({METADATA: "{"}, written, manifest.model)


def test_a_device_that_is_not_here_is_unavailable_and_says_how_to_get_it(own_bundle: Path) -> None:
    from runtimes import machine

    if machine.gpus():
        pytest.skip("this machine has an NVIDIA GPU; here its absence is tested")
    with Pool() as pool:
        options = VerifyOptions(devices=("cuda",), formats=("onnx", "torchscript"))
        rows = verify(own_bundle, options, pool).rows
    assert [row.outcome for row in rows] == ["unavailable"] * 3  # ONNX Runtime has two GPU backends
    assert all("CUDA" in row.reason for row in rows)
    assert exit_code(rows, ("cuda",)) == 6
    assert exit_code(rows) == 3


def test_a_run_on_fewer_devices_keeps_the_rows_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(fake.GPU, "1")
    monkeypatch.setattr("runtimes.pool.for_format", lambda format: ["fake"])
    folder = fake_bundle(tmp_path / "bundle")
    for devices in (("cpu", "gpu"), ("cpu",)):
        with Pool() as pool:
            found = verify(folder, VerifyOptions(devices=devices), pool)
        assert tuple(row.device for row in found.rows) == devices
    saved = load_verify(folder / "verify.json")
    assert saved is not None
    assert {row.device for row in saved.rows} == {"cpu", "gpu"}


def test_structure_faults_are_said_in_words() -> None:
    wanted = Artifact("onnx", "model.onnx", "", 0, (FAKE_IN,), (FAKE_OUT,))
    assert structure_faults((FAKE_IN,), (FAKE_OUT,), wanted) == ""
    other = TensorSpec("x", "float64", (None, 1, 28, 28))
    assert structure_faults((other,), (FAKE_OUT,), wanted) == "input x is float64, the manifest says float32"
    assert "no input x" in structure_faults((), (FAKE_OUT,), wanted)
    fixed = replace(FAKE_IN, shape=(1, *FAKE_IN.shape[1:]))
    assert "has shape [1, " in structure_faults((fixed,), (FAKE_OUT,), wanted)
    assert structure_faults((FAKE_IN,), (FAKE_OUT,), replace(wanted, inputs=(fixed,))) == ""


def test_cells_name_both_backends_of_a_runtime(bundles: dict[str, Path]) -> None:
    names = [cell.name for cell in cells(open_bundle(bundles["keras"]), devices=("cpu",), formats=("tfjs",))]
    assert names == ["keras/tfjs/tfjs/cpu/wasm", "keras/tfjs/tfjs/cpu/js"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"formats": ("onnx", "tflit")}, "no format 'tflit'"),
        ({"runtimes": ("onnxruntime", "litertt")}, "no runtime 'litertt'"),
        ({"formats": ("tfjs",), "devices": ("cuda",)}, "nothing in .* runs on cuda"),
    ],
)
def test_a_name_that_means_nothing_here_is_never_dropped(
    bundles: dict[str, Path], asked: dict[str, tuple[str, ...]], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        cells(open_bundle(bundles["torch"]), **asked)


def test_two_words_for_one_gpu_are_one_cell(bundles: dict[str, Path]) -> None:
    found = cells(open_bundle(bundles["torch"]), devices=("cuda", "gpu"), formats=("torchscript",))
    assert [cell.device for cell in found] == ["cuda"]


def test_a_bundle_verifies_without_the_training_frameworks(own_bundle: Path, tmp_path: Path) -> None:
    """An edge device: torch, tensorflow, keras and the exporter cannot be imported, in no process."""
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    for name in ("torch", "tensorflow", "keras", "onnx"):
        (blocked / f"{name}.py").write_text(
            f"raise ModuleNotFoundError('No module named {name!r}', name={name!r})\n"
        )
    shutil.rmtree(own_bundle / "source")
    from conftest import fwexport

    chosen = ["--format", "onnx", "--format", "tflite", "--format", "tfjs", "--device", "cpu"]
    done = fwexport("verify", own_bundle, *chosen, "--json", PYTHONPATH=str(blocked))
    assert done.returncode == 0, done.stderr
    assert [row["outcome"] for row in json.loads(done.stdout)["rows"]] == ["passed"] * 4
    timed = fwexport(
        "bench", own_bundle, *chosen, "--time", "quick", "--batch", 1, "--json", PYTHONPATH=str(blocked)
    )
    assert timed.returncode == 0, timed.stderr
    rows = json.loads(timed.stdout)["rows"]
    assert len(rows) == 4
    assert {row["verdict"] for row in rows} == {"passed"}
