"""A section for each other machine that verified or benched a bundle: what it is, and its rows beside those here."""

from __future__ import annotations

from collections.abc import Iterator

from runtimes.report import best, doubts, facts, units
from runtimes.report.blocks import Block, Column, Point, Points, Section, Table, Words
from runtimes.report.inputs import Inputs
from runtimes.report.measured import Measured, batches, measured
from runtimes.report.timing import state

VERDICTS = (
    Column("row", "name"),
    Column("outcome", "outcome"),
    Column("worst e/n", "number"),
    Column("samples", "number"),
    Column("as the source", "number"),
    Column("accuracy", "number"),
)
TIMINGS = (
    Column("row", "name"),
    Column("p50 ms", "number"),
    Column("interval", "number"),
    Column("p90 ms", "number"),
    Column("here, p50 ms", "number"),
    Column("samples/s", "number"),
    Column("cold start ms", "number"),
    Column("added MB", "number"),
    Column("timing", "outcome"),
    Column("verdict", "outcome"),
)


def sections(inputs: Inputs) -> Iterator[Section]:
    """The sections, by the names of the machines."""
    here = {(one.name, one.row.batch): one for one in measured(inputs)}
    for number, (name, there) in enumerate(inputs.targets.items(), start=1):
        yield Section(f"target-{number}", f"On {name}", tuple(_blocks(there, here)))


def _blocks(there: Inputs, here: dict[tuple[str, int], Measured]) -> Iterator[Block]:
    for what, text in facts.machines(there.bundles):
        yield Words(f"{what}: {text}.")
    rows = measured(there)
    if rows:
        yield Words(f"The fastest: {best.fastest(rows)}.")
    yield from doubts.of_the_machine(there)
    verdicts = [(bundle, row) for bundle in there.bundles if bundle.verify for row in bundle.verify.rows]
    cells = tuple(
        (
            bundle.starred(row),
            bundle.outcome(row),
            units.significant(row.max_noise_ratio),
            units.count(row.n),
            units.percent(row.top1_agreement),
            units.percent(row.accuracy),
        )
        for bundle, row in verdicts
    )
    if cells:
        yield Table("Verdicts there", VERDICTS, cells)
        yield from doubts.of_the_verdicts(there)
    for batch in batches(rows):
        listed = [one for one in rows if one.row.batch == batch]
        yield Table(f"Batch {batch} there", TIMINGS, tuple(_timing(one, here) for one in listed))
    yield from doubts.of_the_figures(rows)
    reasons = [Point(b.name(row), b.outcome(row), row.reason) for b, row in verdicts if row.reason]
    reasons += [
        Point(f"{one.name}, batch {one.row.batch}", one.outcome, one.row.reason)
        for one in rows
        if one.row.reason
    ]
    if reasons:
        yield Points("Why", tuple(dict.fromkeys(reasons)))


def _timing(one: Measured, here: dict[tuple[str, int], Measured]) -> tuple[str, ...]:
    scope, latency = one.scopes[-1]  # what a caller waits for
    same = here.get((one.name, one.row.batch))
    return (
        one.name,
        units.milliseconds(latency.p50_s if latency else None),
        units.interval_ms(latency.p50_interval if latency else None),
        units.milliseconds(latency.p90_s if latency else None),
        units.milliseconds(same.felt.p50_s if same and same.felt else None),
        units.rate(one.row.throughput_per_s),
        units.milliseconds(one.row.cold_s),
        units.megabytes(one.row.added_rss_bytes),
        state(one, scope, latency),
        one.row.verdict,
    )
