"""Verdicts as JUnit XML, as Jenkins, GitLab and GitHub's actions read it: a suite per bundle, a case per row.

A mismatch, a wrong structure and a wrong checksum are failures; a crash, a timeout, an inconclusive row and what was
asked for by name and is not here are errors; what else is not here is skipped. A case's figures are its output: the
strictest reader's schema (junit-10.xsd of Jenkins's xUnit plugin) has properties in a suite alone.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from runtimes.explanation import in_words
from runtimes.report.suite import Suite, row_name
from runtimes.report.units import printable
from runtimes.rows import VerifyRow

# What a case says elsewhere than in its output.
_SAID = {"source", "artifact", "runtime", "device", "backend", "outcome", "reason", "wall_s", "explanation"}


def render(suites: Sequence[Suite]) -> bytes:
    """The whole file, UTF-8."""
    root = ET.Element("testsuites", {"name": "fwexport verify"})
    for suite in suites:
        root.append(_suite(suite))
    for count in ("tests", "failures", "errors"):
        root.set(count, str(sum(int(each.get(count, "0")) for each in root)))
    root.set("time", _seconds(sum(row.wall_s or 0 for suite in suites for row in suite.result.rows)))
    ET.indent(root)
    found: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return found + b"\n"


def _suite(suite: Suite) -> ET.Element:
    rows, machine = suite.result.rows, suite.result.machine
    verdicts = Counter(suite.verdict(row) for row in rows)
    element = ET.Element(
        "testsuite",
        {
            "name": printable(suite.name),
            "tests": str(len(rows)),
            "failures": str(verdicts["failure"]),
            "errors": str(verdicts["error"]),
            "skipped": str(verdicts["skipped"]),
            "time": _seconds(sum(row.wall_s or 0 for row in rows)),
            "timestamp": suite.result.created,
        },
    )
    about = {
        "cpu": machine.cpu,
        "cores": machine.cores,
        "gpus": ", ".join(machine.gpus),
        "system": machine.system,
    }
    notes = {f"note {i}": note for i, note in enumerate(suite.result.notes, start=1)}
    properties = ET.SubElement(element, "properties")
    for name, value in {**about, "python": machine.python, **notes}.items():
        ET.SubElement(properties, "property", {"name": name, "value": printable(str(value))})
    for row in rows:
        element.append(_case(suite, row))
    return element


def _case(suite: Suite, row: VerifyRow) -> ET.Element:
    about = {
        "classname": f"{suite.name}.{row.artifact}",
        "name": row_name(row),
        "time": _seconds(row.wall_s or 0),
    }
    case = ET.Element("testcase", {key: printable(value) for key, value in about.items()})
    verdict = suite.verdict(row)
    reason = printable(row.reason or "no reason was recorded")
    if verdict == "skipped":
        ET.SubElement(case, "skipped", {"message": reason})
    elif verdict != "passed":
        explained = in_words(row.explanation) if row.explanation else ()
        found = ET.SubElement(case, verdict, {"type": row.outcome, "message": reason})
        found.text = "\n".join((reason, *map(printable, explained)))
    remark = [row.reason] if verdict == "passed" and row.reason else []
    figures = [f"{name}: {value}" for name, value in _figures(row)]
    if remark or figures:
        ET.SubElement(case, "system-out").text = printable("\n".join((*remark, *figures)))
    return case


def _figures(row: VerifyRow) -> Iterator[tuple[str, object]]:
    """Every figure that was reached, by the name it has in ``verify.json``."""
    for name, value in msgspec.to_builtins(row).items():
        if name in _SAID or value in (None, "", {}):
            continue
        if isinstance(value, dict):
            yield from ((f"version of {library}", version) for library, version in value.items())
        else:
            yield name, " to ".join(map(str, value)) if isinstance(value, (list, tuple)) else value


def _seconds(value: float) -> str:
    return f"{value:.3f}"
