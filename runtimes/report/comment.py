"""Verdicts as a comment on a pull request: the outcome, the rows that did not pass and why, the rest folded."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from runtimes.report import units
from runtimes.report.headline import cut
from runtimes.report.markdown import escape
from runtimes.report.suite import Suite, row_name
from runtimes.rows import VerifyRow

# A bot finds its earlier comment by this line, to replace it.
MARKER = "<!-- fwexport verify -->"
MOST_BAD, MOST_OTHERS = 25, 150
MARKS = {"passed": "✓", "failure": "✗", "error": "✗", "skipped": "–"}

Judged = tuple[Suite, VerifyRow]


def render(suites: Sequence[Suite]) -> str:
    """The whole comment, as GitHub and GitLab render it, shorter than the 65,536 characters that they take."""
    every = [(suite, row) for suite in suites for row in suite.result.rows]
    bad = [(suite, row) for suite, row in every if suite.verdict(row) in ("failure", "error")]
    others = [(suite, row) for suite, row in every if suite.verdict(row) in ("passed", "skipped")]
    parts = [MARKER, _headline(every, bad)]
    if bad:
        parts.append(_table(("row", "outcome", "reason", "cause"), [_why(*one) for one in bad], MOST_BAD))
        if any(row.outcome == "mismatch" and not row.explanation for _, row in bad):
            parts.append("`fwexport verify BUNDLE --explain` looks for the layer and the cause.")
    if others:
        titles = ("row", "outcome", "worst e/n", "the source's class", "accuracy")
        table = _table(titles, [_figures(*one) for one in others], MOST_OTHERS)
        parts += [f"<details><summary>{_counted(others)}</summary>", table, "</details>"]
    notes = dict.fromkeys(note for suite in suites for note in suite.result.notes)
    parts += [f"- {_inline(cut(note))}" for note in notes]
    return "\n\n".join(parts) + "\n"


def _headline(every: Sequence[Judged], bad: Sequence[Judged]) -> str:
    passed = sum(row.outcome == "passed" for _, row in every)
    mark = "✗" if bad else "✓" if passed else "?"
    others = Counter(row.outcome for _, row in every if row.outcome != "passed")
    words = [f"{passed} of {len(every)} rows passed", *(f"{count} {word}" for word, count in others.items())]
    return f"### {mark} fwexport verify: {', '.join(words)}"


def _counted(rows: Sequence[Judged]) -> str:
    return ", ".join(f"{count} {word}" for word, count in Counter(row.outcome for _, row in rows).items())


def _why(suite: Suite, row: VerifyRow) -> tuple[str, ...]:
    found = row.explanation
    causes = [f"{cause.name}: {cause.detail}" for cause in found.causes] if found else []
    if found and found.first_layers:
        causes.append(f"first layer that differs: {', '.join(found.first_layers)}")
    return (*_row(suite, row), _inline(cut(row.reason)), _inline(cut("; ".join(causes))))


def _figures(suite: Suite, row: VerifyRow) -> tuple[str, ...]:
    if row.outcome != "passed":
        return (*_row(suite, row), "", "", _inline(cut(row.reason)))
    same = accuracy = ""
    if row.top1_agreement is not None:
        same = f"{units.percent(row.top1_agreement)} ({units.shares(row.top1_interval)})"
    if row.accuracy_change is not None:
        change = f"{units.points(row.accuracy_change)} ({units.changes(row.accuracy_change_interval)})"
        accuracy = f"{units.percent(row.accuracy)}, change {change}"
    return (*_row(suite, row), units.significant(row.max_noise_ratio), same, accuracy)


def _row(suite: Suite, row: VerifyRow) -> tuple[str, str]:
    return _inline(f"{suite.name}: {row_name(row)}"), f"{MARKS[suite.verdict(row)]} {row.outcome}"


def _table(titles: Sequence[str], rows: Sequence[tuple[str, ...]], most: int) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (titles, ["---"] * len(titles), *rows[:most])]
    return "\n".join(lines) + (f"\n\nand {len(rows) - most} more" if len(rows) > most else "")


def _inline(text: str) -> str:
    """Escaped for a cell; nobody is mentioned and no issue is linked by what an error message happens to say."""
    return re.sub(r"([@#])(?=\w)", "\\1&#8203;", re.sub("([_~])", r"\\\1", escape(text)))
