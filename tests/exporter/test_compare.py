"""``compare`` through the real command: bundles of the fake runtime whose times are known, and files of bench."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fake_bundle import fake_bundle, fake_runtime  # noqa: F401 - a fixture
from json_schema import faults

from exporter.cli import cli
from runtimes import schemas
from runtimes.comparing.compare_rows import CompareResult
from runtimes.errors import UsageError
from runtimes.measuring.times import TIMES
from runtimes.rows import BENCH, load_bench

pytestmark = pytest.mark.usefixtures("fake_runtime")

PACE = {"spread": 0.02, "process": 0.005, "round": 0.005, "simulated": True}
QUICK = ("--time", "quick", "--batch", "1", "--processes", "3")


def paced(folder: Path, seconds: float = 0.002, seed: int | None = None, **more: Any) -> Path:
    return fake_bundle(folder, seconds=seconds, sleep={**PACE, "seed": seed}, **more)


def command(*arguments: object) -> int:
    code = cli([str(each) for each in arguments], standalone_mode=False)
    assert isinstance(code, int)
    return code


def compare(old: Path, new: Path, *more: object) -> int:
    return command("compare", old, new, *more)


def benched(folder: Path, *more: object) -> Path:
    command("bench", folder, *QUICK, *more)
    return folder / BENCH


def printed(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, CompareResult]:
    capsys.readouterr()
    code = compare(*arguments, "--json")  # type: ignore[arg-type]
    out = capsys.readouterr().out
    assert faults(json.loads(out), json.loads(schemas.path("compare").read_text())) == []
    return code, msgspec.json.decode(out, type=CompareResult)


def test_two_bundles_are_measured_interleaved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, same = paced(tmp_path / "old"), paced(tmp_path / "same")
    slower = paced(tmp_path / "slower", seconds=0.0026)
    code, found = printed(capsys, old, same, *QUICK)
    assert (code, [row.outcome for row in found.rows], found.interleaved) == (0, ["same"], True)
    code, found = printed(capsys, old, slower, *QUICK, "-o", tmp_path / "kept")
    (row,) = found.rows
    assert (code, row.outcome) == (1, "slower")
    assert row.compute is not None
    assert row.compute.interval is not None
    assert row.compute.interval[0] > 1
    assert 1.25 < row.compute.ratio < 1.35
    assert not (old / BENCH).exists()
    kept = [load_bench(tmp_path / "kept" / side / BENCH) for side in ("old", "new")]
    assert all(kept)
    assert [each.rows[0].compute.p50_s for each in kept] == [row.compute.old, row.compute.new]  # type: ignore[union-attr]
    assert (tmp_path / "kept" / "new" / TIMES).exists()
    again, read = printed(capsys, tmp_path / "kept" / "old", tmp_path / "kept" / "new")
    assert (again, read.interleaved) == (1, False)


def test_a_bundle_is_the_same_as_itself(tmp_path: Path) -> None:
    bundle = paced(tmp_path / "bundle")
    assert compare(bundle, bundle, *QUICK, "--threshold", "10%") == 0


def test_files_of_bench_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, same = benched(paced(tmp_path / "old")), benched(paced(tmp_path / "same"))
    slower = benched(paced(tmp_path / "slower", seconds=0.0026))
    code, found = printed(capsys, old, same)
    assert (code, [row.outcome for row in found.rows], found.interleaved) == (0, ["same"], False)
    code, found = printed(capsys, old, slower.parent)  # of a file and a bundle, what the bundle holds is read
    assert (code, found.rows[0].outcome, found.interleaved) == (1, "slower", False)
    capsys.readouterr()
    assert compare(slower, old) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.endswith("slower is beyond the noise and 5 % 1 faster")


def test_the_comment_for_a_pull_request(tmp_path: Path) -> None:
    old, slower = (
        benched(paced(tmp_path / "old")),
        benched(paced(tmp_path / "new", seconds=0.0026, size_bytes=1500)),
    )
    assert compare(old, slower, "--markdown", tmp_path / "ci" / "pr.md") == 1
    text = (tmp_path / "ci" / "pr.md").read_text()
    assert text.startswith("<!-- fwexport compare -->\n\n### ✗ fwexport compare: 1 slower\n")
    assert "| torch/fake/fake/cpu/fake, batch 1 | ✗ slower | " in text
    assert "- file size: +50% torch/fake/fake/cpu/fake" in text
    assert compare(old, old, "--markdown", tmp_path / "pr.md") == 0
    text = (tmp_path / "pr.md").read_text()
    assert "### ✓ fwexport compare: 1 same\n\n<details><summary>1 more row</summary>" in text
    assert "both sides are one and the same measurement" in text


def test_a_row_that_crashes_now_fails_the_gate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = paced(tmp_path / "old"), paced(tmp_path / "new", does="raise")
    code, found = printed(capsys, old, new, *QUICK, "--processes", 1)
    assert (code, found.rows[0].outcome) == (1, "failed")
    assert "told to fail" in found.rows[0].reason


def test_the_rows_may_be_chosen(tmp_path: Path) -> None:
    old = benched(paced(tmp_path / "old"), "--batch", "1,4")
    new = benched(paced(tmp_path / "new"))
    assert compare(old, new) == 1  # batch 4 is gone
    assert compare(old, new, "--batch", 1) == 0
    with pytest.raises(UsageError, match=r"no row in common. The first has none that was asked for"):
        compare(old, new, "--batch", 2)
    with pytest.raises(
        UsageError, match=r"The first has torch/fake/.*/batch 4/.*; the second torch/fake/.*/batch 1/"
    ):
        compare(edited(old, lambda rows: rows[1:]), new)


def edited(path: Path, change: Any) -> Path:
    result = json.loads(path.read_text())
    result["rows"] = change(result["rows"])
    target = path.with_suffix(".edited.json")
    target.write_text(json.dumps(result))
    return target


def test_what_cannot_be_compared_says_what_to_run(tmp_path: Path) -> None:
    bundle = fake_bundle(tmp_path / "bundle")
    file = tmp_path / "bench.json"
    file.write_text('{"schema": 2')
    for old, said in (
        (file, "damaged"),
        (tmp_path / "nothing", "does not exist. `fwexport bench BUNDLE` writes"),
        (bundle, f"{bundle} has no bench.json: run `fwexport bench {bundle}`"),
    ):
        with pytest.raises(UsageError) as error:
            compare(old, file)
        assert said in str(error.value)
    file.write_text('{"schema": 1, "rows": [{"p50_s": 0.001}]}')
    with pytest.raises(
        UsageError, match=r"has schema 1; this fwexport compares schema 2. Run `fwexport bench` again"
    ):
        compare(file, file)
    with pytest.raises(UsageError, match="--time: nothing is measured"):
        compare(file, bundle, "--time", "quick")


def test_single_processes_at_different_times_are_said_to_hide_small_changes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = benched(paced(tmp_path / "old"), "--processes", "1")
    for threshold, limit in (("5%", "10%"), ("20%", "20%")):
        _, found = printed(capsys, old, old, "--threshold", threshold)
        assert any(note.endswith(f"only changes beyond {limit} count") for note in found.notes)


def test_times_of_two_machines_say_what_would_tell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = benched(paced(tmp_path / "old"))
    result = json.loads(old.read_text())
    result["machine"]["cpu"] = "Cortex-A76"
    new = tmp_path / "new.json"
    new.write_text(json.dumps(result))
    capsys.readouterr()
    assert compare(old, new) == 3
    said = " ".join(capsys.readouterr().out.split())
    assert "--across-machines judges these times" in said
    assert said.count("Cortex-A76") == 1
    assert "longer runs" not in said
    assert compare(old, new, "--across-machines") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("Cortex-A76") == 1
    assert "--across-machines judges" not in said


@pytest.mark.parametrize("text", ["5", "-1%", "nan", "inf%", "much"])
def test_a_threshold_is_a_share(tmp_path: Path, text: str) -> None:
    import click

    with pytest.raises(click.BadParameter, match=r"no share of a time, such as 5% or 0.05"):
        compare(tmp_path, tmp_path, "--threshold", text)


def test_folders_of_bundles_are_compared_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for side in ("old", "new"):
        paced(tmp_path / side / "small", seconds=0.001)
        paced(tmp_path / side / "large", seconds=0.004)
    shutil.rmtree(tmp_path / "new" / "large")
    paced(tmp_path / "new" / "large", seconds=0.006)
    code, found = printed(capsys, tmp_path / "old", tmp_path / "new", *QUICK)
    assert code == 1
    assert {row.bundle: row.outcome for row in found.rows} == {"small": "same", "large": "slower"}
    for side in ("old", "new"):
        for name in ("small", "large"):
            benched(tmp_path / side / name)
            (tmp_path / side / name / "manifest.json").unlink()
    code, found = printed(capsys, tmp_path / "old", tmp_path / "new")
    assert (code, found.interleaved) == (1, False)
    assert {row.bundle: row.outcome for row in found.rows} == {"small": "same", "large": "slower"}
