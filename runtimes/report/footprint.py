"""The section on what an artifact costs beside its latency: the cold start of its process, memory and file size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runtimes.report import units
from runtimes.report.blocks import Block, Column, Table, Words
from runtimes.report.inputs import Inputs
from runtimes.report.measured import Measured, batches, measured
from runtimes.report.stacks import Stacked, stacks

COLD = (
    "Of a process that has done nothing else: importing the runtime's library, loading the artifact, and the first run, of "
    "one sample. A person who opens an app waits for their sum."
)
MEMORY = (
    "Resident memory. Loading is the most that the process held until the artifact was loaded, peak the most while runs of "
    "that batch warmed up; added is what of the peak came after the import of the runtime's library: the artifact, its "
    "session and its tensors."
)


def blocks(inputs: Inputs) -> Iterator[Block]:
    """A plot and a table of each, of all rows that ran."""
    rows = measured(inputs)
    cold = [one for one in _one_each(rows) if one.row.cold_s is not None]
    if not rows:
        yield Words("Nothing was benched, so neither is known.", "missing")
        return
    yield from _cold_start(sorted(cold, key=lambda one: one.row.cold_s or 0.0))
    yield from _memory(rows)


def _one_each(rows: Sequence[Measured]) -> list[Measured]:
    """Of each name the row of the smallest batch: cold start and file are not a batch's."""
    found: dict[str, Measured] = {}
    for one in sorted(rows, key=lambda one: one.row.batch):
        if one.row.compute or one.row.load_s is not None:
            found.setdefault(one.name, one)
    return list(found.values())


def _cold_start(rows: Sequence[Measured]) -> Iterator[Block]:
    if not rows:
        yield Words("No cold start was measured: run `fwexport bench` again.", "missing")
        return
    figures = []
    cells = []
    for one in rows:
        parts = (one.row.import_s or 0.0, one.row.load_s or 0.0, one.row.first_s or 0.0)
        figures.append(
            Stacked(
                one.name,
                one.series,
                tuple(part * 1e3 for part in parts),
                f"{units.milliseconds(sum(parts))} ms",
            )
        )
        cells.append((one.name, *map(units.milliseconds, (*parts, sum(parts)))))
    yield Words(COLD, "legend")
    if chart := stacks("Cold start", ("import", "load", "first run"), figures, unit="ms"):
        yield chart
    columns = ("import ms", "load ms", "first run ms", "sum ms")
    yield Table("Cold start", (Column("row", "name"), *(Column(c, "number") for c in columns)), tuple(cells))


def _memory(rows: Sequence[Measured]) -> Iterator[Block]:
    sizes = batches(rows)
    ends = list(dict.fromkeys((sizes[0], sizes[-1])))
    at = {(one.name, one.row.batch): one.row for one in rows}
    listed = sorted(_one_each(rows), key=lambda one: one.row.peak_rss_bytes or 0)
    gpu = any(one.row.gpu_memory_bytes is not None for one in rows)
    titles = [
        "file MB",
        "loading MB",
        *(f"added MB, batch {b}" for b in ends),
        *(f"peak MB, batch {b}" for b in ends),
    ]
    titles += [f"GPU MB, batch {b}" for b in ends] if gpu else []
    cells = []
    for one in listed:
        found = [at.get((one.name, batch)) for batch in ends]
        values = [one.row.size_bytes or None, one.row.loaded_rss_bytes]
        values += [row.added_rss_bytes if row else None for row in found]
        values += [row.peak_rss_bytes if row else None for row in found]
        values += [row.gpu_memory_bytes if row else None for row in found] if gpu else []
        cells.append((one.name, *map(units.megabytes, values)))
    figures = []
    for one in listed:
        row = one.row
        if row.peak_rss_bytes is not None and row.added_rss_bytes is not None:
            parts = ((row.peak_rss_bytes - row.added_rss_bytes) / 1e6, row.added_rss_bytes / 1e6)
            words = f"{units.megabytes(row.peak_rss_bytes)} MB, {units.megabytes(row.added_rss_bytes)} added"
            figures.append(Stacked(one.name, one.series, parts, words))
    yield Words(MEMORY, "legend")
    if chart := stacks(f"Peak memory at batch {sizes[0]}", ("the library", "added"), figures, unit="MB"):
        yield chart
    yield Table(
        "Memory and file size", (Column("row", "name"), *(Column(t, "number") for t in titles)), tuple(cells)
    )
