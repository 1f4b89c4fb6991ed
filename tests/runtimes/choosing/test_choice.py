"""Requirements read, rows judged by them, the Pareto front and the row to deploy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runtimes.choosing.choice import choose
from runtimes.choosing.requirements import METRICS, Requirement, parse
from runtimes.errors import UsageError
from runtimes.measuring.latency import Latency
from runtimes.rows import BenchRow, VerifyRow, bench_name


def timed(
    artifact: str, p90_ms: float, spread_ms: float = 0.0, size_mb: float = 1.0, batch: int = 1
) -> BenchRow:
    p90 = p90_ms / 1e3
    ends = (p90 - spread_ms / 1e3, p90 + spread_ms / 1e3)
    return BenchRow(
        "torch",
        artifact,
        "onnxruntime",
        "cpu",
        "cpu",
        threads=2,
        batch=batch,
        compute=Latency(100, p90, p90, p90_s=p90, p50_interval=ends, p90_interval=ends),
        throughput_per_s=batch / p90,
        import_s=0.1,
        load_s=0.02,
        first_s=0.003,
        size_bytes=int(size_mb * 1e6),
        artifact_sha256=artifact,
        verdict="passed",
    )


def judged(artifact: str, accuracy: float | None) -> VerifyRow:
    return VerifyRow(
        "torch",
        artifact,
        "onnxruntime",
        "cpu",
        "cpu",
        "passed",
        accuracy=accuracy,
        top1_agreement=1.0,
        artifact_sha256=artifact,
    )


def name(artifact: str, batch: int = 1) -> str:
    return bench_name(timed(artifact, 1, batch=batch))


def test_no_device_that_software_plays_is_recommended() -> None:
    rows = [replace(timed("fast", 1), emulated="SwiftShader", device="gpu"), timed("real", 4)]
    found = choose(rows, [], parse(["p90_ms<5"]))
    assert found.recommended == name("real")
    assert found.pareto == (name("real"),)
    assert found.rows[0].reason == "SwiftShader played its gpu: its times say nothing about a real device"


def test_requirements_are_read_in_their_order() -> None:
    found = parse(["p90_ms<5, size_mb<=2", "accuracy>0.97"])
    assert found == (
        Requirement("p90_ms", "<", 5),
        Requirement("size_mb", "<=", 2),
        Requirement("accuracy", ">", 0.97),
    )
    assert [str(one) for one in found] == ["p90_ms<5", "size_mb<=2", "accuracy>0.97"]
    assert parse([str(one) for one in found]) == found
    assert [str(one) for one in parse(["per_s>1234567,size_mb<0.12345678"])] == [
        "per_s>1234567",
        "size_mb<0.12345678",
    ]
    assert found[1].allows(2)
    assert not found[0].allows(5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("p95_ms<5", "no metric 'p95_ms'. The metrics are: p50_ms, p90_ms,"),
        ("p90_ms", "A shell needs quotes"),  # where a shell took <5 for a file
        ("p90_ms<5,", "--require 'p90_ms<5,': nothing is required before or after one of its commas"),
        ("", "--require '': nothing is required"),
        ("p90_ms=5", "one of < <= > >="),
        ("p90_ms<5ms", "'5ms' is not a plain number"),
        ("p90_ms<nan", "'nan' is not a plain number"),
        ("p90_ms<-1", "no p90_ms is below 0"),
        ("per_s>-inf", "no per_s is below 0"),
        ("p90_ms>5", "less p90_ms is better, so a limit is p90_ms<5"),
        ("per_s<5", "more per_s is better, so a limit is per_s>5"),
        ("accuracy>97", "a share, from 0 to 1: accuracy>0.97?"),
    ],
)
def test_what_cannot_be_required_is_said(text: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        parse([text])
    assert said in str(error.value)


def test_every_metric_has_its_unit() -> None:
    row = replace(
        timed("onnx", 4.0),
        compute=Latency(9999, 0.001, 0.002, 0.003, 0.004),
        peak_rss_bytes=5_000_000,
        added_rss_bytes=6_000_000,
        gpu_memory_bytes=7_000_000,
    )
    found = {key: metric.read(row, judged("onnx", 0.9)) for key, metric in METRICS.items()}
    assert {key: round(figure.value, 6) for key, figure in found.items() if figure} == {
        "p50_ms": 1,
        "p90_ms": 3,
        "p99_ms": 4,
        "mean_ms": 2,
        "per_s": 250,
        "load_ms": 20,
        "first_ms": 3,
        "cold_ms": 123,
        "size_mb": 1,
        "peak_mb": 5,
        "added_mb": 6,
        "gpu_mb": 7,
        "accuracy": 0.9,
        "top1": 1,
    }


def test_a_time_is_what_the_caller_waits_for() -> None:
    with_copies = replace(timed("onnx", 1.0), end_to_end=Latency(100, 0.009, 0.009, 0.009))
    found = choose([with_copies], [], parse(["p90_ms<5"]))
    assert (found.rows[0].reason, found.recommended) == ("p90_ms is 9, not <5", None)


def test_a_limit_is_kept_by_the_worse_end_of_an_interval() -> None:
    rows = [timed("a", 4.5, 0.2), timed("b", 4.9, 0.2), timed("c", 5.1, 0.2)]
    found = choose(rows, [], parse(["p90_ms<5"]))
    assert [row.meets for row in found.rows] == [True, False, False]
    assert [row.checks[0].outcome for row in found.rows] == ["met", "within noise", "missed"]
    assert found.rows[1].reason == "p90_ms 4.9 is <5 only within noise (4.7 to 5.1)"
    assert found.rows[0].checks[0].margin == pytest.approx(0.06)  # from 4.7, its worse end
    assert found.rows[2].checks[0].margin == pytest.approx(-0.06)


def test_what_is_not_known_is_not_met() -> None:
    found = choose([timed("a", 1.0)], [judged("a", None)], parse(["p99_ms<5", "accuracy>0.9", "peak_mb<10"]))
    assert {check.outcome for check in found.rows[0].checks} == {"unknown"}
    assert (
        "p99_ms is not known: a p99 needs 662 runs, and 100 were timed; measure longer"
        in found.rows[0].reason
    )
    assert "accuracy is not known" in found.rows[0].reason
    assert found.recommended is None


def test_accuracy_is_that_of_the_same_file_in_the_same_runtime() -> None:
    other = replace(judged("a", 0.99), runtime="litert")
    older = replace(judged("a", 0.98), artifact_sha256="before")
    found = choose([timed("a", 1.0)], [other, older, judged("a", 0.95)], parse(["accuracy>0.97"]))
    assert found.rows[0].reason == "accuracy is 0.95, not >0.97"


@pytest.mark.parametrize("verdict", ["mismatch", "not verified", "inconclusive"])
def test_only_what_is_proven_is_recommended(verdict: str) -> None:
    fastest = replace(timed("a", 1.0), verdict=verdict)
    found = choose([fastest, timed("b", 2.0)], [], parse(["p90_ms<5"]))
    assert (found.recommended, found.pareto) == (name("b"), (name("b"),))
    assert found.rows[0].reason == f"its verdict is {verdict!r}: run `fwexport verify`"
    assert choose([fastest], [], parse(["p90_ms<5"])).recommended is None


def test_a_row_that_could_not_run_says_why() -> None:
    absent = replace(timed("a", 1.0), outcome="unavailable", reason="no GPU", compute=None)
    found = choose([absent], [], parse(["p90_ms<5"]))
    assert found.rows[0].reason == "it is unavailable: no GPU"
    assert found.pareto == ()


def test_the_front_has_what_nothing_beats() -> None:
    fast = timed("fast", 1.0, size_mb=3)
    small = timed("small", 2.0, size_mb=1)
    beaten = timed("beaten", 2.5, size_mb=1)
    same = timed("same", 2.0, size_mb=1)
    large = timed("fast", 9.0, size_mb=3, batch=32)  # another batch: its time is no rival's
    found = choose([fast, small, beaten, same, large], [], parse(["p90_ms<10"]))
    assert found.axes == ("p90_ms", "size_mb")
    assert found.pareto == (name("fast"), name("small"), name("same"), name("fast", 32))


def test_the_front_is_over_what_is_required_and_always_time_size_and_what_is_right() -> None:
    rows, verified = [timed("a", 1.0)], [judged("a", 0.9)]
    assert choose(rows, verified, parse(["cold_ms<500"])).axes == ("cold_ms", "p50_ms", "size_mb", "accuracy")
    assert choose(rows, [judged("a", None)], parse(["mean_ms<5"])).axes == ("mean_ms", "size_mb", "top1")
    right, wrong = timed("right", 2.0), timed("wrong", 1.0)
    verified = [judged("right", 0.99), judged("wrong", 0.90)]
    assert len(choose([right, wrong], verified, parse(["p90_ms<5"])).pareto) == 2


def test_the_first_requirement_decides_and_within_its_noise_the_next() -> None:
    fast, small = timed("fast", 1.00, 0.02, size_mb=1.9), timed("small", 1.50, 0.02, size_mb=0.2)
    assert choose([small, fast], [], parse(["p90_ms<5,size_mb<2"])).recommended == name("fast")
    assert choose([fast, small], [], parse(["size_mb<2,p90_ms<5"])).recommended == name("small")
    close = timed("close", 1.01, 0.02, size_mb=0.2)
    assert choose([fast, close], [], parse(["p90_ms<5,size_mb<2"])).recommended == name("close")
    assert choose([fast, close], [], parse(["p90_ms<5"])).recommended == name("fast")
    one, many = timed("a", 1.0), timed("a", 8.0, batch=32)
    assert choose([one, many], [], parse(["per_s>500"])).recommended == name("a", 32)
    assert choose([one, many], [], parse(["p90_ms<9"])).recommended == name("a")


def test_the_recommended_row_lies_on_the_front() -> None:
    rows = [timed(str(i), 1 + (i * 7 % 5) / 10, (i % 3) / 10, size_mb=1 + i * 3 % 4) for i in range(12)]
    for text in ("p90_ms<1.3,size_mb<3", "size_mb<=2,p90_ms<2", "p50_ms<1.25", "per_s>700,p90_ms<9"):
        found = choose(rows, [], parse([text]))
        met = [row.name for row in found.rows if row.meets]
        assert met
        assert found.recommended in set(met) & set(found.pareto)
