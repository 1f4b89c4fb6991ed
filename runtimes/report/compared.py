"""What ``compare`` found, in words: for the console, and as a comment on a pull request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from runtimes.compare_rows import Change, CompareResult, CompareRow, Outcome
from runtimes.report import units
from runtimes.report.comment_parts import inline, listed, shortened, table

# A bot finds its earlier comment by this line, to replace it.
MARKER = "<!-- fwexport compare -->"
MARKS: dict[Outcome, str] = {
    "slower": "✗",
    "failed": "✗",
    "missing": "✗",
    "unclear": "?",
    "faster": "✓",
    "same": "✓",
}
TITLES = ("row", "outcome", "old p50 ms", "new p50 ms", "new / old", "95 % interval", "why")


def render(result: CompareResult) -> str:
    """The whole comment, as GitHub and GitLab render it: what needs a look, the rest folded."""
    return shortened(lambda most: _parts(result, most))


def summary(result: CompareResult) -> str:
    """How many rows became what, the worst first."""
    counts = Counter(row.outcome for row in result.rows)
    order: tuple[Outcome, ...] = (
        "slower",
        "failed",
        "missing",
        "unclear",
        "faster",
        "same",
        "new",
        "skipped",
    )
    return ", ".join(f"{counts[word]} {word}" for word in order if counts[word])


def how(result: CompareResult) -> str:
    """How the rows were measured and are judged."""
    judged = f"slower is beyond the noise and {units.percent(result.threshold)}"
    if result.interleaved:
        place = f"{result.old.name} and {result.new.name}, measured now in the same rounds"
        return f"{place} (--time {result.new.time}); {judged}"
    sides = [f"{side.name} of {units.date(side.created)}" for side in (result.old, result.new)]
    return f"{sides[0]} and {sides[1]}; {judged}"


def names(rows: Sequence[CompareRow]) -> list[str]:
    """``bundle/artifact/runtime/device/backend, batch N``, with threads and precision where several were measured."""
    threads = len({row.threads for row in rows}) > 1
    precisions = len({row.precision for row in rows}) > 1
    return [
        ", ".join(
            [
                "/".join((label(row), row.artifact, row.runtime, row.device, row.backend)),
                f"batch {row.batch}",
                *([f"{row.threads} threads"] if threads else []),
                *([row.precision] if precisions else []),
            ]
        )
        for row in rows
    ]


def label(row: CompareRow) -> str:
    """The bundle, where there are several; else the source, of both sides where they differ."""
    return row.bundle or " -> ".join(dict.fromkeys(filter(None, (row.old_source, row.new_source))))


def scopes(row: CompareRow) -> Iterator[tuple[str, Change | None]]:
    """What was timed: the computing, and on a GPU also from host arrays to host arrays."""
    yield "", row.compute
    if row.end_to_end:
        yield "end to end", row.end_to_end


def figures(change: Change | None) -> tuple[str, str, str, str]:
    """Old and new in ms, their ratio and its interval; empty where they were not measured."""
    if change is None:
        return "", "", "", ""
    interval = f"{change.interval[0]:.3f} to {change.interval[1]:.3f}" if change.interval else ""
    return (
        units.milliseconds(change.old),
        units.milliseconds(change.new),
        f"{change.ratio:.3f}",
        interval,
    )


def doubts(result: CompareResult) -> list[str]:
    """What makes the times of either side doubtful, and what else there is to say of the whole."""
    said = list(result.notes)
    sides = [("old", result.old), ("new", result.new)]
    for name, side in sides[1:] if result.interleaved else sides:
        place = "" if result.interleaved else f"{name}: "
        said += [f"{place}{doubt.text}" for doubt in (*side.machine.doubts, *side.doubts)]
    return list(dict.fromkeys(said))


def _parts(result: CompareResult, most: int) -> Iterator[str]:
    told = list(zip(names(result.rows), result.rows, strict=True))
    loud = [one for one in told if MARKS.get(one[1].outcome) in ("✗", "?")]
    quiet = [one for one in told if one not in loud]
    mark = next((mark for mark in "✗?" if any(MARKS.get(row.outcome) == mark for _, row in loud)), "✓")
    yield MARKER
    yield f"### {mark} fwexport compare: {summary(result)}"
    if loud:
        yield table(TITLES, [line for one in loud for line in _lines(*one)], most)
    if quiet:
        yield f"<details><summary>{len(quiet)} more row{'s' * (len(quiet) > 1)}</summary>"
        yield table(TITLES, [line for one in quiet for line in _lines(*one)], most)
        yield "</details>"
    notes = [f"{name}: {note}" for name, row in told for note in row.notes]
    if notes:
        yield listed(notes, most)
    yield listed([how(result), *doubts(result)], most)


def _lines(name: str, row: CompareRow) -> Iterator[tuple[str, ...]]:
    for scope, change in scopes(row):
        mark = " ".join(filter(None, (MARKS.get(row.outcome, ""), row.outcome)))
        title = f"{name}, {scope}" if scope else name
        yield (inline(title), mark, *figures(change), inline(row.reason))
