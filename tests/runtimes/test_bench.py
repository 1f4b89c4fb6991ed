"""The stage bench on bundles of the fake runtime: which cases there are, their rows, their files, what goes wrong."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import psutil
import pytest

from exporter.cli import cli
from runtimes.adapters import fake
from runtimes.bench import SECONDS, BenchOptions, bench, bench_together, cases, grouped, verdict_of
from runtimes.bundle import open_bundle
from runtimes.errors import UsageError
from runtimes.exit_codes import exit_code
from runtimes.measuring import times
from runtimes.pool import cells
from runtimes.rows import BenchRow, VerifyRow, load_bench
from tests.fake_bundle import fake_bundle, fake_runtime

__all__ = ["fake_runtime"]

pytestmark = pytest.mark.usefixtures("fake_runtime")

QUICK = BenchOptions(time="quick", rounds=3, batches=(1, 4))


@pytest.fixture(autouse=True)
def _brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fifth of the time a row: nothing here is about the figures themselves."""
    monkeypatch.setitem(SECONDS, "quick", 0.2)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return fake_bundle(tmp_path / "bundle", seconds=0.0005)


def test_a_row_has_every_figure_and_its_raw_times(bundle: Path) -> None:
    told: list[str] = []
    found = bench(bundle, QUICK, lambda row: told.append(f"batch {row.batch}"))
    assert sorted(told) == ["batch 1", "batch 4"]
    assert load_bench(bundle / "bench.json") == found
    for row, batch in zip(found.rows, (1, 4), strict=True):
        assert (row.batch, row.outcome, row.device_proof, row.precision) == (
            batch,
            "passed",
            "fake cpu",
            "float32",
        )
        assert row.compute is not None
        assert row.compute.p50_s > 0.0005
        assert row.throughput_per_s == pytest.approx(batch / row.compute.mean_s)
        assert row.end_to_end is None
        assert min(row.import_s, row.load_s, row.first_s, row.warmup_s) > 0  # type: ignore[type-var]
        assert row.warmup_n >= 3
        assert row.peak_rss_bytes is not None
        assert row.added_rss_bytes is not None
        assert 0 <= row.added_rss_bytes < row.peak_rss_bytes
        raw = times.load(bundle / times.TIMES, times.name(row))
        assert raw is not None
        assert [len(rounds) for rounds in raw] == [3]
        assert sum(len(one) for one in raw[0]) == row.compute.n
        medians = [float(np.median(one)) / 1e9 for one in raw[0]]
        assert list(row.compute.rounds_p50_s[0]) == pytest.approx(medians)


def test_rows_and_times_of_an_earlier_run_stay(bundle: Path) -> None:
    first = bench(bundle, replace(QUICK, batches=(1, 4)))
    second = bench(bundle, replace(QUICK, batches=(4, 8), threads=(1,)))
    saved = load_bench(bundle / "bench.json")
    assert saved is not None
    assert len(saved.rows) == 4
    for row in (*first.rows, *second.rows):
        raw = times.load(bundle / times.TIMES, times.name(row))
        assert raw is not None
        assert row.compute is not None
        assert sum(len(one) for one in raw[0]) == row.compute.n


