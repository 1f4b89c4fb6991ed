"""The stage ``compare``: did it get slower? Two results of bench are read, or two bundles measured now, interleaved.

The answer is what the command prints. What was measured is kept where ``BenchOptions.out`` says, as bench writes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from runtimes.bench import BenchOptions
from runtimes.bundle import MANIFEST, format_of
from runtimes.comparing.bench_files import read_bench
from runtimes.comparing.changes import Rule, compare_results
from runtimes.comparing.compare_measured import measure_sides
from runtimes.comparing.compare_rows import SCHEMA, CompareResult, Side
from runtimes.comparing.comparison import UNSEEN
from runtimes.errors import UsageError
from runtimes.machine import changes, differences
from runtimes.measuring.measure import OnStep
from runtimes.merging import joined
from runtimes.rows import BenchResult, BenchRow, bench_name

# By the name of the bundle, "" where each side is one: its old result and its new one.
Pairs = Mapping[str, tuple[BenchResult, BenchResult]]


@dataclass(frozen=True)
class CompareOptions:
    """``bench`` says which rows, and, where they are measured now, how; ``threshold`` is a share of the old time."""

    bench: BenchOptions = field(default_factory=BenchOptions)
    threshold: float = 0.05
    across_machines: bool = False


def compare(old: Path, new: Path, options: CompareOptions, on_step: OnStep | None = None) -> CompareResult:
    """Two bundles, or folders of bundles, are measured now; of anything else the results that are there are read.

    Raises UsageError where there is nothing to compare.
    """
    interleaved = all(map(holds_bundles, (old, new)))
    pairs: Pairs
    if interleaved:
        pairs = measure_sides(old, new, options.bench, on_step)
    else:
        pairs = read_sides(old, new, options.bench)
    rule = Rule(options.threshold, interleaved, options.across_machines)
    rows = [row for name, (a, b) in pairs.items() for row in compare_results(a, b, rule, name)]
    before, now = (joined([pair[side] for pair in pairs.values()]) for side in (0, 1))
    if not any(row.old_source and row.new_source for row in rows):
        raise UsageError(
            f"{old} and {new} have no row in common. The first has {_listed(before)}; the second {_listed(now)}."
        )
    return CompareResult(
        SCHEMA,
        datetime.now(UTC).isoformat(timespec="seconds"),
        options.threshold,
        interleaved,
        _side(old, before),
        _side(new, now),
        tuple(rows),
        tuple(_notes(before, now, rule)),
        options.across_machines,
    )


def read_sides(old: Path, new: Path, options: BenchOptions) -> Pairs:
    """The results that are there, of the rows that the options ask for."""
    before, now = read_bench(old), read_bench(new)
    if "" in before or "" in now:
        before, now = ({"": joined(list(side.values()))} for side in (before, now))
    empty = replace(next(iter(before.values())), rows=()), replace(next(iter(now.values())), rows=())
    return {
        name: (_asked_for(before.get(name, empty[0]), options), _asked_for(now.get(name, empty[1]), options))
        for name in {**before, **now}
    }


def holds_bundles(path: Path) -> bool:
    """Whether this is a bundle or a folder of bundles, so that it can be measured."""
    return (path / MANIFEST).exists() or any(path.glob(f"*/{MANIFEST}"))


def _asked_for(result: BenchResult, options: BenchOptions) -> BenchResult:
    def is_asked(row: BenchRow) -> bool:
        devices = [device.replace("cuda", "gpu") for device in options.devices]
        return all(
            not asked or value in asked
            for value, asked in (
                (format_of(row.artifact), options.formats),
                (row.runtime, options.runtimes),
                (row.device.replace("cuda", "gpu"), devices),
                (row.threads, options.threads),
                (row.batch, options.batches),
                (row.precision, options.precisions),
            )
        )

    return replace(result, rows=tuple(filter(is_asked, result.rows)))


def _listed(result: BenchResult) -> str:
    names = [bench_name(row) for row in result.rows]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more if names else "none that was asked for"


def _side(path: Path, result: BenchResult) -> Side:
    return Side(str(path), result.created, result.time, result.machine, result.every_doubt)


def _notes(old: BenchResult, new: BenchResult, rule: Rule) -> Iterator[str]:
    if not rule.interleaved and (old.created, old.rows) == (new.created, new.rows):
        yield "both sides are one and the same measurement"
    if min((row.processes for side in (old, new) for row in side.rows if row.compute), default=2) == 1:
        apart = "" if rule.interleaved else f": only changes beyond {max(UNSEEN, rule.threshold):.0%} count"
        yield f"one process measured each row, so how much two processes differ was not seen{apart}"
    sources = [", ".join(dict.fromkeys(row.source for row in side.rows)) for side in (old, new)]
    if all(sources) and sources[0] != sources[1]:
        yield f"the old rows are of {sources[0]}, the new ones of {sources[1]}"
    if old.time != new.time:
        yield f"the old side was measured with --time {old.time}, the new one with --time {new.time}"
    if rule.across_machines:  # else each row says so, as its reason
        for difference in differences(old.machine, new.machine):
            yield f"two machines: {difference}"
    for change in changes(old.machine, new.machine):
        yield f"set up otherwise: {change}"
