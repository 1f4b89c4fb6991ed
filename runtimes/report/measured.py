"""The rows of ``bench.json`` as the report shows them: each under a name that no other row of its batch has."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
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
    """One row, its bundle and its bundle's number. ``name`` is ``source/artifact/runtime/device/backend``, with a star
    where software played the device, and after commas its threads and precision where it was measured with several.
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
        Measured(series, bundle, row, bundle.starred(row))
        for series, bundle in enumerate(inputs.bundles)
        if bundle.bench
        for row in bundle.bench.rows
    )


def named(rows: Iterable[Measured]) -> tuple[Measured, ...]:
    """The rows, their details added to those names that stand for several rows of one batch."""
    every = tuple(rows)
    for detail in _DETAILS:
        details = [detail(one.row) for one in every]
        told = varied([one.name for one in every], [one.row.batch for one in every], details)
        every = tuple(
            replace(one, name=f"{one.name}, {word}") if needed else one
            for one, word, needed in zip(every, details, told, strict=True)
        )
    return every


def varied(names: Sequence[Hashable], batches: Sequence[int], details: Sequence[str]) -> list[bool]:
    """Whether each name stands, within one batch size, for rows that differ in this detail."""
    found: dict[tuple[Hashable, int], set[str]] = {}
    for name, batch, detail in zip(names, batches, details, strict=True):
        found.setdefault((name, batch), set()).add(detail)
    shared = {name for (name, _), words in found.items() if len(words) > 1}
    return [name in shared for name in names]


def batches(rows: Sequence[Measured]) -> list[int]:
    """The batch sizes, ascending."""
    return sorted({one.row.batch for one in rows})
