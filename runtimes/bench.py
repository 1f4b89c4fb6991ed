"""The stage ``bench``: how fast each artifact runs, in each runtime that is here.

One process measures at a time, the others wait on a pipe. Cells are visited in randomised rounds, so that a machine
that drifts hits all of them alike.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from runtimes import latency, machine, session_child
from runtimes.base import Array
from runtimes.batches import fixed_batch
from runtimes.bundle import Bundle, open_bundle
from runtimes.errors import FwexportError, UsageError
from runtimes.files import make_folder, read_npz, write_npz
from runtimes.pool import Cell, Pool, cells
from runtimes.reference import REFERENCE, Reference, open_reference
from runtimes.rows import (
    BENCH,
    SCHEMA,
    VERIFY,
    BenchResult,
    BenchRow,
    VerifyRow,
    load_bench,
    load_verify,
    merged,
    rows_before,
    save,
)
from runtimes.session_child import Timed
from runtimes.verdicts import feeds, outcome_of

TIMES = "times.npz"

# Seconds of steady state per cell.
SECONDS = {"quick": 1.0, "default": 10.0, "full": 60.0}
ROUNDS = 2
ROTATION = 8
AT_LEAST = 3
AT_MOST = 1_000_000
SEED = 0

OnRow = Callable[[BenchRow], None]


@dataclass(frozen=True)
class BenchOptions:
    """What to measure; empty means all that is here. ``threads`` None is every core that is allowed."""

    devices: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    runtimes: tuple[str, ...] = ()
    batches: tuple[int, ...] = (1, 32)
    threads: int | None = None
    time: str = "default"
    out: Path | None = None


@dataclass
class _Measured:
    """What the rounds of one cell and batch have given so far."""

    cell: Cell
    batch: int
    times: list[Array] = field(default_factory=list)
    warmup_n: int = 0
    warm: bool = True
    peak_rss_bytes: int = 0
    error: FwexportError | None = None

    def add(self, timed: Timed) -> None:
        """One more round."""
        self.times.append(timed.times_ns)
        self.warmup_n += timed.warmup_n
        self.warm &= timed.warm
        self.peak_rss_bytes = max(self.peak_rss_bytes, timed.peak_rss_bytes)


def bench(folder: Path, options: BenchOptions, pool: Pool, on_row: OnRow | None = None) -> BenchResult:
    """Time every cell of the bundle in ``folder``; ``bench.json`` and the raw times are saved.

    Sessions that ``pool`` already holds are used as they are. The result has the rows of this run; the file keeps
    those of an earlier, wider run on this machine too.
    """
    if options.time not in SECONDS:
        raise UsageError(f"--time is one of {', '.join(SECONDS)}, not {options.time!r}.")
    bundle = open_bundle(folder)
    reference = open_reference(folder / REFERENCE)
    out = make_folder(options.out or folder)
    state = machine.describe()
    verdicts = rows_before(out / VERIFY, load_verify, state) or rows_before(
        folder / VERIFY, load_verify, state
    )
    kept = rows_before(out / BENCH, load_bench, state)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    chosen = cells(bundle, options.devices, options.formats, options.runtimes)
    measured = [
        _Measured(cell, batch)
        for cell in chosen
        for batch in dict.fromkeys(fixed_batch(cell.described.inputs) or batch for batch in options.batches)
    ]
    rows: dict[int, BenchRow] = {}
    for position, last in visits(len(measured), ROUNDS, SEED):
        item = measured[position]
        _measure(item, bundle, reference, options, pool)
        if last:
            rows[position] = _row(item, options, pool, verdicts)
            fresh = tuple(rows[index] for index in sorted(rows))
            every = merged(kept, fresh, bundle.manifest.checksums)
            save(out / BENCH, BenchResult(SCHEMA, created, state, options.time, every))
            if on_row:
                on_row(rows[position])
    raw = read_npz(out / TIMES) if kept else {}
    raw |= {
        f"{item.cell.name}/threads {options.threads or 'all'}/batch {item.batch}": np.concatenate(item.times)
        for item in measured
        if item.times
    }
    write_npz(out / TIMES, raw)
    return BenchResult(SCHEMA, created, state, options.time, tuple(rows[index] for index in sorted(rows)))


def visits(count: int, rounds: int, seed: int) -> list[tuple[int, bool]]:
    """The order of measuring: each of ``count`` items once a round, shuffled; True on an item's last visit."""
    order = random.Random(seed)
    visited: list[tuple[int, bool]] = []
    for number in range(1, rounds + 1):
        visited += [(index, number == rounds) for index in order.sample(range(count), count)]
    return visited


def _measure(
    item: _Measured, bundle: Bundle, reference: Reference, options: BenchOptions, pool: Pool
) -> None:
    if item.error is not None:
        return
    artifact = item.cell.described
    try:
        bundle.check(artifact)
        live = pool.session(item.cell, options.threads)
        live.opened  # noqa: B018 - waits for it, or raises its error
        fixed = fixed_batch(artifact.inputs)
        inputs = rotation(reference, item.batch)
        each = [feeds(one, bundle.manifest.model, artifact) for one in inputs]
        if live.first_s is None:
            first = {name: array[: fixed or 1] for name, array in each[0].items()}
            live.first_s = live.worker.call(session_child.first_run, first)
        seconds = SECONDS[options.time] / ROUNDS
        item.add(live.worker.call(session_child.measure, each, seconds, AT_LEAST, AT_MOST))
    except FwexportError as error:
        item.error = error


def rotation(reference: Reference, batch: int) -> list[dict[str, Array]]:
    """A few batches of real samples, taken in turn, so that no run sees the input that is still in the cache."""
    real = np.flatnonzero(reference.roles != "sentinel")
    picks = [real[(np.arange(batch) + start * batch) % len(real)] for start in range(ROTATION)]
    return [{name: array[pick] for name, array in reference.inputs.items()} for pick in picks]


def _row(item: _Measured, options: BenchOptions, pool: Pool, verdicts: Sequence[VerifyRow]) -> BenchRow:
    cell, artifact = item.cell, item.cell.described
    row = BenchRow(
        source=cell.source,
        artifact=cell.artifact,
        runtime=cell.runtime,
        device=cell.device,
        backend=cell.backend,
        threads=options.threads or machine.cores_allowed(),
        batch=item.batch,
        size_bytes=artifact.size_bytes,
        artifact_sha256=artifact.sha256,
    )
    if item.error is not None:
        return replace(row, outcome=outcome_of(item.error), reason=str(item.error))
    live = pool.session(cell, options.threads)
    found = latency.summarise([item.times], item.warm)
    return replace(
        row,
        threads=live.opened.threads,
        verdict=verdict_of(cell, live.opened.versions, verdicts),
        import_s=live.opened.import_s,
        load_s=live.opened.load_s,
        first_s=live.first_s,
        compute=found,
        warmup_n=item.warmup_n,
        throughput_per_s=item.batch / found.mean_s,
        peak_rss_bytes=item.peak_rss_bytes,
        stable=not found.flags,
        device_proof=live.opened.device_proof,
        versions=live.opened.versions,
    )


def verdict_of(cell: Cell, versions: Mapping[str, str], rows: Sequence[VerifyRow]) -> str:
    """The outcome of the same artifact, by its sha256, in the same runtime and version; or "not verified"."""
    wanted = (cell.described.sha256, cell.runtime, cell.device, cell.backend)
    for row in rows:
        if (row.artifact_sha256, row.runtime, row.device, row.backend) == wanted and row.versions == versions:
            return row.outcome
    return "not verified"
