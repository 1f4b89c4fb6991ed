"""What a list of rows stands for, and how a narrower run joins a wider one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runtimes.doubts import Doubt
from runtimes.errors import UsageError
from runtimes.exit_codes import exit_code, missed
from runtimes.machine import describe, same
from runtimes.merging import merged, rows_before
from runtimes.rows import SCHEMA, BenchRow, VerifyResult, VerifyRow, load_bench, load_verify, save

ROW = VerifyRow("torch", "onnx", "onnxruntime", "cpu", "cpu", "passed", artifact_sha256="a")


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        (["passed"], 0),
        (["passed", "unavailable"], 0),
        ([], 3),
        (["unavailable"], 3),
        (["passed", "inconclusive"], 3),
        (["passed", "mismatch", "inconclusive"], 1),
        (["passed", "failed"], 1),
        (["mismatch", "crashed"], 5),
        (["timeout", "passed"], 5),
    ],
)
def test_the_worst_outcome_decides(outcomes: list[str], code: int) -> None:
    assert exit_code([replace(ROW, outcome=outcome) for outcome in outcomes]) == code


def test_what_was_asked_for_by_name_must_be_there() -> None:
    rows = [ROW, replace(ROW, device="cuda", outcome="unavailable")]
    assert exit_code(rows) == 0
    assert exit_code(rows, devices=["cuda"]) == exit_code(rows, devices=["gpu"]) == 6
    assert exit_code(rows, devices=["cpu"]) == 0
    lacks_threads = replace(ROW, runtime="tfjs", outcome="unavailable")
    assert exit_code([ROW, lacks_threads], devices=["cpu"]) == 0
    assert exit_code([ROW, lacks_threads], devices=["cpu"], runtimes=["tfjs"]) == 6
    assert exit_code(rows, runtimes=["onnxruntime"]) == 6


def test_a_browser_that_was_asked_for_must_run_something(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtimes.adapters.fake.IN_BROWSER", True)
    wasm = replace(ROW, runtime="fake", backend="wasm")
    webgpu = replace(wasm, device="gpu", backend="webgpu", outcome="unavailable")
    assert exit_code([ROW, wasm, webgpu], browser=True) == 0  # Firefox without WebGPU
    assert exit_code([ROW, wasm, webgpu], runtimes=["fake"]) == 0
    assert exit_code([ROW, wasm, webgpu], browser=True, devices=["gpu"]) == 6
    nothing = [ROW, replace(wasm, outcome="unavailable"), webgpu]
    assert exit_code(nothing) == 0
    assert exit_code(nothing, browser=True) == exit_code(nothing, runtimes=["fake"]) == 6
    assert missed(nothing, (), (), browser=True) == nothing[1:]
    assert exit_code([ROW, replace(wasm, outcome="mismatch"), webgpu], browser=True) == 1


def test_a_narrower_run_replaces_its_own_rows_only() -> None:
    current = {"onnx": "a", "tflite": "b"}
    tflite = replace(ROW, artifact="tflite", runtime="litert", artifact_sha256="b")
    fresh = replace(ROW, outcome="mismatch")
    assert merged([tflite, ROW], [fresh], current) == (fresh, tflite)
    assert merged([replace(tflite, artifact_sha256="old")], [fresh], current) == (fresh,)
    one = BenchRow("torch", "onnx", "onnxruntime", "cpu", "cpu", 2, 1, artifact_sha256="a")
    assert merged([one], [replace(one, batch=32)], current) == (one, replace(one, batch=32))
    assert len(merged([one], [replace(one, threads=1)], current)) == 2
    missing = replace(one, outcome="unavailable")  # TF.js without Node, which has one thread where it is
    assert merged([missing], [replace(one, threads=1)], current) == (replace(one, threads=1),)


def test_rows_survive_their_file_and_damage_is_one_message(tmp_path: Path) -> None:
    result = VerifyResult(SCHEMA, "2026-01-01T00:00:00+00:00", describe(), (ROW,), ("a note",))
    save(tmp_path / "verify.json", result)
    assert load_verify(tmp_path / "verify.json") == result
    assert load_bench(tmp_path / "bench.json") is None
    (tmp_path / "verify.json").write_text('{"schema": 1')
    with pytest.raises(UsageError, match="damaged"):
        load_verify(tmp_path / "verify.json")


def test_a_damaged_earlier_result_does_not_stop_the_run_that_replaces_it(tmp_path: Path) -> None:
    path, here = tmp_path / "verify.json", describe()
    assert rows_before(path, load_verify, here) == []
    save(path, VerifyResult(SCHEMA, "2026-01-01T00:00:00+00:00", here, (ROW,)))
    assert rows_before(path, load_verify, here) == [ROW]
    assert rows_before(path, load_verify, replace(here, cpu="another")) == []
    path.write_text("{")
    assert rows_before(path, load_verify, here) == []


def test_a_machine_is_the_same_under_another_load() -> None:
    here = describe()
    assert here.cores >= 1
    assert here.memory_bytes > 1 << 28
    assert same(here, replace(here, load_1m=99.0, doubts=(Doubt("load", "busy"),)))
    assert not same(here, replace(here, cpu="another"))
