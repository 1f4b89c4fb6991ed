"""The section on what an artifact costs beside its latency: the cold start of its process, memory and file size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from runtimes.browser import find
from runtimes.report import units
from runtimes.report.blocks import Block, Column, Table, Words
from runtimes.report.inputs import Inputs
from runtimes.report.measured import Measured, batches, measured
from runtimes.report.stacks import Stacked, stacks
from runtimes.rows import BenchRow

COLD = (
    "Of a process that has done nothing else: importing the runtime's library, loading the artifact, and the first run, of "
    "one sample. A person who opens an app waits for their sum. In a browser that runs already it is a page that begins, and "
    "the files come from this machine."
)
DOWNLOADS = (
    "What a page fetches until its session is open, as the files are, uncompressed: a server that compresses sends less of "
    "the library, and hardly less of the weights."
)
MEMORY = (
    "Resident memory. Loading is the most that the process held until the artifact was loaded, peak the most while runs of "
    "that batch warmed up; added is what of the peak came after the import of the runtime's library: the artifact, its "
    "session and its tensors."
)

FIGURES: Mapping[str, Callable[[BenchRow], int | None]] = {
    "added": lambda row: row.added_rss_bytes,
    "peak": lambda row: row.peak_rss_bytes,
    "GPU": lambda row: row.gpu_memory_bytes,
}


def blocks(inputs: Inputs) -> Iterator[Block]:
    """A plot and a table of each, of all rows that ran."""
    rows = measured(inputs)
    cold = [one for one in _one_each(rows) if one.row.cold_s is not None]
    if not rows:
        yield Words("Nothing was benched, so neither is known.", "missing")
        return
    yield from _cold_start(sorted(cold, key=lambda one: one.row.cold_s or 0.0))
    yield from _downloads(rows)
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
    figures, cells = [], []
    for one in rows:
        parts = (one.row.import_s or 0.0, one.row.load_s or 0.0, one.row.first_s or 0.0)
        total, in_ms = units.milliseconds(sum(parts)), tuple(part * 1e3 for part in parts)
        figures.append(Stacked(one.name, one.series, in_ms, f"{total} ms"))
        cells.append((one.name, *map(units.milliseconds, parts), total))
    yield Words(COLD, "legend")
    if chart := stacks("Cold start", ("import", "load", "first run"), figures, unit="ms"):
        yield chart
    columns = ("import ms", "load ms", "first run ms", "sum ms")
    yield Table("Cold start", (Column("row", "name"), *(Column(c, "number") for c in columns)), tuple(cells))


def _downloads(rows: Sequence[Measured]) -> Iterator[Block]:
    """What a browser fetches before the first answer, of the rows that ran in one."""
    found = [
        (one, fetched - one.row.size_bytes, one.row.size_bytes)
        for one in _one_each(rows)
        if (fetched := one.row.downloaded_bytes) is not None
    ]
    if not found:
        return
    found.sort(key=lambda each: each[1] + each[2])
    figures, cells = [], []
    for one, library, model in found:
        words = [units.megabytes(part) for part in (library, model, library + model)]
        figures.append(Stacked(one.name, one.series, (library / 1e6, model / 1e6), f"{words[-1]} MB"))
        cells.append((one.name, *words, find.named(one.row.versions) or units.NONE))
    yield Words(DOWNLOADS, "legend")
    if chart := stacks("Downloaded", ("the library", "the artifact"), figures, unit="MB"):
        yield chart
    columns = (
        *(Column(title, "number") for title in ("library MB", "artifact MB", "sum MB")),
        Column("browser"),
    )
    yield Table("What a browser downloads", (Column("row", "name"), *columns), tuple(cells))


def _memory(rows: Sequence[Measured]) -> Iterator[Block]:
    """The plot is of the smallest batch, the table of that and the largest."""
    sizes = batches(rows)
    listed = sorted(_one_each(rows), key=lambda one: one.row.peak_rss_bytes or 0)
    yield Words(MEMORY, "legend")
    title = f"Peak memory at batch {sizes[0]}"
    if chart := stacks(title, ("the library", "added"), list(_stacked(listed)), unit="MB"):
        yield chart
    at = {(one.name, one.row.batch): one.row for one in rows}
    figures: dict[str, list[int | None]] = {
        "file MB": [one.row.size_bytes or None for one in listed],
        "loading MB": [one.row.loaded_rss_bytes for one in listed],
    }
    for what, read in FIGURES.items():
        for batch in (sizes[0], sizes[-1]):
            found = [at.get((one.name, batch)) for one in listed]
            figures[f"{what} MB, batch {batch}"] = [read(row) if row else None for row in found]
    known = {title: values for title, values in figures.items() if any(values)}
    if known:
        columns = (Column("row", "name"), *(Column(title, "number") for title in known))
        words = ([units.megabytes(value) for value in values] for values in known.values())
        cells = tuple(zip([one.name for one in listed], *words, strict=True))
        yield Table("Memory and file size", columns, cells)


def _stacked(rows: Sequence[Measured]) -> Iterator[Stacked]:
    for one in rows:
        peak, added = one.row.peak_rss_bytes, one.row.added_rss_bytes
        if peak is not None and added is not None:
            words = f"{units.megabytes(peak)} MB, {units.megabytes(added)} added"
            yield Stacked(one.name, one.series, ((peak - added) / 1e6, added / 1e6), words)
