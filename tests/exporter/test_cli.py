"""The command line as a person meets it: what it prints, what it refuses, and how it ends."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import FORMATS, fwexport

import runtimes.rows
from exporter.cli import cli
from runtimes.measuring import times
from runtimes.rows import load_bench

COMMANDS = [
    "build",
    "train",
    "export",
    "verify",
    "bench",
    "compare",
    "demo",
    "predict",
    "report",
    "list",
    "schema",
    "inspect",
    "doctor",
    "serve",
]


def test_help_is_fast_and_names_every_command() -> None:
    best = min(_timed_help() for _ in range(5))
    assert best < 0.2, best
    text = fwexport("--help").stdout
    assert [name for name in COMMANDS if f"\n  {name} " in text] == COMMANDS
    assert list(cli.list_commands(None)) == COMMANDS  # type: ignore[attr-defined, arg-type]


def _timed_help() -> float:
    begin = time.perf_counter()
    assert fwexport("--help").returncode == 0
    return time.perf_counter() - begin


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    done = fwexport(name, "--help")
    assert done.returncode == 0
    assert "Usage:" in done.stdout


def test_list_names_operators_by_family() -> None:
    lines = dict(line.split(maxsplit=1) for line in fwexport("list", "--operators").stdout.splitlines())
    assert "GlobalAveragePool" in lines["pooling"].split(", ")
    assert "Resize" in lines["resize"].split(", ")


def test_list_names_formats_and_runtimes() -> None:
    text = fwexport("list").stdout
    assert all(name in text for name in [*FORMATS, "onnx2keras", "litert", "digits"])


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["build", "--format", "tflit"], 2, "Did you mean 'tflite'"),
        (["build", "--data", "digit"], 2, "Did you mean 'digits'"),
        (["build", "--device", "gpu7"], 2, "is not auto, cpu or cuda"),
        (["build", "nothing.here"], 2, "does not exist"),
        (["train", "--data", "idx:/no/such", "-o", "out"], 2, "is no folder"),
        (["export", "nothing.here", "-o", "out"], 2, "does not exist"),
        (["verify", "nothing.here"], 2, "does not exist"),
        (["verify", "."], 2, "is no bundle"),
        (["verify", ".", "--device", "tpu"], 2, "is not cpu"),
        (["bench", "nothing.here"], 2, "does not exist"),
        (["predict", "nothing.here", "letter.txt"], 2, "does not exist"),
        (["predict", "."], 2, "Missing argument"),
        (["report", "."], 2, "is no bundle"),
        (["inspect", "nothing.here"], 2, "does not exist"),
        (["inspect", "letter.txt"], 4, "none of the formats"),
        (["no-such-command"], 2, "No such command"),
    ],
)
def test_bad_input_is_one_message_and_the_right_code(
    tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    (tmp_path / "letter.txt").write_text("Dear model,\n" * 20)
    done = fwexport(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, ""), done
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("framework", ["torch", "keras"])
def test_a_gpu_that_is_not_there_is_exit_6_and_never_a_quiet_cpu(tmp_path: Path, framework: str) -> None:
    out = tmp_path / "out"
    done = fwexport("train", "--framework", framework, "--device", "cuda:7", "-o", out)
    assert done.returncode == 6, done.stderr
    assert "cuda:7" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("framework", "format"),
    [
        *(("keras", format) for format in FORMATS),
        # In the other two TensorFlow looks at what Keras wrote, as above.
        *(("torch", format) for format in FORMATS if format not in ("keras", "savedmodel")),
    ],
)
def test_inspect_reads_every_artifact(bundles: dict[str, Path], framework: str, format: str) -> None:
    from runtimes.bundle import open_bundle

    bundle = open_bundle(bundles[framework])
    artifact = bundle.manifest.artifact(format)
    assert artifact is not None
    done = fwexport("inspect", bundle.path(artifact), "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["format"] == format
    assert found["size_bytes"] == artifact.size_bytes
    assert [t["name"] for t in found["inputs"]] == [t.name for t in artifact.inputs]
    assert [tuple(t["shape"]) for t in found["inputs"]] == [t.shape for t in artifact.inputs]
    assert [t["name"] for t in found["outputs"]] == [t.name for t in artifact.outputs]
    assert found["ops"]
    if format != "keras":
        assert json.loads(found["metadata"]["fwexport"])["labels"] == list("0123456789")
    if format == "onnx":
        assert not {"Shape", "Gather", "Slice", "Concat"} & set(found["ops"])


def test_json_rows_have_the_documented_fields(job: tuple[Path, dict[str, list[dict[str, object]]]]) -> None:
    verify = "source artifact runtime device backend outcome reason n max_noise_ratio max_abs_error top1_agreement accuracy"
    bench = (
        "source artifact runtime device backend threads batch load_s first_s compute throughput_per_s "
        "peak_rss_bytes stable artifact_sha256 verdict"
    )
    assert job[1]["schema"] == runtimes.rows.SCHEMA == 2
    for row in job[1]["rows"]:
        assert set(verify.split()) <= row.keys()
    assert len(job[1]["bench"]) == 28
    for row in job[1]["bench"]:
        assert set(bench.split()) <= row.keys()
        assert row["verdict"] == "passed"
        assert row["compute"]["p50_s"] > 0
        assert row["peak_rss_bytes"] > 10e6
        assert row["load_s"] > 0
        assert row["first_s"] > 0
        assert row["settings"]


def test_every_timed_row_has_its_cold_start_its_memory_and_its_raw_times(bundles: dict[str, Path]) -> None:
    for folder in bundles.values():
        result = load_bench(folder / "bench.json")
        assert result is not None
        for row in result.rows:
            assert row.compute is not None
            assert min(row.import_s, row.load_s, row.first_s, row.warmup_s) > 0  # type: ignore[type-var]
            assert 0 < (row.added_rss_bytes or 0) < (row.peak_rss_bytes or 0)
            assert (row.loaded_rss_bytes or 0) > 10e6
            (rounds,) = times.load(folder / times.TIMES, times.name(row)) or [[]]
            assert len(rounds) == 5
            assert sum(map(len, rounds)) == row.compute.n
        for one, large in zip(result.rows[::2], result.rows[1::2], strict=True):
            assert (one.batch, large.batch) == (1, 32)
            assert (one.import_s, one.load_s) == (large.import_s, large.load_s)  # one child
            assert (one.added_rss_bytes or 0) <= (large.added_rss_bytes or 0)


def test_the_job_writes_a_report_over_both(job: tuple[Path, dict[str, object]]) -> None:
    html, markdown = (job[0] / "report.html").read_text(), (job[0] / "report.md").read_text()
    for text in (html, markdown):
        assert "PyTorch" in text
        assert "Keras" in text
        assert "14 of 14" in text


def test_a_changed_artifact_is_exit_1(own_bundle: Path) -> None:
    with (own_bundle / "model.onnx").open("ab") as file:
        file.write(b"\0")
    files = {"--junit": own_bundle / "ci" / "junit.xml", "--markdown": own_bundle / "ci" / "comment.md"}
    done = fwexport("verify", own_bundle, "--format", "onnx", "--json", *itertools.chain(*files.items()))
    assert done.returncode == 1
    assert "was changed after it was exported" in json.loads(done.stdout)["rows"][0]["reason"]
    for file in files.values():
        assert "was changed after it was exported" in file.read_text()


def test_a_folder_that_holds_other_files_is_not_replaced(tmp_path: Path, bundles: dict[str, Path]) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    done = fwexport("export", bundles["torch"] / "source", "--format", "onnx", "-o", tmp_path)
    assert done.returncode == 2
    assert "other files" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_an_unwritable_folder_is_one_message(tmp_path: Path, bundles: dict[str, Path]) -> None:
    place = tmp_path / "locked"
    place.mkdir()
    with _unwritable(place):
        done = fwexport("export", bundles["torch"] / "source", "--format", "onnx", "-o", place / "out")
    assert done.returncode == 2, done.stderr
    assert f"{place / 'out'} cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


@contextmanager
def _unwritable(place: Path) -> Iterator[None]:
    """By its mode; for root, whom no mode stops, by a read-only file system."""
    if os.geteuid():
        place.chmod(0o500)
        yield
        return
    command = ["mount", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", str(place)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(
            f"root writes everywhere, and no read-only file system can be mounted: {made.stderr.strip()}"
        )
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_place_that_cannot_be_a_folder_is_one_message(tmp_path: Path, bundles: dict[str, Path]) -> None:
    (tmp_path / "file").write_text("x")
    done = fwexport(
        "export", bundles["torch"] / "source", "--format", "onnx", "-o", tmp_path / "file" / "out"
    )
    assert done.returncode == 2, done.stderr
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_is_130_and_the_previous_bundle_stays_whole(tmp_path: Path, bundles: dict[str, Path]) -> None:
    out = tmp_path / "out"
    assert (
        fwexport("export", bundles["torch"] / "source", "--format", "torchscript", "-o", out).returncode == 0
    )
    before = (out / "manifest.json").read_bytes()
    command = [
        sys.executable,
        "-P",
        "-m",
        "exporter.cli",
        "export",
        str(bundles["torch"] / "source"),
        "-o",
        str(out),
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "torch2onnx" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert (out / "manifest.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_doctor_says_what_is_here() -> None:
    done = fwexport("doctor", OMP_WAIT_POLICY="active")
    assert done.returncode == 0, done.stderr
    for name in ("torchscript", "onnxruntime", "litert", "savedmodel", "keras", "tfjs"):
        assert f"yes {name} on cpu" in done.stdout
    on_gpu = next(line for line in done.stdout.splitlines() if "litertjs on gpu" in line)
    assert "a run tells" in on_gpu or "no  litertjs" in on_gpu
    assert "doubt environment: OMP_WAIT_POLICY=active is set" in done.stdout
    assert "-> unset the variable" in done.stdout


def test_export_of_a_trained_source_gives_the_same_bundle(tmp_path: Path, bundles: dict[str, Path]) -> None:
    out = tmp_path / "out"
    done = fwexport("export", bundles["torch"] / "source", "--format", "tflite", "-o", out)
    assert done.returncode == 0, done.stderr
    assert (out / "model.tflite").read_bytes() == (bundles["torch"] / "model.tflite").read_bytes()
    assert {path.name for path in out.iterdir()} == {
        "golden",
        "manifest.json",
        "model.tflite",
        "reference.npz",
        "source",
    }


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 5 MB, where the system lets us make one."""
    place = tmp_path / "small"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=5m", "tmpfs", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"no small file system can be mounted here: {made.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_one_message_and_nothing_is_left(small_disk: Path, bundles: dict[str, Path]) -> None:
    done = fwexport(
        "export",
        bundles["torch"] / "source",
        "--format",
        "tflite",
        "--format",
        "tfjs",
        "-o",
        small_disk / "out",
    )
    assert done.returncode == 2, done.stderr
    assert "no space left" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(small_disk.iterdir()) == []


def test_a_source_folder_takes_no_description(tmp_path: Path, bundles: dict[str, Path]) -> None:
    source = bundles["torch"] / "source"
    done = fwexport("export", source, "--layout", "NCHW", "--samples", "npz:a", "-o", tmp_path / "o")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--layout, --samples" in done.stderr


def test_a_source_folder_cannot_name_code_that_is_not_ours(tmp_path: Path, bundles: dict[str, Path]) -> None:
    source = Path(shutil.copytree(bundles["torch"] / "source", tmp_path / "source"))
    described = json.loads((source / "source.json").read_text())
    described |= {"code": "os:system", "arguments": {"command": f"touch {tmp_path / 'owned'}"}}
    (source / "source.json").write_text(json.dumps(described))
    done = fwexport("export", source, "--format", "onnx", "-o", tmp_path / "out")
    assert done.returncode != 0
    assert "not fwexport's own" in done.stderr
    assert not (tmp_path / "owned").exists()


def test_a_source_folder_cannot_allow_itself_to_run_code(tmp_path: Path, bundles: dict[str, Path]) -> None:
    source = Path(shutil.copytree(bundles["keras"] / "source", tmp_path / "source"))
    described = json.loads((source / "source.json").read_text())
    (source / "source.json").write_text(json.dumps(described | {"arguments": {"allow_pickle": True}}))
    done = fwexport("export", source, "--format", "keras", "-o", tmp_path / "out")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--allow-pickle" in done.stderr
