"""The files for a continuous integration: red where the exit code is, whole for any words, one case per row."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
import report_sample as sample

from runtimes.exit_codes import missed
from runtimes.explanation import Cause, Explanation
from runtimes.report.suite import Suite, row_name, write_files
from runtimes.rows import Outcome, VerifyRow

ROW = replace(sample.verify_result("torch").rows[1], wall_s=1.25)
EXPLAINED = Explanation(
    first_layers=("conv2",),
    last_good="conv1",
    causes=(Cause("padding off by one", "source", "conv2 pads behind only", 1.3),),
)


def suite(*rows: VerifyRow, name: str = "torch", notes: tuple[str, ...] = ()) -> Suite:
    result = replace(sample.verify_result("torch"), rows=rows, notes=notes)
    return Suite(name, result, missed(result.rows, ("cuda",), ()).__contains__)


def written(tmp_path: Path, *suites: Suite) -> tuple[ET.Element, str]:
    write_files(suites, tmp_path / "junit.xml", tmp_path / "comment.md")
    return ET.parse(tmp_path / "junit.xml").getroot(), (tmp_path / "comment.md").read_text()


def with_outcome(outcome: Outcome, **more: object) -> VerifyRow:
    return replace(ROW, outcome=outcome, reason=f"it is {outcome}", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("row", "tag"),
    [
        (ROW, None),
        (with_outcome("mismatch"), "failure"),
        (with_outcome("failed"), "failure"),
        (with_outcome("crashed"), "error"),
        (with_outcome("timeout"), "error"),
        (with_outcome("inconclusive"), "error"),
        (with_outcome("unavailable"), "skipped"),
        (with_outcome("unavailable", device="gpu"), "error"),  # cuda was asked for by name
        (with_outcome("passed"), None),
    ],
)
def test_a_row_is_a_case(tmp_path: Path, row: VerifyRow, tag: str | None) -> None:
    root, _ = written(tmp_path, suite(row))
    (case,) = root.iter("testcase")
    assert (case.get("classname"), case.get("name")) == ("torch.onnx", row_name(row))
    assert case.get("time") == "1.250"
    assert [child.tag for child in case] == ([tag] if tag else []) + ["system-out"]
    output = (case.findtext("system-out") or "").splitlines()
    assert output[0] == (row.reason if row.reason and not tag else "n: 91")
    if tag in ("failure", "error"):
        found = case.find(tag)
        assert found is not None
        assert (found.get("type"), found.get("message")) == (row.outcome, row.reason)


def test_suites_count_their_cases(tmp_path: Path) -> None:
    outcomes: tuple[Outcome, ...] = ("passed", "mismatch", "failed", "crashed", "unavailable", "unavailable")
    root, _ = written(tmp_path, suite(*map(with_outcome, outcomes)), suite(ROW, name="keras"))
    counts = ("tests", "failures", "errors", "skipped")
    assert [[each.get(name) for name in counts] for each in root] == [
        ["6", "2", "1", "2"],
        ["1", "0", "0", "0"],
    ]
    assert [root.get(name) for name in counts] == ["7", "2", "1", None]
    assert [each.get("name") for each in root] == ["torch", "keras"]
    assert (root.get("time"), root[0].get("timestamp")) == ("8.750", "2026-03-04T10:21:02+00:00")


def test_a_case_has_the_figures_as_its_output(tmp_path: Path) -> None:
    root, _ = written(tmp_path, suite(ROW, notes=("a note",)))
    about = {p.get("name"): p.get("value") for p in root.iter("property")}
    assert about["cpu"] == sample.MACHINE.cpu
    assert about["note 1"] == "a note"
    output = (root.findtext(".//system-out") or "").splitlines()
    version = sample.VERSIONS["onnxruntime"]["onnxruntime"]
    for line in (
        "max_noise_ratio: 1.31",
        "top1_interval: 0.98981 to 1.0",
        f"version of onnxruntime: {version}",
    ):
        assert line in output
    assert "needed_n" not in " ".join(output)


def test_the_strictest_reader_knows_every_element_and_attribute(tmp_path: Path) -> None:
    """Those of junit-10.xsd in Jenkins's xUnit plugin, which refuses a file with any other."""
    known = {
        "testsuites": ({"testsuite"}, {"name", "time", "tests", "failures", "errors"}),
        "testsuite": (
            {"properties", "testcase"},
            {"name", "tests", "failures", "errors", "skipped", "time", "timestamp"},
        ),
        "properties": ({"property"}, set()),
        "property": (set(), {"name", "value"}),
        "testcase": ({"skipped", "error", "failure", "system-out"}, {"name", "time", "classname"}),
        **dict.fromkeys(("skipped", "error", "failure"), (set(), {"type", "message"})),
        "system-out": (set(), set()),
    }
    outcomes: tuple[Outcome, ...] = ("passed", "mismatch", "crashed", "unavailable")
    root, _ = written(tmp_path, suite(*map(with_outcome, outcomes), notes=("a note",)))
    for element in root.iter():
        children, attributes = known[element.tag]
        assert {child.tag for child in element} <= children
        assert set(element.attrib) <= attributes


