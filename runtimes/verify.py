"""The stage ``verify``: does every artifact of a bundle predict what its source predicts, in every runtime here?

It needs the bundle and the runtimes, no training framework. Each cell runs in its own child process; a cell that
cannot run is a row that says why, and is never a passed one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from runtimes import machine, session_child
from runtimes.answers import answers, run_all
from runtimes.base import Array, SessionOptions, in_browser
from runtimes.batches import fixed_batch
from runtimes.bundle import Bundle, open_bundle
from runtimes.errors import ChecksumError, FwexportError
from runtimes.files import make_folder, read_npz, write_npz
from runtimes.merging import merged, rows_before
from runtimes.pool import Cell, Live, Pool, cells
from runtimes.reference import REFERENCE, Reference, open_reference
from runtimes.rows import PREDICTIONS, SCHEMA, VERIFY, VerifyResult, VerifyRow, load_verify, save
from runtimes.verdict.quantized import Limits, tolerated
from runtimes.verdict.verdicts import (
    AGAIN,
    AT_ONCE,
    ONE_THREAD,
    UNEVEN,
    feeds,
    judged,
    metadata_faults,
    outcome_of,
    source_outputs,
    structure_faults,
)

# All samples at once, then in batches of these sizes in turn: both must pass, so the batch cannot matter.
# Two of 1 follow each other: an output that is read too early, or kept where the next one is written, shows there.
UNEVEN_BATCHES = [1, 1, 2, 3, 7]
# How often the judged samples are run, how long a row may take, and the fewest samples that a verdict rests on.
RUNS = 3
ROW_SECONDS = 60.0
# As long for a device that software plays: it is slow, and shows right code, not the device's own rounding.
EMULATED_SECONDS = 15.0
FEWEST = 8
QUICK_SECONDS = 0.1

DEFAULT_LIMITS = Limits()

OnRow = Callable[[VerifyRow], None]


@dataclass(frozen=True)
class VerifyOptions:
    """What to verify; empty means all that is here, in a browser too with ``browser``. ``out`` is where to write, default
    the bundle.
    """

    devices: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    runtimes: tuple[str, ...] = ()
    browser: bool = False
    out: Path | None = None


def verify(folder: Path, options: VerifyOptions, pool: Pool, on_row: OnRow | None = None) -> VerifyResult:
    """Judge every cell of the bundle in ``folder``; ``verify.json`` is saved after each row.

    The result has the rows of this run. The file keeps those of an earlier, wider run on this machine too.
    """
    bundle = open_bundle(folder)
    reference = open_reference(folder / REFERENCE)
    chosen = cells(bundle, options.devices, options.formats, options.runtimes, options.browser)
    out = make_folder(options.out or folder)
    state = machine.describe()
    kept = rows_before(out / VERIFY, load_verify, state)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    rows: list[VerifyRow] = []
    predictions = read_npz(out / PREDICTIONS) if kept else {}
    unreachable = _unreachable(bundle)
    for cell, row, top1 in judge_cells(chosen, reference, pool):
        rows.append(row)
        predictions.pop(cell.name, None)
        if top1 is not None:
            predictions[cell.name] = top1
        every = (*merged(kept, rows, bundle.manifest.checksums), *unreachable)
        save(out / VERIFY, VerifyResult(SCHEMA, created, state, every, reference.notes))
        if on_row:
            on_row(row)
    if not (options.formats or options.runtimes):
        rows += unreachable
    write_npz(out / PREDICTIONS, predictions)
    return VerifyResult(SCHEMA, created, state, tuple(rows), reference.notes)


def judge_cells(
    chosen: Sequence[Cell],
    reference: Reference,
    pool: Pool,
    limits: Limits = DEFAULT_LIMITS,
    every_sample: bool = False,
) -> Iterator[tuple[Cell, VerifyRow, Array | None]]:
    """Each cell with its row and, where there is one, the class it gave to each held-out sample.

    ``limits`` are for quantised artifacts. A slow runtime is judged on fewer samples, but not with ``every_sample``.
    """
    for position, cell in enumerate(chosen):
        # The next child loads while this one answers: more at once would stretch the load times that bench shows.
        for ahead in chosen[position : position + 2]:
            _start(ahead, pool)
        begin = time.perf_counter()
        row, top1 = _verify_cell(cell, reference, pool, limits, every_sample)
        yield cell, replace(row, wall_s=time.perf_counter() - begin), top1
        if in_browser(cell.runtime):  # a dozen processes each, so they do not wait for the end of the run
            pool.end(cell)


def _unreachable(bundle: Bundle) -> list[VerifyRow]:
    """A row for each format that this source cannot become."""
    framework = bundle.manifest.source.framework
    return [
        VerifyRow(framework, failure.format, "-", "cpu", "-", "unavailable", failure.message)
        for failure in bundle.manifest.failures
        if failure.is_unreachable
    ]


def _start(cell: Cell, pool: Pool) -> None:
    """Begin to load a cell whose file is the right one; a wrong one is never opened."""
    try:
        cell.bundle.check(cell.described)
    except ChecksumError:
        return
    pool.session(cell)


def _verify_cell(
    cell: Cell, reference: Reference, pool: Pool, limits: Limits, every_sample: bool
) -> tuple[VerifyRow, Array | None]:
    """One row, and the class of each held-out sample where there is one."""
    artifact, bundle = cell.described, cell.bundle
    row = VerifyRow(
        source=cell.source,
        artifact=cell.artifact,
        runtime=cell.runtime,
        device=cell.device,
        backend=cell.backend,
        outcome="failed",
        n=len(reference),
        samples=reference.samples,
        noise=reference.noise_kind,
        artifact_sha256=artifact.sha256,
    )
    if reference.refused and not artifact.quantized:
        return replace(row, outcome="inconclusive", reason=reference.refused), None
    try:
        bundle.check(artifact)
        live = pool.session(cell)
        opened = live.opened
        row = replace(
            row, device_proof=opened.device_proof, emulated=opened.emulated, versions=opened.versions
        )
        model, fixed = bundle.manifest.model, fixed_batch(artifact.inputs)
        wrong = structure_faults(opened.inputs, opened.outputs, artifact)
        if not bundle.manifest.is_foreign:
            wrong = wrong or metadata_faults(opened.metadata, artifact, model)
        if wrong:
            return replace(row, reason=wrong), None
        judged_by = reference if every_sample else judged_part(cell, reference, pool)
        inputs = feeds(judged_by.inputs, model, artifact)
        if judged_by is not reference:
            row = replace(row, n=len(judged_by), reason=_fewer(judged_by, reference))
        everything = [len(judged_by)]
        found = {
            AT_ONCE: run_all(live.worker, inputs, everything, fixed),
            UNEVEN: run_all(live.worker, inputs, UNEVEN_BATCHES, fixed),
            AGAIN: run_all(live.worker, inputs, everything, fixed),
        }
        if _has_threads(live):
            found[ONE_THREAD] = pool.one_thread(cell).call(
                session_child.run_beside,
                cell.runtime,
                bundle.path(artifact),
                cell.device,
                SessionOptions(backend=cell.backend, threads=1),
                inputs,
                len(judged_by),
            )
        runs = {how: source_outputs(outputs, model, artifact) for how, outputs in found.items()}
        held = None
        if len(judged_by.heldout_labels):
            held = answers(cell, judged_by.heldout, pool)
    except FwexportError as error:
        return replace(row, outcome=outcome_of(error), reason=str(error)), None
    row, top1 = judged(row, runs, held, judged_by, model)
    if artifact.quantized:
        row = tolerated(row, runs, top1, judged_by, model, artifact.quantized, limits)
    return row, top1 if judged_by is reference else None


def judged_part(cell: Cell, reference: Reference, pool: Pool) -> Reference:
    """The reference, or as much of it as the cell's runtime answers in the time of a row, see ``affordable``."""
    live, artifact = pool.session(cell), cell.described
    _ = live.opened
    fixed = fixed_batch(artifact.inputs)
    few = {name: array[: fixed or 1] for name, array in reference.inputs.items()}
    first = feeds(few, cell.bundle.manifest.model, artifact)
    if live.first_s is None:
        live.first_s = live.worker.call(session_child.first_run, first)
    seconds = EMULATED_SECONDS if live.opened.emulated else ROW_SECONDS
    return affordable(reference, _seconds_per_sample(live, first, fixed), RUNS + _has_threads(live), seconds)


