"""Verdicts as a comment on a pull request: the outcome, the rows that did not pass and why, the rest folded."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from runtimes.report import units
from runtimes.report.headline import cut
from runtimes.report.markdown import escape
from runtimes.report.suite import Suite, row_name
from runtimes.rows import VerifyRow

# A bot finds its earlier comment by this line, to replace it.
MARKER = "<!-- fwexport verify -->"
LONGEST = 65_536  # what GitHub takes
REASON_LENGTH = 300

Judged = tuple[Suite, VerifyRow]


def render(suites: Sequence[Suite]) -> str:
    """The whole comment, as GitHub and GitLab render it; of each list as much as they take."""
    for most in (100, 50, 20, 5):
        text = "\n\n".join(_parts(suites, most)) + "\n"
        if len(text) < LONGEST:
            break
    return text


def _parts(suites: Sequence[Suite], most: int) -> Iterator[str]:
    every = [(suite, row) for suite in suites for row in suite.result.rows]
    bad = [(suite, row) for suite, row in every if suite.verdict(row) in ("failure", "error")]
    passed = [(suite, row) for suite, row in every if suite.verdict(row) == "passed"]
    skipped = [(suite, row) for suite, row in every if suite.verdict(row) == "skipped"]
    yield MARKER
    yield _headline(passed, bad, skipped)
    if bad:
        yield _table(("row", "outcome", "reason", "cause"), [_why(*one) for one in bad], most)
        if any(row.outcome == "mismatch" and not row.explanation for _, row in bad):
            yield "`fwexport verify BUNDLE --explain` looks for the layer and the cause."
    if passed or skipped:
        yield f"<details><summary>{_counted(passed + skipped)}</summary>"
        if passed:
            titles = (
                "row",
                "worst e/n",
                "the source's class (95 % interval)",
                "accuracy, change (95 % interval)",
            )
            yield _table(titles, [_figures(*one) for one in passed], most)
        if skipped:
            yield _list([f"{_name(*one)}: {one[1].outcome}: {one[1].reason}" for one in skipped], most)
        yield "</details>"
    notes = dict.fromkeys(note for suite in suites for note in suite.result.notes)
    if notes:
        yield _list(list(notes), most)


def _headline(passed: Sequence[Judged], bad: Sequence[Judged], skipped: Sequence[Judged]) -> str:
    mark = "✗" if bad else "✓" if passed else "?"
    total = len(passed) + len(bad) + len(skipped)
    others = _counted([*bad, *skipped])
    return f"### {mark} fwexport verify: {len(passed)} of {total} rows passed" + (others and f", {others}")


def _counted(rows: Sequence[Judged]) -> str:
    return ", ".join(f"{count} {word}" for word, count in Counter(row.outcome for _, row in rows).items())


def _why(suite: Suite, row: VerifyRow) -> tuple[str, ...]:
    found = row.explanation
    causes = [f"{cause.name}: {cause.detail}" for cause in found.causes] if found else []
    if found and found.first_layers:
        causes.append(f"first layer that differs: {', '.join(found.first_layers)}")
    return _inline(_name(suite, row)), f"✗ {row.outcome}", _inline(row.reason), _inline("; ".join(causes))


def _figures(suite: Suite, row: VerifyRow) -> tuple[str, ...]:
    same = accuracy = ""
    if row.top1_agreement is not None:
        same = f"{units.percent(row.top1_agreement)} ({units.shares(row.top1_interval)})"
    if row.accuracy_change is not None:
        change = f"{units.points(row.accuracy_change)} ({units.changes(row.accuracy_change_interval)})"
        accuracy = f"{units.percent(row.accuracy)}, {change}"
    return _inline(_name(suite, row)), units.significant(row.max_noise_ratio), same, accuracy


def _name(suite: Suite, row: VerifyRow) -> str:
    return f"{suite.name}: {row_name(row)}"


def _table(titles: Sequence[str], rows: Sequence[tuple[str, ...]], most: int) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (titles, ["---"] * len(titles), *rows[:most])]
    return "\n".join(lines) + (f"\n\nand {len(rows) - most} more" if len(rows) > most else "")


def _list(lines: Sequence[str], most: int) -> str:
    more = [f"- and {len(lines) - most} more"] if len(lines) > most else []
    return "\n".join([*(f"- {_inline(line)}" for line in lines[:most]), *more])


def _inline(text: str) -> str:
    """Cut, and escaped; nobody is mentioned and no issue is linked by what an error message happens to say."""
    escaped = re.sub("([_~])", r"\\\1", escape(cut(text, REASON_LENGTH)))
    return re.sub(r"([@#])(?=\w)", "\\1&#8203;", escaped)
