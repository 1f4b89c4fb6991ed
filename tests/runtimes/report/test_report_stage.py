"""The stage: what it reads, what it writes where, and what it says about what is missing."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import pytest
import report_sample as sample

from exporter.source_folder import Epoch, History, save_history
from runtimes.bundle import Failure
from runtimes.errors import OutputError, UsageError
from runtimes.report import report
from runtimes.rows import SCHEMA, Agreement, VerifyRow, save


def texts(folder: Path, out: Path | None = None) -> tuple[str, str]:
    written = report(folder, out)
    return written.markdown.read_text(), written.html.read_text()


def test_writes_both_files_into_the_folder(tmp_path: Path) -> None:
    folder = sample.write_all(tmp_path / "build")
    written = report(folder)
    assert (written.markdown, written.html) == (folder / "report.md", folder / "report.html")
    assert sorted(p.name for p in folder.iterdir()) == [
        "agreement.json",
        "keras",
        "report.html",
        "report.md",
        "torch",
    ]


def test_writes_elsewhere_and_leaves_the_bundle_alone(tmp_path: Path) -> None:
    folder = sample.write_all(tmp_path / "build")
    report(folder, tmp_path / "deep" / "er")
    assert not list(folder.glob("report.*"))
    assert (tmp_path / "deep" / "er" / "report.html").exists()


def test_an_out_that_is_a_file_is_an_expected_error(tmp_path: Path) -> None:
    folder = sample.write_all(tmp_path / "build")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="file"):
        report(folder, tmp_path / "file")


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    first = texts(sample.write_ugly(tmp_path / "a" / "build"))
    second = texts(sample.write_ugly(tmp_path / "b" / "build"))
    assert first == second


def test_an_absolute_folder_is_not_shown(tmp_path: Path) -> None:
    for text in texts(sample.write_all(tmp_path / "build")):
        assert str(tmp_path) not in text
        assert "fwexport bench build/torch" in text
        assert "from the folder that holds it" in text


def test_a_relative_folder_is_shown_as_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sample.write_all(Path("out dir"))
    markdown, _ = texts(Path("out dir"))
    assert "fwexport verify 'out dir/keras'" in markdown


def test_the_folder_one_stands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sample.write_bundle(tmp_path / "torch", "torch"))
    markdown, _ = texts(Path())
    assert "fwexport bench ." in markdown


def test_what_is_missing_is_said_with_the_command_that_makes_it(tmp_path: Path) -> None:
    folder = sample.write_bundle(tmp_path / "mine", "torch", verify=None, bench=None, history=None)
    for text in texts(folder):
        plain = text.replace("`", "").replace("<code>", "").replace("</code>", "")
        assert "No row was verified" in text
        assert "torch is not verified: run fwexport verify mine" in plain
        assert "torch is not benched: run fwexport bench mine" in plain
        assert "No agreement of the rows was recorded: run fwexport verify mine" in plain
        assert "epochs" not in plain
        assert "neither verify nor bench has run" in plain


def test_a_model_that_was_brought(tmp_path: Path) -> None:
    """How it was trained is not asked; what it cannot become is no failure; what it was judged on is said."""
    cannot = Failure("keras", "", "a SavedModel holds a graph, not layers")
    verified = sample.verify_result("torch")
    rows = [replace(row, samples="generated", top1_agreement=None, accuracy=None) for row in verified.rows]
    rows.append(VerifyRow("torch", "keras", "-", "cpu", "-", "unavailable", cannot.message))
    folder = sample.write_bundle(
        tmp_path / "mine",
        "torch",
        manifest=replace(sample.manifest("torch"), failures=(cannot,)),
        verify=replace(verified, rows=tuple(rows)),
        history=None,
    )
    for text in texts(folder):
        assert "PyTorch code" in text
        assert "epochs" not in text
        assert "judged on generated inputs" in text
        assert "1 unavailable" in text
        assert "exports failed" not in text
        assert cannot.message in text


def test_two_bundles_of_one_framework_go_by_their_folders(tmp_path: Path) -> None:
    sample.write_bundle(tmp_path / "small", "torch")
    sample.write_bundle(tmp_path / "large", "torch")
    for text in texts(tmp_path):
        assert "large and small, side by side" in text
    assert "| large/onnx " in texts(tmp_path)[0]


def test_a_history_of_the_exporter_is_read(tmp_path: Path) -> None:
    folder = sample.write_bundle(tmp_path / "torch", "torch", history=None)
    (folder / "source").mkdir()
    epochs = (Epoch(0.5, 0.9, 3.0), Epoch(0.25, 0.9375, 2.0))
    trained = History(
        1,
        "torch",
        "torch",
        "cuda:0",
        "idx:DIR",
        7,
        64,
        True,
        48_000,
        12_000,
        99,
        epochs,
        0.25,
        0.9375,
        12_345.6,
    )
    save_history(folder / "source", trained)
    markdown, _ = texts(folder)
    for words in ("93.8 %", "12,300", "torch on cuda:0, mixed precision", "48,000 to train", "64, 7", "99"):
        assert words in markdown


@pytest.mark.parametrize("history", [{}, {"epochs": [{"loss": 0.4}, {}]}, {"epochs": [], "seed": None}])
def test_a_history_with_holes_is_no_crash(tmp_path: Path, history: dict[str, object]) -> None:
    markdown, _ = texts(sample.write_bundle(tmp_path / "torch", "torch", history=history))
    assert "n/a" in markdown


@pytest.mark.parametrize("name", ["verify.json", "bench.json", "manifest.json", "source/history.json"])
def test_a_damaged_file_is_an_expected_error(tmp_path: Path, name: str) -> None:
    folder = sample.write_bundle(tmp_path / "torch", "torch")
    (folder / name).write_text("{")
    with pytest.raises(UsageError, match=Path(name).name):
        report(folder)


def test_no_bundle_is_an_expected_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no bundle"):
        report(tmp_path)


def test_a_full_disk_leaves_the_old_report_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = sample.write_all(tmp_path / "build")
    before = texts(folder)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("runtimes.files.os.fdopen", full)
        with pytest.raises(OutputError, match="no space left"):
            report(folder)
    assert ((folder / "report.md").read_text(), (folder / "report.html").read_text()) == before
    assert not list(folder.glob(".report*"))


def test_a_verdict_on_another_file_is_not_a_pass(tmp_path: Path) -> None:
    verified = sample.verify_result("torch")
    rows = (replace(verified.rows[0], artifact_sha256="0" * 64), *verified.rows[1:])
    folder = sample.write_bundle(tmp_path / "torch", "torch", verify=replace(verified, rows=rows))
    for text in texts(folder):
        assert "6 of 7 rows passed" in text
        assert "1 stale" in text


def test_an_artifact_that_nothing_judged_is_not_a_pass(tmp_path: Path) -> None:
    verified = sample.verify_result("torch")
    rows = tuple(row for row in verified.rows if row.artifact != "tflite")
    folder = sample.write_bundle(tmp_path / "torch", "torch", verify=replace(verified, rows=rows))
    markdown, _ = texts(folder)
    assert "incomplete: 6 of 6 rows passed" in markdown
    assert "torch/tflite **not verified**" in markdown


@pytest.mark.parametrize("names", [(), ("a/b/c/d/e",)])
def test_an_agreement_of_few(tmp_path: Path, names: tuple[str, ...]) -> None:
    folder = sample.write_bundle(tmp_path / "torch", "torch")
    save(folder / "agreement.json", Agreement(SCHEMA, 10, names, tuple((1.0,) for _ in names)))
    markdown, _ = texts(folder)
    assert ("One row only" if names else "No agreement of the rows") in markdown