def _has_threads(live: Live) -> bool:
    """Whether there is another number of threads to try: a GPU's are not the runtime's to choose."""
    return live.cell.device == "cpu" and live.opened.threads > 1


def affordable(
    reference: Reference, seconds_per_sample: float, runs: int = RUNS, seconds: float = ROW_SECONDS
) -> Reference:
    """The reference, or as much of it as a slow runtime answers in ``seconds``: every so many-th sample of each part."""
    cost = seconds_per_sample * (runs * len(reference) + len(reference.heldout_labels))
    if cost <= seconds:
        return reference
    share = seconds / cost
    rows = _spread(len(reference), max(FEWEST, int(share * len(reference))))
    held = _spread(len(reference.heldout_labels), int(share * len(reference.heldout_labels)))
    return reference.part(rows, held)


def _spread(total: int, count: int) -> Array:
    """``count`` of the numbers below ``total``, evenly spaced, the first and the last among them."""
    return np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(int))


def _seconds_per_sample(live: Live, first: dict[str, Array], fixed: int | None) -> float:
    """Seconds for one sample once the runtime is warm. A quick first run is close enough, and never an underestimate."""
    seconds = live.first_s or 0.0
    if seconds > QUICK_SECONDS:
        seconds = live.worker.call(session_child.first_run, first)
    return seconds / (fixed or 1)


def _fewer(part: Reference, whole: Reference) -> str:
    samples = f"{len(part)} of {len(whole)} samples"
    if len(whole.heldout_labels):
        samples += f" and {len(part.heldout_labels)} of {len(whole.heldout_labels)} held-out ones"
    return f"judged on {samples}, because this runtime is slow on this model"
