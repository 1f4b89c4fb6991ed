"""How the rows of one run come together with those of others: of several bundles, and of an earlier, wider run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from runtimes.errors import UsageError
from runtimes.machine import Machine, same
from runtimes.rows import Agreement, BenchResult, BenchRow, VerifyResult, VerifyRow

R = TypeVar("R", VerifyResult, BenchResult, Agreement)
J = TypeVar("J", VerifyResult, BenchResult)


def joined(results: Sequence[J]) -> J:
    """The results of one run on several bundles as one, begun with the first."""
    rows = tuple(row for result in results for row in result.rows)
    notes = dict.fromkeys(note for result in results for note in result.notes)
    more: dict[str, Any] = {}
    if isinstance(results[0], BenchResult):
        found = [result.every_doubt for result in results if isinstance(result, BenchResult)]
        more["doubts"] = tuple(dict.fromkeys(doubt for doubts in found for doubt in doubts))
    return replace(results[0], rows=rows, notes=tuple(notes), **more)


def rows_before(path: Path, load: Callable[[Path], R | None], here: Machine) -> list[Any]:
    """The rows of an earlier run on this machine; a damaged file has none, as it is about to be replaced."""
    try:
        earlier = load(path)
    except UsageError:
        return []
    return (
        list(earlier.rows)
        if isinstance(earlier, (VerifyResult, BenchResult)) and same(earlier.machine, here)
        else []
    )


Row = TypeVar("Row", bound=VerifyRow | BenchRow)


def merged(earlier: Sequence[Row], fresh: Sequence[Row], current: Mapping[str, str]) -> tuple[Row, ...]:
    """``fresh`` rows, and those of an earlier, wider run that they do not replace.

    ``current`` is the sha256 of each format in the bundle: a row about another file is dropped. Of one that was
    unavailable nobody knows with how many threads it would have run: it is replaced whatever their number.
    """

    def cell(row: Row, threads: bool = True) -> tuple[object, ...]:
        more = (row.batch, row.precision, row.threads if threads else 0) if isinstance(row, BenchRow) else ()
        return (row.artifact, row.runtime, row.device, row.backend, *more)

    replaced = {cell(row, threads) for row in fresh for threads in (True, False)}
    kept = [
        row
        for row in earlier
        if cell(row, row.outcome != "unavailable") not in replaced
        and current.get(row.artifact) == row.artifact_sha256
    ]
    order = list(current)
    return tuple(sorted([*kept, *fresh], key=lambda row: order.index(row.artifact)))
