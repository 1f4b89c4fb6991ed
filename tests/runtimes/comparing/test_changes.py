"""Rows of two results of bench matched and judged, on times that are made up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from exporter.console_compare import print_compare
from runtimes.comparing.changes import Rule, compare_results, compare_row
from runtimes.comparing.compare_rows import CompareResult, CompareRow, Outcome, Side, exit_code
from runtimes.errors import UsageError
from runtimes.machine import describe
from runtimes.measuring.latency import Latency
from runtimes.report.compared import render
from runtimes.rows import SCHEMA, BenchResult, BenchRow

HERE = describe()
RULE = Rule(interleaved=True)


def latency(p50_ms: float, noise: float = 0.005, seed: int = 0, rounds: int = 10) -> Latency:
    """Ten rounds of one process whose medians move by ``noise``, as a share."""
    found = p50_ms / 1e3 * (1 + noise * np.random.default_rng(seed).standard_normal(rounds))
    return Latency(1000, p50_ms / 1e3, p50_ms / 1e3, rounds_p50_s=(tuple(found.tolist()),))


def row(p50_ms: float | None, artifact: str = "onnx", seed: int = 0, noise: float = 0.005) -> BenchRow:
    return BenchRow(
        "torch",
        artifact,
        "onnxruntime",
        "cpu",
        "cpu",
        threads=2,
        batch=1,
        outcome="passed" if p50_ms else "crashed",
        reason="" if p50_ms else "signal 11",
        compute=latency(p50_ms, noise, seed) if p50_ms else None,
        import_s=0.1,
        load_s=0.02,
        first_s=0.003,
        peak_rss_bytes=50_000_000,
        size_bytes=1_000_000,
        artifact_sha256=artifact,
        verdict="passed",
        versions={"onnxruntime": "1.24.0"},
    )


def test_software_that_played_a_device_on_either_side_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    gpu = replace(row(1.0), runtime="onnxruntime_web", device="gpu", backend="webgl")
    played = replace(gpu, emulated="SwiftShader")
    for old, new in ((played, gpu), (gpu, played)):
        found = compare_results(result(old), result(new), RULE)
        assert found[0].emulated == "SwiftShader"
    side = Side("old", "2026-01-01T00:00:00+00:00", "quick", HERE)
    print_compare(CompareResult(1, side.created, 0.05, True, side, side, tuple(found)))
    out = capsys.readouterr().out
    assert "onnxruntime_web webgl* " in out
    assert "* gpu, played by SwiftShader: its times say nothing about a real device" in out
    assert compare_results(result(gpu), result(gpu), RULE)[0].emulated == ""


def test_rows_on_a_device_that_software_plays_decide_nothing() -> None:
    played = replace(row(1.0), device="gpu", emulated="SwiftShader")
    crashed = replace(played, compute=None, outcome="crashed", reason="signal 11")
    same = only(row(1.0, seed=1), row(1.0, seed=2))
    side = Side("old", "2026-01-01T00:00:00+00:00", "quick", HERE)
    for new, reason in (
        (replace(played, compute=latency(2.0)), ""),
        (replace(played, compute=latency(0.5)), ""),
        (crashed, "failed: crashed: signal 11"),
    ):
        found = only(played, new)
        assert (found.outcome, found.reason) == ("emulated", reason)
        assert (exit_code([found, same], strict=True), exit_code([found])) == (0, 3)
        for rows, said in (
            ((found, same), "✓ fwexport compare: 1 same\n"),
            ((found,), "? fwexport compare: n"),
        ):
            text = render(CompareResult(1, side.created, 0.05, True, side, side, rows))
            assert said in text
            assert "SwiftShader played its gpu: its times say nothing about a real device" in text


def result(*rows: BenchRow) -> BenchResult:
    return BenchResult(SCHEMA, "2026-01-01T00:00:00+00:00", HERE, "quick", rows)


def only(old: BenchRow, new: BenchRow, rule: Rule = RULE) -> CompareRow:
    (found,) = compare_results(result(old), result(new), rule)
    return found


@pytest.mark.parametrize(
    ("new_ms", "noise", "outcome", "code"),
    [
        (1.00, 0.005, "same", 0),
        (1.03, 0.005, "same", 0),  # surely slower, but by less than the threshold
        (1.30, 0.005, "slower", 1),
        (0.70, 0.005, "faster", 0),
        (1.08, 0.300, "unclear", 3),
    ],
)
def test_slower_is_beyond_noise_and_threshold(
    new_ms: float, noise: float, outcome: Outcome, code: int
) -> None:
    found = only(row(1.0, seed=1, noise=noise), row(new_ms, seed=2, noise=noise))
    assert found.outcome == outcome, found
    assert exit_code([found]) == code
    assert found.compute is not None
    assert found.compute.old == 0.001
    assert found.compute.interval is not None
    low, high = found.compute.interval
    assert low < found.compute.ratio < high
    assert bool(found.reason) == (outcome == "unclear")


def test_a_row_that_is_unclear_fails_only_a_strict_gate() -> None:
    clear, unclear = (
        only(row(1.0, seed=1), row(1.0, seed=2)),
        replace(only(row(1.0), row(1.0)), outcome="unclear"),
    )
    assert exit_code([clear, unclear]) == 0
    assert exit_code([clear, unclear], strict=True) == 3
    assert exit_code([unclear]) == 3


def test_the_threshold_is_a_persons() -> None:
    assert only(row(1.0, seed=1), row(1.3, seed=2), Rule(0.5, interleaved=True)).outcome == "same"
    assert only(row(1.0, seed=1), row(1.04, seed=2), Rule(0.02, interleaved=True)).outcome == "slower"


def test_times_of_two_machines_decide_nothing_unless_asked() -> None:
    old, new = result(row(1.0)), result(row(1.3, seed=2))
    other = replace(new, machine=replace(HERE, cpu="Cortex-A76", cores=HERE.cores + 1))
    (found,) = compare_results(old, other, RULE)
    assert (found.outcome, exit_code([found])) == ("unclear", 3)
    assert "Cortex-A76" in found.reason
    assert found.compute is not None
    (found,) = compare_results(old, other, replace(RULE, across_machines=True))
    assert found.outcome == "slower"


def test_what_is_not_measured_any_more_fails_the_gate() -> None:
    found = compare_row(row(1.0), row(None), RULE)
    assert (found.outcome, found.reason, exit_code([found])) == ("failed", "crashed: signal 11", 1)
    found = compare_row(row(1.0), None, RULE)
    assert (found.outcome, found.new_source, exit_code([found])) == ("missing", "", 1)
    absent = replace(row(None), outcome="unavailable", reason="pip install it")
    found = compare_row(row(1.0), absent, RULE)
    assert (found.outcome, found.reason) == ("missing", "unavailable: pip install it")


def test_what_was_not_measured_before_is_no_failure() -> None:
    same = only(row(1.0), row(1.0, seed=2))
    for old in (None, row(None)):
        found = compare_row(old, row(1.0), RULE)
        assert (found.outcome, exit_code([found, same])) == ("new", 0)
        assert exit_code([found]) == 3
    found = compare_row(row(None), row(None), RULE)
    assert (found.outcome, found.reason) == ("skipped", "crashed: signal 11")
    assert compare_row(row(None), None, RULE).outcome == "skipped"


def test_what_was_asked_for_by_name_must_be_there() -> None:
    absent = replace(row(None), device="cuda", outcome="unavailable", reason="no GPU")
    found = compare_row(absent, absent, RULE)
    same = only(row(1.0), row(1.0, seed=2))
    assert (found.outcome, found.reason) == ("unavailable", "unavailable: no GPU")
    assert exit_code([found, same]) == 0
    assert (
        exit_code([found, same], devices=["gpu"]) == exit_code([found, same], runtimes=["onnxruntime"]) == 6
    )


def test_rows_are_in_the_old_order_and_new_ones_last() -> None:
    old = result(row(1.0, "onnx"), row(1.0, "tflite"))
    new = result(row(1.0, "tfjs"), row(1.0, "tflite"), row(1.0, "onnx"))
    assert [found.artifact for found in compare_results(old, new, RULE)] == ["onnx", "tflite", "tfjs"]


def test_another_source_is_compared_where_each_side_has_one() -> None:
    keras = replace(row(1.0, seed=2), source="keras")
    found = only(row(1.0), keras)
    assert (found.old_source, found.new_source, found.outcome) == ("torch", "keras", "same")
    apart = compare_results(result(row(1.0)), result(row(1.0), keras), RULE)
    assert [found.outcome for found in apart] == ["same", "new"]


def test_another_batch_thread_count_or_precision_is_another_row() -> None:
    for other in ({"batch": 8}, {"threads": 1}, {"precision": "tf32"}):
        found = compare_results(result(row(1.0)), result(replace(row(1.0), **other)), RULE)  # type: ignore[arg-type]
        assert [one.outcome for one in found] == ["missing", "new"]


def test_a_row_that_was_never_opened_is_that_of_any_thread_count() -> None:
    """TF.js takes one thread, which is known once it has been opened."""
    old, closed = replace(row(1.0), threads=1), replace(row(None), versions={})
    (found,) = compare_results(result(old), result(closed), RULE)
    assert (found.outcome, found.reason) == ("failed", "crashed: signal 11")
    several = result(old, replace(old, threads=4))
    assert [one.outcome for one in compare_results(several, result(closed), RULE)] == ["failed", "missing"]


def test_rows_that_cannot_be_told_apart_are_said() -> None:
    with pytest.raises(UsageError, match="two rows are torch/onnx/onnxruntime"):
        compare_results(result(row(1.0), row(2.0)), result(row(1.0)), RULE)


def test_on_a_gpu_the_worse_of_computing_and_copying_decides() -> None:
    old = replace(row(1.0), end_to_end=latency(2.0, seed=3))
    new = replace(row(1.0, seed=4), end_to_end=latency(3.0, seed=5))
    found = only(old, new)
    assert found.outcome == "slower"
    assert found.compute is not None
    assert found.end_to_end is not None
    assert found.compute.ratio < 1.05 < 1.4 < found.end_to_end.ratio


def test_the_legend_says_what_the_ratio_is_of_and_what_counts(capsys: pytest.CaptureFixture[str]) -> None:
    gpu = replace(row(1.0), device="gpu", end_to_end=latency(2.0))
    skewed = replace(row(1.0), compute=replace(latency(1.0, seed=2), p50_s=0.002))
    bare = replace(row(1.0), compute=Latency(100, 0.001, 0.001))
    side = Side("old", "2026-01-01T00:00:00+00:00", "quick", HERE)
    for old, new, legend in (
        (row(1.0), skewed, "so their quotient may differ; each row counts once old and"),
        (gpu, gpu, "each row counts once, by the worse of computing and end to end old and"),
        (
            gpu,
            replace(gpu, emulated="SwiftShader"),
            "those on a device that software played do not count old",
        ),
        (bare, bare, ""),
    ):
        found = only(old, new)
        print_compare(CompareResult(1, side.created, 0.05, True, side, side, (found,)))
        out = " ".join(capsys.readouterr().out.split())
        assert legend in out
        assert ("medians of the rounds" in out) == bool(legend)
        if new is skewed:
            assert found.compute is not None
            assert (found.outcome, found.compute.new / found.compute.old) == ("same", 2.0)
            assert found.compute.ratio < 1.05


def test_rows_without_rounds_decide_nothing() -> None:
    bare = replace(row(1.0), compute=Latency(100, 0.001, 0.001))
    found = only(bare, row(1.0))
    assert (found.outcome, found.reason) == ("unclear", "its rounds were not kept: bench again")


@pytest.mark.parametrize("p50_s", [0.0, -0.001])
def test_a_time_without_a_ratio_decides_nothing(p50_s: float) -> None:
    none = replace(row(1.0), compute=replace(latency(1.0), p50_s=p50_s))
    for found in (only(none, row(1.0)), only(row(1.0), none)):
        assert (found.outcome, found.compute) == ("unclear", None)
        assert found.reason == "a time that is not above 0 s has no ratio: bench again"


def test_what_else_changed_is_said_and_decides_nothing() -> None:
    new = replace(
        row(1.0, seed=2),
        size_bytes=1_100_000,
        peak_rss_bytes=40_000_000,
        import_s=0.2,
        verdict="mismatch",
        versions={"onnxruntime": "1.25.0"},
        settings={"spin": "off"},
        compute=replace(latency(1.0, seed=2), flags=("drift",)),
    )
    found = only(row(1.0), new)
    assert found.outcome == "same"
    assert [
        change and change.changed for change in (found.cold_s, found.peak_rss_bytes, found.size_bytes)
    ] == [True] * 3
    assert found.size_bytes is not None
    assert found.size_bytes.ratio == pytest.approx(1.1)
    assert (found.old_flags, found.new_flags) == ((), ("drift",))
    assert found.notes == (
        "the verdict on the new file is 'mismatch', on the old 'passed'",
        "onnxruntime 1.24.0 -> 1.25.0",
        "setting spin none -> off",
    )
    found = only(row(1.0), replace(row(1.0), size_bytes=1_040_000, import_s=0.12))
    assert not any(
        change and change.changed for change in (found.cold_s, found.peak_rss_bytes, found.size_bytes)
    )
    assert found.notes == ()
