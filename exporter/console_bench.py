"""The latencies as a person sees them: a table of 80 columns, what its figures are, and what makes them doubtful."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from exporter.console import new_table, print_reasons, print_table, stdout, warn, where, where_they_ran
from runtimes.doubts import ADVICE, Doubt
from runtimes.measuring.latency import Latency
from runtimes.report import units
from runtimes.report.doubts import MEANINGS
from runtimes.report.measured import varied
from runtimes.rows import BenchRow

LEGEND = (
    "±: how far the further end of the 95 % interval lies from p50, ×÷ a factor. cold: seconds of import, load and first run of a "
    "new process. +MB: memory added above the runtime's library."
)

NAMED = 4  # the most rows that a flag is said to be of by name


def print_bench(rows: Sequence[BenchRow], doubts: Sequence[Doubt] = ()) -> None:
    """The latencies as a table, each reason below it; doubts about the machine as warnings."""
    scopes = any(row.end_to_end for row in rows)
    named = places(rows)
    table = new_table(
        "How fast?", ["artifact", "in"], ["batch", "p50 ms", "±", "p90 ms", "per s", "cold", "+MB"]
    )
    for row, place in zip(rows, named, strict=True):
        name, cost = f"{row.source}/{row.artifact}", (_seconds(row.cold_s), _megabytes(row.added_rss_bytes))
        table.add_row(
            name, place, str(row.batch), *_figures(row.compute, row.throughput_per_s, row.stable), *cost
        )
        if row.end_to_end:
            per_s = row.batch / row.end_to_end.mean_s if row.end_to_end.mean_s else None
            table.add_row("", "end to end", "", *_figures(row.end_to_end, per_s), "", "")
    print_table(table)
    if any(row.compute for row in rows):
        more = " end to end: with the copies to the GPU and back." if scopes else ""
        stdout.print(LEGEND + more, markup=False)
    for line in (*where_they_ran(rows), *_flagged(rows, named)):
        stdout.print(line, markup=False)
    print_reasons(rows)
    for doubt in dict.fromkeys(doubts):
        warn([f"these figures are doubtful: {doubt.text} ({ADVICE[doubt.kind]})"])


def places(rows: Sequence[BenchRow]) -> list[str]:
    """The runtime of each row, with its threads and precision where one artifact was measured with several."""
    named = [where(row) for row in rows]
    batches = [row.batch for row in rows]
    for details in ([f"x{row.threads}" for row in rows], [row.precision for row in rows]):
        keys = [(row.source, row.artifact, name) for row, name in zip(rows, named, strict=True)]
        told = varied(keys, batches, details)
        named = [
            f"{name} {detail}" if needed else name
            for name, detail, needed in zip(named, details, told, strict=True)
        ]
    return named


def _figures(latency: Latency | None, per_s: float | None, stable: bool | None = None) -> tuple[str, ...]:
    if latency is None:
        return ("-", "", "-", "-")
    doubtful = "~" if latency.flags or stable is False else " "
    width = units.half_width(latency.p50_s, latency.p50_interval).removeprefix("± ")
    p90 = "-" if latency.p90_s is None else units.milliseconds(latency.p90_s)
    return (
        units.milliseconds(latency.p50_s) + doubtful,
        width,
        p90,
        "-" if per_s is None else units.rate(per_s),
    )


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _megabytes(n_bytes: int | None) -> str:
    return "-" if n_bytes is None else f"{n_bytes / 1e6:.0f}"


def _flagged(rows: Sequence[BenchRow], named: Sequence[str]) -> Iterator[str]:
    """A line for each flag: what it means, and the rows that have it."""
    for flag, meaning in MEANINGS.items():
        sizes: dict[str, list[str]] = {}
        for row, place in zip(rows, named, strict=True):
            for latency, more in ((row.compute, ""), (row.end_to_end, ", end to end")):
                if latency and flag in latency.flags:
                    name = f"{row.source}/{row.artifact} in {place}{more}"
                    sizes.setdefault(name, []).append(str(row.batch))
        if sizes:
            said = "; ".join(f"{name}, batch {units.join(found)}" for name, found in sizes.items())
            every = sum(latency is not None for row in rows for latency in (row.compute, row.end_to_end))
            many = f"{sum(map(len, sizes.values()))} of {every} timings"
            yield f"~ {flag}: {meaning}: {said if len(sizes) <= NAMED else many}"
