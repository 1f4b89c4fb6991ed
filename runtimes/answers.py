"""What an artifact gives for any number of samples, asked of the child that has it open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runtimes import session_child
from runtimes.base import Array, Feeds
from runtimes.batches import fixed_batch, padded
from runtimes.client import Worker
from runtimes.pool import Cell, Pool
from runtimes.verdict.verdicts import feeds, source_outputs

# Large enough to be quick, small enough for any memory.
BATCH = 32


def run_all(worker: Worker, given: Feeds, batches: Sequence[int], fixed: int | None) -> dict[str, Array]:
    """Outputs of all samples, both in the file's own names and layouts, in batches of these sizes in turn.

    A model that takes one batch size only gets that, ``fixed``, the last one filled up.
    """
    total = len(next(iter(given.values())))
    whole = padded(given, fixed) if fixed else dict(given)
    found = worker.call(session_child.run, whole, [fixed] if fixed else list(batches))
    return {name: array[:total] for name, array in found.items()}


def answers(
    cell: Cell, samples: Mapping[str, Array], pool: Pool, batch: int | None = BATCH
) -> dict[str, Array]:
    """Outputs of all samples (n, ...), both in the source's names and layouts, ``batch`` at a time; None is all at once."""
    model, artifact = cell.bundle.manifest.model, cell.described
    given = feeds(samples, model, artifact)
    size = batch or len(next(iter(given.values())))
    found = run_all(pool.session(cell).worker, given, [size], fixed_batch(artifact.inputs))
    return source_outputs(found, model, artifact)
