"""The rows of ``bench.json`` as the report shows them: each under a name that no other row of its batch has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from runtimes.measuring.latency import Latency
from runtimes.report.inputs import BundleInputs, Inputs
from runtimes.rows import BenchRow

# What tells apart two rows of one artifact in one runtime, where a name alone does not.
_DETAILS: tuple[Callable[[BenchRow], str], ...] = (
    lambda row: f"{row.threads} thread{'' if row.threads == 1 else 's'}",
    lambda row: row.precision,
)
COMPUTE, END_TO_END = "compute", "end to end"


@dataclass(frozen=True)
class Measured:
    """One row, its bundle and its bundle's number. ``name`` is ``source/artifact/runtime/device/backend``, and after
    commas its threads and precision where it was measured with several.
    """

    series: int
    bundle: BundleInputs
    row: BenchRow
    name: str

    @property
    def outcome(self) -> str:
        """The row's outcome, or "stale"."""
        return self.bundle.outcome(self.row)

    @property
    def scopes(self) -> tuple[tuple[str, Latency | None], ...]:
        """What was timed: on a GPU the computing alone, and from host arrays to host arrays."""
        compute = (COMPUTE, self.row.compute)
        return (compute, (END_TO_END, self.row.end_to_end)) if self.row.end_to_end else (compute,)

    @property
    def felt(self) -> Latency | None:
        """What a caller with arrays on the host waits for."""
        return self.row.end_to_end or self.row.compute


def measured(inputs: Inputs) -> tuple[Measured, ...]:
    """All rows of all bundles, in the order of the files."""
    return named(
        Measured(series, bundle, row, bundle.name(row))
        for series, bundle in enumerate(inputs.bundles)
        if bundle.bench
        for row in bundle.bench.rows
    )


def named(rows: Iterable[Measured]) -> tuple[Measured, ...]:
    """The rows, their details added to those names that stand for several rows of one batch."""
    every = tuple(rows)
    for detail in _DETAILS:
        values: dict[tuple[str, int], set[str]] = {}
        for one in every:
            values.setdefault((one.name, one.row.batch), set()).add(detail(one.row))
        shared = {name for (name, _), found in values.items() if len(found) > 1}
        every = tuple(
            replace(one, name=f"{one.name}, {detail(one.row)}") if one.name in shared else one
            for one in every
        )
    return every


def batches(rows: Sequence[Measured]) -> list[int]:
    """The batch sizes, ascending."""
    return sorted({one.row.batch for one in rows})
