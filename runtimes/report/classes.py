"""The classes that each row named on the held-out samples, beside the source's and beside the labels."""

from __future__ import annotations

from collections.abc import Iterator

from runtimes.report import units
from runtimes.report.blocks import Block, Column, Table, Words
from runtimes.report.inputs import BundleInputs, Inputs
from runtimes.rows import VerifyRow

COLUMNS = (
    Column("row", "name"),
    Column("as the source", "number"),
    Column("95 % interval", "number"),
    Column("accuracy", "number"),
    Column("change, points", "number"),
    Column("95 % interval", "number"),
    Column("p", "number"),
    Column("samples", "number"),
)
LEGEND = (
    "As the source: the share of the held-out samples to which the row gives the source's class. The change is the "
    "row's accuracy less the source's on the same samples; p is the chance of one as large if both were equally good. "
    "Intervals: Clopper-Pearson for a share, Tango for a change; p: McNemar's exact test."
)


def blocks(inputs: Inputs) -> Iterator[Block]:
    """The table of the rows that named classes; nothing where none did."""
    rows = tuple(
        _cells(bundle, row)
        for bundle in inputs.bundles
        for row in (bundle.verify.rows if bundle.verify else ())
        if row.top1_agreement is not None
    )
    if rows:
        yield Table("Classes on the held-out samples", COLUMNS, rows)
        yield Words(LEGEND, "legend")


def _cells(bundle: BundleInputs, row: VerifyRow) -> tuple[str, ...]:
    return (
        bundle.starred(row),
        units.percent(row.top1_agreement),
        units.shares(row.top1_interval),
        units.percent(row.accuracy),
        units.points(row.accuracy_change),
        units.changes(row.accuracy_change_interval),
        units.significant(row.mcnemar_p),
        units.count(row.heldout_n),
    )
