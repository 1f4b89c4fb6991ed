"""Verdicts as a comment on a pull request: the outcome, the rows that did not pass and why, the rest folded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from runtimes.report import units
from runtimes.report.comment_parts import inline, listed, shortened, table
from runtimes.report.suite import Suite, row_name
from runtimes.rows import VerifyRow

# A bot finds its earlier comment by this line, to replace it.
MARKER = "<!-- fwexport verify -->"

Judged = tuple[Suite, VerifyRow]


def render(suites: Sequence[Suite]) -> str:
    """The whole comment, as GitHub and GitLab render it; of each list as much as they take."""
    return shortened(lambda most: _parts(suites, most))


def _parts(suites: Sequence[Suite], most: int) -> Iterator[str]:
    every = [(suite, row) for suite in suites for row in suite.result.rows]
    bad = [(suite, row) for suite, row in every if suite.verdict(row) in ("failure", "error")]
    passed = [(suite, row) for suite, row in every if suite.verdict(row) == "passed"]
    skipped = [(suite, row) for suite, row in every if suite.verdict(row) == "skipped"]
    yield MARKER
    yield _headline(passed, bad, skipped)
    if bad:
        yield table(("row", "outcome", "reason", "cause"), [_why(*one) for one in bad], most)
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
            yield table(titles, [_figures(*one) for one in passed], most)
        if skipped:
            yield listed([f"{_name(*one)}: {one[1].outcome}: {one[1].reason}" for one in skipped], most)
        yield "</details>"
    notes = dict.fromkeys(note for suite in suites for note in suite.result.notes)
    if notes:
        yield listed(list(notes), most)


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
    return inline(_name(suite, row)), f"✗ {row.outcome}", inline(row.reason), inline("; ".join(causes))


def _figures(suite: Suite, row: VerifyRow) -> tuple[str, ...]:
    same = accuracy = ""
    if row.top1_agreement is not None:
        same = f"{units.percent(row.top1_agreement)} ({units.shares(row.top1_interval)})"
    if row.accuracy_change is not None:
        change = f"{units.points(row.accuracy_change)} ({units.changes(row.accuracy_change_interval)})"
        accuracy = f"{units.percent(row.accuracy)}, {change}"
    return inline(_name(suite, row)), units.significant(row.max_noise_ratio), same, accuracy


def _name(suite: Suite, row: VerifyRow) -> str:
    played = f", played by {row.emulated}" if row.emulated else ""
    return f"{suite.name}: {row_name(row)}{played}"
