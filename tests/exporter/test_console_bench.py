"""The table of bench as a terminal shows it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.console_bench import print_bench
from runtimes.doubts import Doubt
from runtimes.measuring.latency import Latency
from runtimes.rows import BenchRow

SURE = Latency(9000, 0.000231, 0.00024, p90_s=0.00027, p50_interval=(0.00023, 0.000233))
ROW = BenchRow(
    "keras",
    "torchscript",
    "torchscript",
    "cpu",
    "torch",
    2,
    32,
    import_s=1.2,
    load_s=0.04,
    first_s=0.01,
    compute=SURE,
    throughput_per_s=133_333.0,
    added_rss_bytes=1_210_000_000,
    stable=True,
)


def shown(
    capsys: pytest.CaptureFixture[str], *rows: BenchRow, doubts: tuple[Doubt, ...] = ()
) -> tuple[str, str]:
    print_bench(rows, doubts)
    return capsys.readouterr()


def cells(out: str, word: str) -> list[str]:
    """The cells of the one line with this word."""
    (line,) = [line for line in out.splitlines() if word in line]
    return line.split()


def test_a_row_says_how_fast_and_how_sure(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = shown(capsys, ROW)
    (line,) = [line for line in out.splitlines() if "keras/torchscript" in line]
    assert " ".join(line.split()) == "keras/torchscript torchscript 32 0.231 0.9 % 0.270 133,000 1.25 1210"
    assert "~" not in out
    assert err == ""


def test_times_of_a_gpu_that_software_plays_say_nothing_of_one(capsys: pytest.CaptureFixture[str]) -> None:
    webgl = replace(ROW, runtime="tfjs_browser", device="gpu", backend="webgl", emulated="SwiftShader")
    out, _ = shown(capsys, ROW, webgl)
    assert cells(out, "webgl")[1:4] == ["tfjs_browser", "webgl*", "32"]
    assert out.count("*") == 2
    assert "* gpu, played by SwiftShader: its times say nothing about a real device" in out


def test_the_table_fits_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    slow = replace(SURE, p50_s=12.3456, p90_s=23.4567, p50_interval=(1.0, 20.0), flags=("drift",))
    out, _ = shown(capsys, ROW, replace(ROW, runtime="onnxruntime", compute=slow))
    table = out[: out.index("±: how")]
    assert max(map(len, table.splitlines())) <= 80
    assert "…" not in table


def test_what_a_flag_means_is_said_once_with_its_rows(capsys: pytest.CaptureFixture[str]) -> None:
    drifting = replace(ROW, compute=replace(SURE, flags=("drift", "bimodal")), stable=False)
    out, _ = shown(capsys, drifting, replace(drifting, batch=1), ROW)
    said = " ".join(out.split())
    assert said.count("~ drift: ") == said.count("~ bimodal: ") == 1
    assert "while it was measured" in said
    assert said.count("keras/torchscript in torchscript, batch 32 and 1") == 2
    assert said.count("0.231~") == 2


def test_batches_that_fail_alike_say_so_once(capsys: pytest.CaptureFixture[str]) -> None:
    failed = replace(ROW, compute=None, outcome="unavailable", reason="no GPU")
    out, _ = shown(capsys, failed, replace(failed, batch=1), replace(failed, device="cuda"))
    assert out.count("torchscript (torch) on cpu: unavailable: no GPU") == 1
    assert out.count("no GPU") == 2


def test_doubts_about_the_machine_are_warnings_each_once(capsys: pytest.CaptureFixture[str]) -> None:
    doubt = Doubt("steal", "the host took 4 % of the CPU time")
    out, err = shown(capsys, ROW, doubts=(doubt, doubt))
    assert "the host took" not in out
    (line,) = err.splitlines()
    assert line.startswith(
        "warning: these figures are doubtful: the host took 4 % of the CPU time (measure on a "
    )


def test_threads_and_precision_show_where_they_differ(capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = shown(capsys, ROW, replace(ROW, threads=1), replace(ROW, artifact="onnx"))
    assert "keras/torchscript torchscript x2" in out
    assert "keras/torchscript torchscript x1" in out
    assert "float32" not in out
    out, _ = shown(capsys, ROW, replace(ROW, precision="tf32"))
    assert "x2" not in out
    assert "keras/torchscript torchscript tf32" in out
    out, _ = shown(capsys, ROW, replace(ROW, threads=1), replace(ROW, batch=64))
    assert cells(out, " 64 ")[1:4] == ["torchscript", "x2", "64"]
    out, _ = shown(capsys, ROW, replace(ROW, artifact="tfjs", threads=1))
    assert "x1" not in out


def test_many_rows_of_one_flag_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    cold = replace(SURE, flags=("not warm",))
    out, _ = shown(capsys, ROW, *[replace(ROW, artifact=f"a{i}", compute=cold) for i in range(5)])
    assert "may be lower: 5 of 6 timings" in " ".join(out.split())


def test_a_gpu_shows_both_times(capsys: pytest.CaptureFixture[str]) -> None:
    whole = replace(SURE, p50_s=0.0015, mean_s=0.0016, p50_interval=None, flags=("unsteady",))
    out, _ = shown(capsys, replace(ROW, device="cuda", end_to_end=whole))
    assert "torchscript cuda" in out
    (line,) = [line for line in out.splitlines() if line.strip().startswith("end to end")]
    assert line.split()[3:] == ["1.50~", "0.270", "20,000"]
    assert "torchscript cuda, end to end, batch 32" in " ".join(out.split())


def test_what_is_not_known_is_a_dash_and_a_failure_has_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    bare = BenchRow("torch", "onnx", "onnxruntime", "cpu", "cpu", 2, 1, compute=Latency(3, 0.001, 0.001))
    crashed = replace(bare, artifact="tflite", outcome="crashed", reason="signal 9 [/bold]", compute=None)
    out, _ = shown(capsys, bare, crashed)
    assert cells(out, "torch/onnx ") == ["torch/onnx", "onnxruntime", "1", "1.00", "-", "-", "-", "-"]
    assert "torch/tflite in onnxruntime (cpu) on cpu: crashed: signal 9 [/bold]" in out
    out, _ = shown(capsys, crashed)
    assert "±: how far" not in out
