"""What ``compare`` found, in words: for the console, and as a comment on a pull request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from runtimes import emulation
from runtimes.comparing.compare_rows import Change, CompareResult, CompareRow, Outcome
from runtimes.doubts import ADVICE
from runtimes.machine import differences
from runtimes.report import units
from runtimes.report.comment_parts import inline, listed, shortened, table

# A bot finds its earlier comment by this line, to replace it.
MARKER = "<!-- fwexport compare -->"
# The worst first.
MARKS: dict[Outcome, str] = {
    "slower": "✗",
    "failed": "✗",
    "missing": "✗",
    "unclear": "?",
    "faster": "✓",
    "same": "✓",
    "new": "",
    "unavailable": "",
    "skipped": "",
    "emulated": "",
}
TITLES = ("row", "outcome", "old p50 ms", "new p50 ms", "new / old", "95 % interval", "why")
INFORM = {"cold_s": "cold start", "peak_rss_bytes": "peak memory", "size_bytes": "file size"}
# So many rows are named of those that a remark is about.
NAMED = 4


def render(result: CompareResult) -> str:
    """The whole comment, as GitHub and GitLab render it: what needs a look, the rest folded."""
    return shortened(lambda most: _parts(result, most))


def summary(result: CompareResult) -> str:
    """How many rows became what, the worst first; those on a device that software played are not counted."""
    counts = Counter(row.outcome for row in result.rows)
    words = [f"{counts[word]} {word}" for word in MARKS if word != "emulated" and counts[word]]
    return ", ".join(words) or "nothing was decided"


def how(result: CompareResult) -> str:
    """How the rows were measured and are judged."""
    judged = f"slower is beyond the noise and {100 * result.threshold:g} %"
    if result.interleaved:
        place = f"{result.old.name} and {result.new.name}, measured now in the same rounds"
        return f"{place} (--time {result.new.time}); {judged}"
    sides = [f"{side.name} of {units.date(side.created)}" for side in (result.old, result.new)]
    return f"{sides[0]} and {sides[1]}; {judged}"


def legend(rows: Sequence[CompareRow]) -> Iterator[str]:
    """How to read the figures, in a line, where there are any: see ``runtimes.comparing.comparison.ratio``."""
    if any(change and change.interval for row in rows for _, change in scopes(row)):
        counted = "; each row counts once"
        if any(row.end_to_end for row in rows):
            counted += ", by the worse of computing and end to end"
        if any(row.outcome == "emulated" for row in rows):
            counted += ", and those on a device that software played do not count"
        yield (
            "new / old comes of the medians of the rounds, averaged geometrically without outliers; old and new ms are "
            f"medians of all calls, so their quotient may differ{counted}"
        )


def names(rows: Sequence[CompareRow]) -> list[str]:
    """``bundle/artifact/runtime/device/backend, batch N``, with threads and precision where one such row has several."""
    plain = [
        f"{label(row)}/{row.artifact}/{row.runtime}/{row.device}/{row.backend}, batch {row.batch}"
        for row in rows
    ]
    found = list(plain)
    for detail in ([f"{row.threads} threads" for row in rows], [row.precision for row in rows]):
        several = Counter(name for name, _ in set(zip(plain, detail, strict=True)))
        found = [
            f"{name}, {one}" if several[bare] > 1 else name
            for name, bare, one in zip(found, plain, detail, strict=True)
        ]
    return found


def label(row: CompareRow) -> str:
    """The bundle, where there are several; else the source."""
    return row.bundle or row.new_source or row.old_source


def scopes(row: CompareRow) -> Iterator[tuple[str, Change | None]]:
    """What was timed: the computing, and on a GPU also from host arrays to host arrays."""
    yield "", row.compute
    if row.end_to_end:
        yield "end to end", row.end_to_end


def figures(row: CompareRow, change: Change | None) -> tuple[str, str, str, str]:
    """Old and new in ms, with a ~ where they are doubtful, their ratio and its interval; empty where not measured."""
    if change is None:
        return "", "", "", ""
    old, new = (
        units.milliseconds(seconds) + ("~" if flags else "")
        for seconds, flags in ((change.old, row.old_flags), (change.new, row.new_flags))
    )
    return old, new, _ratio(change.ratio), " to ".join(map(_ratio, change.interval or ()))


def _ratio(value: float) -> str:
    """Three decimals; of a factor of ten and more, three digits."""
    return f"{value:.3f}" if 0.1 <= value < 10 else units.significant(value)


def reasons(result: CompareResult) -> list[str]:
    """Why rows are what they are: each reason once, with its rows."""
    told = zip(names(result.rows), result.rows, strict=True)
    return _together([(f"{row.outcome}: {row.reason}", name) for name, row in told if row.reason])


def remarks(result: CompareResult) -> list[str]:
    """What else has changed, and which times are doubtful."""
    said = []
    told = list(zip(names(result.rows), result.rows, strict=True))
    for field, words in INFORM.items():
        changes: dict[str, None] = {}
        for name, row in told:
            change = getattr(row, field)
            if change is not None and change.changed:
                place = name if field == "peak_rss_bytes" else name.partition(", batch")[0]
                changes[f"{change.ratio - 1:+.0%} {place}"] = None
        if changes:
            said.append(f"{words}: {_listed(list(changes))}")
    said += _together([(note, name) for name, row in told for note in row.notes])
    flags = dict.fromkeys(flag for _, row in told for flag in (*row.old_flags, *row.new_flags))
    if flags:
        said.append(
            f"~ these times are doubtful: {', '.join(flags)} (`fwexport bench` says which and what it means)"
        )
    said += result.notes
    unclear = any(row.outcome == "unclear" for row in result.rows)
    if unclear and not result.across_machines and differences(result.old.machine, result.new.machine):
        said.append(
            "measure both sides on one machine; --across-machines judges these times, where the machines are alike"
        )
    elif unclear:
        better = "" if result.interleaved else "; so may two bundles, which are measured in the same rounds"
        said.append(f"longer runs or more --processes may tell what is unclear{better}")
    return list(dict.fromkeys(said))


def doubts(result: CompareResult) -> list[str]:
    """What happened on the machine while either side was measured, and what would help."""
    both = [("old: ", result.old), ("new: ", result.new)]
    sides = [("", result.new)] if result.interleaved else both
    return [f"{name}{doubt.text} ({ADVICE[doubt.kind]})" for name, side in sides for doubt in side.doubts]


def _together(told: Sequence[tuple[str, str]]) -> list[str]:
    rows: dict[str, list[str]] = {}
    for text, name in told:
        rows.setdefault(text, []).append(name)
    return [f"{text}: {_listed(some)}" for text, some in rows.items()]


def _listed(words: Sequence[str]) -> str:
    return "; ".join(words[:NAMED]) + (f"; and {len(words) - NAMED} more" if len(words) > NAMED else "")


def _parts(result: CompareResult, most: int) -> Iterator[str]:
    told = list(zip(names(result.rows), result.rows, strict=True))
    loud = [one for one in told if MARKS[one[1].outcome] in ("✗", "?")]
    quiet = [one for one in told if one not in loud]
    mark = next((mark for mark in "✗?✓" if any(MARKS[row.outcome] == mark for row in result.rows)), "?")
    yield MARKER
    yield f"### {mark} fwexport compare: {summary(result)}"
    if loud:
        yield table(TITLES, [line for one in loud for line in _lines(*one)], most)
    if quiet:
        yield f"<details><summary>{len(quiet)} more row{'s' * (len(quiet) > 1)}</summary>"
        yield table(TITLES, [line for one in quiet for line in _lines(*one)], most)
        yield "</details>"
    yield listed([*remarks(result), *doubts(result), *legend(result.rows), how(result)], most)


def _lines(name: str, row: CompareRow) -> Iterator[tuple[str, ...]]:
    for scope, change in scopes(row):
        mark = f"{MARKS[row.outcome]} {row.outcome}".strip()
        title = f"{name}, {scope}" if scope else name
        played = f"{row.emulated} played its {row.device}: {emulation.TIMES}" if row.emulated else ""
        why = "; ".join(filter(None, (played, row.reason)))
        yield (inline(title), mark, *map(inline, figures(row, change)), inline(why))