def test_a_gpu_in_a_browser_is_measured_once_whatever_the_threads(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = BenchOptions(devices=("cpu", "gpu"), batches=(1,), threads=(1, 4))
    opened = open_bundle(bundle)

    def found() -> list[tuple[str, int | None]]:
        return [(case.cell.device, case.threads) for case in cases(opened, chosen)]

    assert found() == [("cpu", 1), ("cpu", 4), ("gpu", 1), ("gpu", 4)]
    monkeypatch.setattr(fake, "IN_BROWSER", True)
    chosen = replace(chosen, runtimes=("fake",))
    assert found() == [("cpu", 1), ("cpu", 4), ("gpu", None)]


def test_a_row_that_fails_keeps_no_times_of_an_earlier_run(bundle: Path) -> None:
    before, other = bench(bundle, replace(QUICK, threads=(2,))).rows
    (bundle / "model.fake").unlink()
    (row,) = bench(bundle, replace(QUICK, threads=(2,), batches=(1,))).rows
    assert (row.compute, times.name(row)) == (None, times.name(before))
    assert times.load(bundle / times.TIMES, times.name(row)) is None
    assert times.load(bundle / times.TIMES, times.name(other)) is not None


def test_times_that_are_damaged_are_replaced(bundle: Path) -> None:
    first = bench(bundle, replace(QUICK, batches=(1, 4))).rows
    path = bundle / times.TIMES
    for content in (b"", b"no times", path.read_bytes()[:-40]):
        path.write_bytes(content)
        assert times.load(path, times.name(first[1])) is None
    (row,) = bench(bundle, replace(QUICK, batches=(1,))).rows
    assert times.load(path, times.name(row)) is not None
    assert times.load(path, times.name(first[1])) is None


def test_a_batch_that_kills_its_child_leaves_the_other_rows(tmp_path: Path) -> None:
    found = bench(fake_bundle(tmp_path / "b", does="crash"), QUICK)
    assert [row.outcome for row in found.rows] == ["crashed", "crashed"]
    assert exit_code(found.rows) == 5
    folder = found.rows[0].reason.rpartition("< ")[2].removesuffix("/calls.jsonl")
    assert (Path(folder) / "calls.jsonl").read_text().count("open_session") == 1
    shutil.rmtree(folder)


def test_an_interruption_leaves_the_rows_that_were_done_with_their_times(bundle: Path) -> None:
    def interrupt(row: BenchRow) -> None:
        raise KeyboardInterrupt

    before = psutil.Process().children()
    with pytest.raises(KeyboardInterrupt):
        bench(bundle, QUICK, interrupt)
    saved = load_bench(bundle / "bench.json")
    assert saved is not None
    (row,) = saved.rows
    assert times.load(bundle / times.TIMES, times.name(row)) is not None
    assert psutil.Process().children() == before


def test_bundles_are_measured_in_the_same_rounds(tmp_path: Path) -> None:
    folders = [fake_bundle(tmp_path / name, seconds=0.0005) for name in ("a", "b")]
    told: list[str] = []
    found = bench_together(
        {folder: folder for folder in folders}, replace(QUICK, batches=(1,)), on_step=told.append
    )
    assert [step for step in told if step.startswith("round")] == [f"round {n} of 3" for n in (1, 2, 3)]
    for folder in folders:
        assert load_bench(folder / "bench.json") == found[folder]
        (row,) = found[folder].rows
        assert times.load(folder / times.TIMES, times.name(row)) is not None


def test_bundles_whose_children_do_not_fit_are_measured_one_after_another() -> None:
    a, b, c = map(Path, "abc")
    assert grouped({a: 7, b: 7, c: 7}, 40) == [[a, b, c]]
    assert grouped({a: 7, b: 7, c: 7}, 15) == [[a, b], [c]]
    assert grouped({a: 7, b: 7, c: 7}, 3) == [[a], [b], [c]]
    assert grouped({}, 3) == []


def test_the_memory_of_a_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtimes.environment.cgroup.memory_limit_bytes", lambda: 512 << 20)
    folders = [fake_bundle(tmp_path / name) for name in ("a", "b")]
    told: list[str] = []
    bench_together({each: each for each in folders}, replace(QUICK, batches=(1,)), on_step=told.append)
    assert [step for step in told if step.startswith("round")] == [f"round {n} of 3" for n in (1, 2, 3)] * 2


def test_strict_ends_with_3_when_a_timing_was_not_stable(tmp_path: Path) -> None:
    drift = {"kind": "drift", "apart": 0.5, "simulated": True, "seed": 0}
    asked = [
        "bench",
        str(fake_bundle(tmp_path / "b", seconds=0.001, sleep=drift)),
        "--time",
        "quick",
        "--batch",
        "1",
    ]
    assert cli([*asked, "--rounds", "4"], standalone_mode=False) == 0
    assert cli([*asked, "--rounds", "4", "--strict"], standalone_mode=False) == 3


def test_a_gpu_that_was_asked_for_is_measured_or_exit_6(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [
        "bench",
        str(bundle),
        "--time",
        "quick",
        "--rounds",
        "1",
        "--batch",
        "1",
        "--device",
        "gpu",
        "--json",
    ]
    assert cli(asked, standalone_mode=False) == 6
    assert [row["outcome"] for row in json.loads(capsys.readouterr().out)["rows"]] == ["unavailable"]
    monkeypatch.setenv("FWEXPORT_FAKE_GPU", "1")
    assert cli(asked, standalone_mode=False) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert (row["device"], row["outcome"]) == ("gpu", "passed")
    both = times.load(bundle / times.TIMES, "torch/fake/fake/gpu/fake/threads 2/batch 1/float32/end_to_end")
    assert both is not None
    assert sum(map(len, both[0])) == row["end_to_end"]["n"]


def test_lists_may_be_written_with_commas(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = [
        "bench",
        str(bundle),
        "--time",
        "quick",
        "--rounds",
        "1",
        "--threads",
        "1,2",
        "--batch",
        "8,2",
        "--json",
    ]
    assert cli(asked, standalone_mode=False) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(row["threads"], row["batch"]) for row in rows] == [(1, 2), (1, 8), (2, 2), (2, 8)]
    with pytest.raises(click.BadParameter, match="'0' is not a whole number from 1 on"):
        cli(["bench", str(bundle), "--threads", "1,0"], standalone_mode=False)


def test_cases_are_every_combination_that_was_asked_for(bundle: Path) -> None:
    opened = open_bundle(bundle)
    found = cases(opened, BenchOptions(batches=(8, 1), threads=(1, 2)))
    assert [(case.threads, case.batch) for case in found] == [(1, 1), (1, 8), (2, 1), (2, 8)]
    assert [case.batch for case in cases(opened, BenchOptions())] == [1, 32]
    assert [case.batch for case in cases(opened, BenchOptions(sweep=True))] == [1]
    with pytest.raises(UsageError, match="no runtime here computes in 'int4'; what there is: float32"):
        cases(opened, BenchOptions(precisions=("int4",)))


def test_a_time_that_is_none_is_refused(bundle: Path) -> None:
    with pytest.raises(UsageError, match="--time is one of quick, default, full, not 'long'"):
        bench(bundle, BenchOptions(time="long"))


def test_a_bundle_without_its_samples_is_refused_before_anything_starts(bundle: Path) -> None:
    (bundle / "reference.npz").unlink()
    told: list[str] = []
    with pytest.raises(UsageError, match=r"reference\.npz is missing"):
        bench(bundle, QUICK, on_step=told.append)
    assert told == []


def test_a_file_that_was_changed_is_never_opened(bundle: Path) -> None:
    (bundle / "model.fake").write_text("{}")
    found = bench(bundle, QUICK)
    assert [row.outcome for row in found.rows] == ["failed", "failed"]
    assert exit_code(found.rows) == 1


def test_a_verdict_counts_only_for_the_same_version_of_the_runtime(bundle: Path) -> None:
    (cell,) = cells(open_bundle(bundle), devices=("cpu",))
    row = VerifyRow("torch", "fake", "fake", "cpu", "fake", "passed", artifact_sha256=cell.described.sha256)
    assert verdict_of(cell, {}, [row]) == "passed"
    assert verdict_of(cell, {"fake": "9"}, [row]) == "not verified"
    assert verdict_of(cell, {}, [replace(row, artifact_sha256="another")]) == "not verified"
