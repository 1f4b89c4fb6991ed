"""The section on latency: for each batch size one plot and one table, the throughput over batches, what to doubt."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from runtimes.measuring.latency import Latency
from runtimes.measuring.percentiles import FEWEST
from runtimes.report import best, conditions, doubts, units
from runtimes.report.blocks import Block, Column, Fold, Table, Words
from runtimes.report.charts import Curves, Figure, Plot, Series, bars, plot
from runtimes.report.inputs import Inputs
from runtimes.report.measured import END_TO_END, Measured, batches, measured

# Batch sizes with a plot and a table each; of more, which are a sweep, the first alone, and the rest folded.
SHOWN = 3

LEGEND = (
    "p50 and p90: half of the n calls, and 90 % of them, took no longer; a call is one whole batch. Intervals are of "
    "95 %, by order statistics, or by how the rounds differ where that is wider; the bound is what 90 % of all calls stay "
    f"below with 99 % confidence. Of fewer than {FEWEST[0.9]} calls a p90 says nothing, of fewer than {FEWEST[0.99]} a p99, "
    f"of fewer than {FEWEST[0.999]:,} a p99.9."
)
SCOPES = (
    "compute is the time on the device, with the inputs there; end to end is from arrays on the host to arrays on the "
    "host, and what to compare with a row of the CPU."
)

# What stands behind a bar.
MARKS = {"~": "is doubtful: see its timing", "*": "ran on a device that software played"}
_MARKED = {"stable": "", doubts.EMULATED: "*"}

Cells = Callable[[Measured, str, Latency | None], str]


def blocks(inputs: Inputs) -> Iterator[Block]:
    """Which is the fastest, what makes that doubtful, then each batch size's rows from the fastest on."""
    rows = measured(inputs)
    for bundle in inputs.bundles:
        if bundle.bench is None:
            yield Words(f"{bundle.label} is not benched: run `fwexport bench {bundle.folder}`.", "missing")
    if not rows:
        return
    yield Words(f"The fastest: {best.fastest(rows)}.")
    yield from doubts.of_the_machine(inputs)
    columns = _columns(rows)
    sizes = batches(rows)
    first = sizes if len(sizes) <= SHOWN else sizes[:1]
    for batch in first:
        yield from _plot(batch, rows)
        yield _table(batch, rows, columns)
    yield Words(LEGEND + (f" {SCOPES}" if _has_scopes(rows) else ""), "legend")
    yield from _throughputs(rows)
    others = tuple(_table(batch, rows, columns) for batch in sizes if batch not in first)
    if others:
        yield Fold(f"Batch {units.join([str(batch) for batch in sizes if batch not in first])}", others)
    yield from doubts.of_the_figures(rows)
    yield from conditions.settings(rows)
    yield from conditions.set_up(inputs)


def _has_scopes(rows: Sequence[Measured]) -> bool:
    return any(one.row.end_to_end for one in rows)


def _columns(rows: Sequence[Measured]) -> list[tuple[Column, Cells]]:
    """Each column and its cell; what is the same in every row, or known of none, has no column."""
    columns: list[tuple[Column, Cells]] = [(Column("row", "name"), lambda one, scope, _: one.name)]
    if _has_scopes(rows):
        columns.append((Column("time of"), lambda one, scope, _: scope))
    columns += [
        (Column("p50 ms", "number"), _figure(lambda found: units.milliseconds(found.p50_s))),
        (Column("interval", "number"), _figure(lambda found: units.interval_ms(found.p50_interval))),
        (Column("p90 ms", "number"), _figure(lambda found: units.milliseconds(found.p90_s))),
        (Column("interval", "number"), _figure(lambda found: units.interval_ms(found.p90_interval))),
        (Column("n", "number"), lambda one, scope, latency: units.count(latency.n if latency else 0)),
        (Column("samples/s", "number"), _rate),
        (Column("timing", "outcome"), state),
        (Column("verdict", "outcome"), lambda one, scope, _: one.row.verdict),
    ]
    if len({one.row.threads for one in rows}) > 1:
        columns.append((Column("threads", "number"), lambda one, scope, _: units.count(one.row.threads)))
    if len({one.row.precision for one in rows}) > 1:
        columns.append((Column("precision"), lambda one, scope, _: one.row.precision))
    columns += [
        (Column("p90 bound", "number"), _figure(lambda found: units.milliseconds(found.p90_bound_s))),
        (Column("p99 ms", "number"), _figure(lambda found: units.milliseconds(found.p99_s))),
        (Column("interval", "number"), _figure(lambda found: units.interval_ms(found.p99_interval))),
        (Column("p99.9 ms", "number"), _figure(lambda found: units.milliseconds(found.p999_s))),
    ]
    every = [(one, scope, latency) for one in rows for scope, latency in one.scopes]
    return [(column, cell) for column, cell in columns if any(cell(*one) != units.NONE for one in every)]


