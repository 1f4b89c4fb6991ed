"""``bench --require`` through the real command, on the fake runtime."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_bundle import fake_bundle, fake_runtime  # noqa: F401 - a fixture

from exporter.cli import cli
from runtimes.bench import SECONDS
from runtimes.errors import UsageError
from runtimes.rows import BENCH, load_bench

pytestmark = pytest.mark.usefixtures("fake_runtime")


@pytest.fixture(autouse=True)
def _brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fifth of the time a row: the times of these rows are known."""
    monkeypatch.setitem(SECONDS, "quick", 0.2)


def bench(folder: Path, *more: str) -> int:
    arguments = ["bench", str(folder), "--time", "quick", "--batch", "1", *more]
    code = cli(arguments, standalone_mode=False)
    assert isinstance(code, int)
    return code


@pytest.fixture
def verified(tmp_path: Path) -> Path:
    folder = fake_bundle(tmp_path / "bundle", size_bytes=1_500_000, seconds=0.002)
    assert cli(["verify", str(folder)], standalone_mode=False) == 0
    return folder


def test_the_row_that_keeps_every_limit_is_recommended(
    verified: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(verified, "--require", "p50_ms<1000,size_mb<2", "--require", "accuracy>0.96") == 0
    said = capsys.readouterr().out
    assert "recommended: torch/fake in fake, batch 1" in said
    assert "size_mb<2: 1.5, 25.0% of the limit to spare" in said
    assert "accuracy>0.96: 0.9688, 0.9% of the limit to spare" in said
    saved = load_bench(verified / BENCH)
    assert saved is not None
    assert saved.choice is not None
    assert saved.choice.recommended == "torch/fake/fake/cpu/fake/threads 2/batch 1/float32"
    assert saved.choice.requirements == ("p50_ms<1000", "size_mb<2", "accuracy>0.96")


def test_no_row_that_keeps_them_is_exit_code_1(verified: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert bench(verified, "--require", "p50_ms<0.1", "--json") == 1
    choice = json.loads(capsys.readouterr().out)["choice"]
    assert choice["recommended"] is None
    (row,) = choice["rows"]
    assert row["checks"][0]["outcome"] == "missed"
    assert row["checks"][0]["value"] >= 2
    assert row["reason"].endswith("not <0.1")


def test_what_was_not_verified_is_not_recommended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(fake_bundle(tmp_path / "bundle"), "--require", "p50_ms<1000") == 1
    said = capsys.readouterr().out
    assert "torch/fake in fake, batch 1: its verdict is 'not verified': run `fwexport verify`" in said
    assert "Pareto front of p50_ms, size_mb, each batch for itself: empty" in said


def test_a_wrong_requirement_is_said_before_anything_is_measured(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no metric 'p95_ms'"):
        bench(tmp_path, "--require", "p95_ms<5")


def test_a_damaged_verdict_is_none_and_costs_no_figures(
    verified: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (verified / "verify.json").write_text('{"schema": 2')
    assert bench(verified, "--require", "p50_ms<1000") == 1
    said = capsys.readouterr().out
    assert "How fast?" in said
    assert "run `fwexport verify`" in " ".join(said.split())


def test_one_of_two_bundles_of_one_source_is_recommended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, seconds in (("slow", 0.004), ("fast[b]", 0.001)):
        fake_bundle(tmp_path / "nets" / name, seconds=seconds, sleep={"simulated": True})
    assert cli(["verify", str(tmp_path / "nets")], standalone_mode=False) == 0
    capsys.readouterr()
    assert bench(tmp_path / "nets", "--require", "p50_ms<1000") == 0
    said = capsys.readouterr().out
    assert said.count("recommended: ") == 1
    assert said.count("\nfast[b]/fake ") == 2  # in both tables
    assert "recommended: fast[b]/fake in fake, batch 1" in said
    saved = load_bench(tmp_path / "nets" / "fast[b]" / BENCH)
    assert saved is not None
    assert [row.source for row in saved.rows] == ["torch"]
