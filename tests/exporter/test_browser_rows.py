"""``--browser`` from the command line, in the browser that is here."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from conftest import fwexport

from runtimes.browser import find
from runtimes.bundle import open_bundle
from runtimes.remote.connection import needed

here = find.check()


@pytest.fixture
def own(browser_bundles: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(browser_bundles["torch"], tmp_path / "bundle"))


@pytest.mark.browser
@pytest.mark.skipif(here is not None, reason=str(here))
def test_rows_in_a_browser_pass_and_are_measured(own: Path) -> None:
    chosen = ["--browser", "--format", "tflite", "--device", "cpu"]
    done = fwexport("verify", own, *chosen, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    native, inside = json.loads(done.stdout)["rows"]
    assert (native["artifact"], native["runtime"], native["outcome"]) == ("tflite", "litert", "passed")
    assert (inside["artifact"], inside["runtime"], inside["outcome"]) == (
        "tflite-batch1",
        "litertjs",
        "passed",
    )
    browser = find.require_browser()
    assert inside["versions"][browser.name] == browser.version
    assert "--browser" not in done.stderr

    quick = ["--time", "quick", "--rounds", 2, "--json"]
    done = fwexport("bench", own, *chosen, *quick)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert [(row["artifact"], row["batch"]) for row in rows] == [
        ("tflite", 1),
        ("tflite", 32),
        ("tflite-batch1", 1),
    ]
    row = rows[-1]
    assert row["verdict"] == "passed"
    assert row["compute"]["n"] > 10
    assert row["downloaded_bytes"] > row["size_bytes"] > 1_000_000
    assert (
        min(row[name] for name in ("import_s", "load_s", "first_s", "peak_rss_bytes", "added_rss_bytes")) > 0
    )
    report = fwexport("report", own)
    assert report.returncode == 0, report.stderr
    assert "What a browser downloads" in (own / "report.md").read_text()


def test_without_a_browser_its_rows_are_unavailable_and_exit_6(own: Path) -> None:
    chosen = ["--format", "tflite", "--device", "cpu", "--json"]
    done = fwexport("verify", own, "--browser", *chosen, FWEXPORT_BROWSER="/nowhere")
    assert done.returncode == 6
    native, inside = json.loads(done.stdout)["rows"]
    assert (native["outcome"], inside["outcome"]) == ("passed", "unavailable")
    assert "FWEXPORT_BROWSER" in inside["reason"]
    without = fwexport("verify", own, *chosen, FWEXPORT_BROWSER="/nowhere")
    assert without.returncode == 0
    assert [row["artifact"] for row in json.loads(without.stdout)["rows"]] == ["tflite"]


def test_a_target_gets_the_files_for_its_browser_where_they_are_asked_for(
    browser_bundles: dict[str, Path],
) -> None:
    bundle = open_bundle(browser_bundles["torch"])
    plain = {file.path for file in needed(bundle, formats=("tflite",))}
    browser = {file.path for file in needed(bundle, formats=("tflite",), browser=True)}
    assert plain == {"manifest.json", "reference.npz", "model.tflite"}
    assert browser == plain | {"model.batch1.tflite"}