def _figure(said: Callable[[Latency], str]) -> Cells:
    return lambda one, scope, latency: said(latency) if latency else units.NONE


def _rate(one: Measured, scope: str, latency: Latency | None) -> str:
    if scope != END_TO_END or latency is None:
        return units.rate(one.row.throughput_per_s)
    return units.rate(one.row.batch / latency.mean_s if latency.mean_s else None)


def state(one: Measured, scope: str, latency: Latency | None) -> str:
    """The outcome of a row that did not pass; of the others that software played the device, the flags, or "stable"."""
    if one.outcome != "passed":
        return one.outcome
    if one.row.emulated:
        return doubts.EMULATED
    if latency is None:
        return units.NONE
    return ", ".join(latency.flags) or "stable"


def _table(batch: int, rows: Sequence[Measured], columns: Sequence[tuple[Column, Cells]]) -> Table:
    cells = tuple(
        tuple(cell(one, scope, latency) for _, cell in columns)
        for one in sorted(rows, key=_order)
        if one.row.batch == batch
        for scope, latency in one.scopes
    )
    return Table(f"Batch {batch}", tuple(column for column, _ in columns), cells)


def _order(one: Measured) -> tuple[bool, bool, float]:
    """From the fastest on; then what was not timed, and last what ran on a device that software played."""
    return bool(one.row.emulated), one.felt is None, one.felt.p50_s if one.felt else 0.0


def _plot(batch: int, rows: Sequence[Measured]) -> Iterator[Block]:
    figures = [
        _bar(one, scope, latency)
        for one in sorted(rows, key=_order)
        if one.row.batch == batch
        for scope, latency in one.scopes
    ]
    marks = {figure.text.split()[-1] for figure in figures}
    note = "p50 and its 95 % interval; the thin line ends at p90."
    note += "".join(f" {mark} {meaning}." for mark, meaning in MARKS.items() if mark in marks)
    if chart := bars(f"Latency at batch {batch}", figures, unit="ms", note=note):
        yield chart


def _bar(one: Measured, scope: str, latency: Latency | None) -> Figure:
    name = f"{one.name}, {scope}" if one.row.end_to_end else one.name
    said = state(one, scope, latency)
    if latency is None:
        return Figure(name, one.series, None, said)
    interval = latency.p50_interval
    words = (
        f"{units.milliseconds(latency.p50_s)} ms",
        units.half_width(latency.p50_s, interval),
        _MARKED.get(said, "~" if one.outcome == "passed" else said),
    )
    return Figure(
        name,
        one.series,
        latency.p50_s * 1e3,
        " ".join(filter(None, words)),
        upper=None if latency.p90_s is None else latency.p90_s * 1e3,
        interval=interval and (interval[0] * 1e3, interval[1] * 1e3),
    )


def _throughputs(rows: Sequence[Measured]) -> Iterator[Block]:
    """Samples a second over the batch size: a plot for each artifact in a runtime, a curve for each source."""
    together: dict[str, dict[str, list[Measured]]] = {}
    for one in rows:
        if one.row.throughput_per_s is not None:
            label, _, runtime = one.name.partition("/")
            together.setdefault(runtime, {}).setdefault(label, []).append(one)
    plots = [_throughput(title, curves) for title, curves in together.items()]
    if found := tuple(filter(None, plots)):
        yield Words("Samples a second over the batch size:")
        yield Curves(found)


def _throughput(title: str, curves: dict[str, list[Measured]]) -> Plot | None:
    series, said = [], []
    for label, rows in curves.items():
        points = sorted({one.row.batch: one.row.throughput_per_s or 0.0 for one in rows}.items())
        if len(points) >= SHOWN:
            best_batch, best = max(points, key=lambda point: point[1])
            series.append(Series(label, rows[0].series, tuple(points), units.rate(points[-1][1])))
            said.append(f"{label} up to {units.rate(best)} samples/s at batch {best_batch}")
    return plot(title, f"{units.join(said)}.", series, x_title="batch", log_x=True)
