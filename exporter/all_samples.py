"""Every sample that a person brought for ``verify A B``, a part at a time: the memory is that of one part.

The reference of a verdict holds some of them. The others count for the agreement, the accuracy and the SQNR, and those
that lie furthest from A, or whose classes are the closest, are then judged as the reference's own are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from exporter.basis import Basis
from exporter.real_samples import Stream
from exporter.samples import Samples
from runtimes.answers import answers
from runtimes.base import Array
from runtimes.errors import FwexportError
from runtimes.pool import Cell, Pool
from runtimes.reference import FEWEST as FEWEST_KEPT
from runtimes.reference import MAX_BYTES, REAL_SAMPLES, Reference
from runtimes.rows import VerifyRow
from runtimes.verdict.quantized import Limits
from runtimes.verdict.tally import Tally, together
from runtimes.verdict.verdicts import outcome_of
from runtimes.verify import FEWEST, ROW_SECONDS, judge_cells

# How often A, or B, runs the samples that are judged once more.
RUNS_AGAIN = 6

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
) -> tuple[dict[Cell, VerifyRow], Reference | None]:
    """The ``rows``, reached on ``reference``, with the figures of every sample. One that did not run stays as it is.

    The second is the reference on the samples that were judged once more, None where there were none.
    """
    found = dict(rows)
    ran = [cell for cell, row in rows.items() if row.outcome in ("passed", "mismatch", "inconclusive")]
    tallies = {cell: Tally(cell.bundle.manifest.model, reference) for cell in ran}
    seconds = dict.fromkeys([None, *ran], 0.0)
    done, total, nbytes = 0, len(stream), 1
    for part in stream.chunks() if ran else ():
        begin = time.perf_counter()
        exact = basis.exact(part.inputs)
        seconds[None] += time.perf_counter() - begin
        for cell in list(tallies):
            begin = time.perf_counter()
            try:
                y = answers(cell, part.inputs, pool)
            except FwexportError as error:
                reason = f"after {done:,} of {total:,} samples: {error}"
                found[cell] = replace(found[cell], outcome=outcome_of(error), reason=reason)
                del tallies[cell]
                continue
            seconds[cell] += time.perf_counter() - begin
            tallies[cell].add(y, exact, part.inputs, part.labels)
        done += len(part.labels)
        nbytes = sum(array.nbytes for array in (*part.inputs.values(), *exact.values())) // len(part.labels)
        if done * 10 // total > (done - len(part.labels)) * 10 // total:
            on_samples(done, total)
    by_noise = [cell for cell in tallies if not cell.described.quantized]
    closely, again = {}, None
    if by_noise:
        kept = [kept for cell in by_noise for kept in (tallies[cell].worst, tallies[cell].closest)]
        samples = _samples(*together(kept, affordable(max(seconds.values()) / done, nbytes)))
        again = basis.reference(samples)
        closely = {
            cell: row for cell, row, _ in judge_cells(by_noise, again, pool, limits, every_sample=True)
        }
    for cell, tally in tallies.items():
        found[cell] = tally.onto(found[cell], closely.get(cell), cell.described.quantized, limits)
    return found, again


def affordable(seconds: float, nbytes: int) -> int:
    """How many samples to judge once more: no more than ROW_SECONDS run and MAX_BYTES hold, but no fewer than FEWEST."""
    by_time = int(ROW_SECONDS / max(RUNS_AGAIN * seconds, 1e-9))
    return max(FEWEST, min(REAL_SAMPLES, by_time, MAX_BYTES // max(nbytes, 1)))


def _samples(inputs: dict[str, Array], labels: Array) -> Samples:
    """As a reference keeps them all: a few as its own, of which it may choose no fewer, the rest as those picked."""
    few = {name: array[:FEWEST_KEPT] for name, array in inputs.items()}
    return Samples(
        few, labels[:FEWEST_KEPT], closest={name: array[FEWEST_KEPT:] for name, array in inputs.items()}
    )
