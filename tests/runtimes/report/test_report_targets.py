"""What other machines found of a bundle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import report_sample as sample

from runtimes.doubts import Doubt
from runtimes.report import report
from runtimes.rows import BenchResult, VerifyResult, save

PI = replace(
    sample.MACHINE, cpu="Cortex-A72", cores=4, doubts=(Doubt("temperature", "the CPU was at 84 degrees"),)
)


def litert(result: Any) -> Any:
    """The rows of a device that has one runtime."""
    return replace(result, machine=PI, rows=tuple(row for row in result.rows if row.runtime == "litert"))


def written(folder: Path, verify: VerifyResult | None, bench: BenchResult | None) -> tuple[str, str]:
    there = sample.write_bundle(folder / "torch", "torch") / "targets" / "pi@lab"
    there.mkdir(parents=True)
    for name, result in (("verify", verify), ("bench", bench)):
        if result is not None:
            save(there / f"{name}.json", result)
    made = report(folder / "torch")
    return made.markdown.read_text(), made.html.read_text()


def test_another_machine_has_its_section_beside_the_figures_of_this_one(tmp_path: Path) -> None:
    markdown, html = written(
        tmp_path, litert(sample.verify_result("torch")), litert(sample.bench_result("torch"))
    )
    said = markdown.split("## On pi@lab")[1].split("\n## ")[0]
    assert "Machine: Cortex-A72, 4 cores" in said
    assert "- temperature: the CPU was at 84 degrees" in said
    (verdict,) = [line for line in said.splitlines() if "| passed " in line and "4.92" in line]
    assert "torch/tflite/litert/cpu/xnnpack" in verdict
    assert said.count("| torch/tflite/litert/cpu/xnnpack |") == 3  # one verdict, two batches
    assert "1 of 1 rows on pi@lab" in markdown
    assert "passed: 7 of 7 rows passed" in markdown
    assert "torch/onnx" not in said
    assert '<section id="target-1"' in html


def test_a_mismatch_there_is_a_failure_of_the_whole(tmp_path: Path) -> None:
    verified = litert(sample.verify_result("torch"))
    row = replace(verified.rows[0], outcome="mismatch", reason="sample 3 is 99 times the noise away")
    markdown, _ = written(tmp_path, replace(verified, rows=(row,)), None)
    assert "failed: 7 of 7 rows passed" in markdown
    assert "torch/tflite/litert/cpu/xnnpack on pi@lab **mismatch**: sample 3" in markdown.replace(
        ":**", "**:"
    )


def test_a_runtime_that_it_does_not_have_is_no_problem(tmp_path: Path) -> None:
    verified = litert(sample.verify_result("torch"))
    gone = replace(verified.rows[0], runtime="savedmodel", outcome="unavailable", reason="install tensorflow")
    markdown, _ = written(tmp_path, replace(verified, rows=(*verified.rows, gone)), None)
    assert "passed: 7 of 7 rows passed" in markdown
    assert "install tensorflow" in markdown.split("## On pi@lab")[1]


@pytest.mark.parametrize("name", ["verify", "bench"])
def test_one_file_of_the_two_is_enough_and_no_rows_are_no_crash(tmp_path: Path, name: str) -> None:
    made: dict[str, Any] = {"verify": None, "bench": None}
    whole = sample.verify_result("torch") if name == "verify" else sample.bench_result("torch")
    made[name] = replace(litert(whole), rows=())
    markdown, _ = written(tmp_path, **made)
    assert "## On pi@lab" in markdown


def test_an_empty_folder_is_no_machine(tmp_path: Path) -> None:
    markdown, _ = written(tmp_path, None, None)
    assert "pi@lab" not in markdown