def test_the_comment_begins_with_the_outcome_and_folds_what_passed(tmp_path: Path) -> None:
    wrong = with_outcome("mismatch", explanation=EXPLAINED)
    root, text = written(tmp_path, suite(wrong, ROW, with_outcome("unavailable")), suite(ROW, name="keras"))
    head, _, folded = text.partition("<details>")
    assert "### ✗ fwexport verify: 2 of 4 rows passed, 1 mismatch, 1 unavailable" in head
    assert "| torch: onnx in onnxruntime (cpu) on cpu | ✗ mismatch | it is mismatch |" in head
    assert "padding off by one: conv2 pads behind only; first layer that differs: conv2 |" in head
    assert "--explain" not in head
    assert "<summary>2 passed, 1 unavailable</summary>" in folded
    assert "| 1.31 | 100 % (98.98 to 100 %) | 98.3 %, 0.00 (-1.06 to +1.06) |" in folded
    assert "- torch: onnx in onnxruntime (cpu) on cpu: unavailable: it is unavailable\n" in folded
    assert "first layer that differs: conv2" in (root.findtext(".//failure") or "")


@pytest.mark.parametrize(
    ("rows", "head"),
    [
        ((ROW, ROW), "✓ fwexport verify: 2 of 2 rows passed\n"),
        ((with_outcome("unavailable"),), "? fwexport verify: 0 of 1 rows passed, 1 unavailable\n"),
        ((ROW, with_outcome("inconclusive")), "✗ fwexport verify: 1 of 2 rows passed, 1 inconclusive\n"),
        ((), "? fwexport verify: 0 of 0 rows passed\n"),
    ],
)
def test_not_run_is_never_passed(tmp_path: Path, rows: tuple[VerifyRow, ...], head: str) -> None:
    assert head in written(tmp_path, suite(*rows))[1]


def test_an_unexplained_mismatch_says_how_to_have_it_explained(tmp_path: Path) -> None:
    assert "--explain" in written(tmp_path, suite(with_outcome("mismatch")))[1]


def test_any_words_are_harmless(tmp_path: Path) -> None:
    hostile = sample.HOSTILE + "\x00\ufffe\ud800 @octocat fixes #12 __init__ ]]>"
    root, text = written(tmp_path, suite(replace(ROW, outcome="crashed", reason=hostile), name=hostile))
    assert '<script>alert("x")</script> | **bold** `code' in (root.findtext(".//error") or "")
    table = text.split("\n\n")[2]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()} == {5}
    unescaped = re.sub(r"\\.", "", text)
    for live in ("<script", "](", "**", "`", "@octocat", "#12", "__", "\x00", "\x1b"):
        assert live not in unescaped


@pytest.mark.parametrize(
    ("reason", "listed"), [("it is so", 100), ("<word> " * 500, 20), ("@x@x@x@x " * 100, 5)]
)
def test_a_comment_is_never_too_long_for_github(tmp_path: Path, reason: str, listed: int) -> None:
    wrong = replace(with_outcome("mismatch"), reason=reason, explanation=EXPLAINED)
    skipped = replace(with_outcome("unavailable"), reason=reason)
    notes = tuple(f"{i}{reason}" for i in range(300))
    _, text = written(tmp_path, suite(*[wrong] * 300, *[ROW] * 300, *[skipped] * 300, notes=notes))
    assert text.count(f"and {300 - listed} more") == 4
    assert len(text) < 65_536
