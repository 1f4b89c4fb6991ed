"""Every sample that a person brought for ``verify A B``, a part at a time: the memory is that of one part.

The reference of a verdict holds some of them. The others count for the agreement, the accuracy and the SQNR, and those
that lie furthest from A, or whose classes are the closest, are then judged as the reference's own are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from exporter.basis import Basis
from exporter.real_samples import Stream
from exporter.samples import Samples
from runtimes.pool import Cell, Pool
from runtimes.quantized import Limits
from runtimes.reference import Reference
from runtimes.rows import VerifyRow
from runtimes.tally import Tally, together
from runtimes.verify import answers, judge_cells

OnSamples = Callable[[int, int], None]

ALL_RUN = "all {:,} samples were run: agreement, accuracy and SQNR are theirs"


def ignored(done: int, of: int) -> None:
    """What hears of samples where nobody listens."""


def held_by(reference: Reference) -> int:
    """How many real samples the reference's verdict has seen."""
    return max(len(reference.heldout_labels), int(np.sum(reference.roles != "sentinel")))


def on_all(
    stream: Stream,
    rows: Mapping[Cell, VerifyRow],
    basis: Basis,
    reference: Reference,
    pool: Pool,
    limits: Limits,
    on_samples: OnSamples = ignored,
) -> dict[Cell, VerifyRow]:
    """The ``rows``, reached on ``reference``, with the figures of every sample. One that did not run stays as it is."""
    ran = [cell for cell, row in rows.items() if row.outcome in ("passed", "mismatch", "inconclusive")]
    if not ran:
        return dict(rows)
    tallies = {cell: Tally(cell.bundle.manifest.model, reference) for cell in ran}
    done, total = 0, len(stream)
    for part in stream.chunks():
        exact = basis.exact(part.inputs)
        for cell, tally in tallies.items():
            tally.add(answers(cell, part.inputs, pool), exact, part.inputs, part.labels)
        done += len(part.labels)
        if done * 10 // total > (done - len(part.labels)) * 10 // total:
            on_samples(done, total)
    by_noise = [cell for cell in ran if not cell.described.quantized]
    closely = {}
    if by_noise:
        kept = [kept for cell in by_noise for kept in (tallies[cell].worst, tallies[cell].closest)]
        again = basis.reference(Samples(*together(kept)))
        closely = {cell: row for cell, row, _ in judge_cells(by_noise, again, pool, limits)}
    return {
        cell: tallies[cell].onto(row, closely.get(cell), cell.described.quantized, limits)
        if cell in tallies
        else row
        for cell, row in rows.items()
    }
