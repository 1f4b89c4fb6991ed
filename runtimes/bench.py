"""The stage ``bench``: how fast each artifact runs, in each runtime that is here. ``runtimes.measuring.measure`` does the timing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import psutil

from runtimes import machine
from runtimes.base import in_browser, runtime
from runtimes.batches import fixed_batch
from runtimes.bundle import Bundle, open_bundle
from runtimes.doubts import Doubt
from runtimes.environment import cgroup
from runtimes.errors import UsageError
from runtimes.files import make_folder
from runtimes.machine import Machine
from runtimes.measuring import latency, times
from runtimes.measuring.cases import Case, Measured, Plan
from runtimes.measuring.measure import OnStep, measure
from runtimes.merging import merged, rows_before
from runtimes.pool import Cell, cells
from runtimes.rows import (
    BENCH,
    SCHEMA,
    VERIFY,
    BenchResult,
    BenchRow,
    VerifyRow,
    load_bench,
    load_verify,
    save,
)
from runtimes.verdict.verdicts import outcome_of

# Seconds of steady state per row, and the rounds over which they are spread.
SECONDS = {"quick": 1.0, "default": 10.0, "full": 60.0}
ROUNDS = {"quick": 5, "default": 10, "full": 10}
BATCHES = (1, 32)
# The memory that a child takes, on average over the runtimes: TensorFlow's 700 MB, a browser's 250, TF Lite's 60.
CHILD_BYTES = 400 << 20

OnRow = Callable[[BenchRow], None]


@dataclass(frozen=True)
class BenchOptions:
    """What to measure; empty means all that is here, on every core allowed, in float32; in a browser too with ``browser``.

    ``rounds`` 0 is what fits ``time``. ``sweep`` adds batches, see ``runtimes.measuring.measure``.
    """

    devices: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    runtimes: tuple[str, ...] = ()
    browser: bool = False
    batches: tuple[int, ...] = ()
    threads: tuple[int, ...] = ()
    precisions: tuple[str, ...] = ()
    time: str = "default"
    rounds: int = 0
    processes: int = 1
    sweep: bool = False
    out: Path | None = None


def bench(
    folder: Path, options: BenchOptions, on_row: OnRow | None = None, on_step: OnStep | None = None
) -> BenchResult:
    """Time every cell of the bundle in ``folder``, in children of its own; ``bench.json`` is saved after each row.

    The result has the rows of this run; the file keeps those of an earlier, wider run on this machine too, and so does
    ``times.npz`` with the raw times.
    """
    return bench_together({folder: options.out or folder}, options, on_row, on_step)[folder]


def bench_together(
    places: Mapping[Path, Path],
    options: BenchOptions,
    on_row: OnRow | None = None,
    on_step: OnStep | None = None,
) -> dict[Path, BenchResult]:
    """The same of several bundles, in the same rounds as far as memory holds their children.

    ``places`` says of the folder of each where its results go.
    """
    planned, state = plan(options), machine.describe()
    runs = {folder: _BundleRun(folder, out, options, state) for folder, out in places.items()}

    def finish(item: Measured) -> None:
        found = runs[item.case.cell.folder].add(item)
        if on_row:
            on_row(found)

    found: dict[Path, BenchResult] = {}
    children = {folder: len({case.kind for case in run.cases}) for folder, run in runs.items()}
    memory = min(psutil.virtual_memory().available, cgroup.memory_limit_bytes() or sys.maxsize)
    for group in grouped(children, memory // CHILD_BYTES):
        try:
            _, doubts = measure(
                [case for each in group for case in runs[each].cases], planned, finish, on_step
            )
        finally:
            for each in group:
                runs[each].save_times()
        found |= {each: runs[each].end(doubts) for each in group}
    return found


def grouped(children: Mapping[Path, int], room: int) -> list[list[Path]]:
    """The bundles in their order, together with those before as long as there is room for all their children."""
    groups: list[list[Path]] = []
    taken = 0
    for folder, count in children.items():
        if not groups or taken + count > room:
            groups.append([])
            taken = 0
        groups[-1].append(folder)
        taken += count
    return groups


class _BundleRun:
    """The rows of one bundle while they come, beside those of an earlier run."""

    def __init__(self, folder: Path, out: Path, options: BenchOptions, state: Machine) -> None:
        bundle = open_bundle(folder)
        self.cases = cases(bundle, options)
        self._out = make_folder(out)
        self._empty = BenchResult(
            SCHEMA, datetime.now(UTC).isoformat(timespec="seconds"), state, options.time, ()
        )
        self._checksums = bundle.manifest.checksums
        self._verdicts = rows_before(out / VERIFY, load_verify, state) or rows_before(
            folder / VERIFY, load_verify, state
        )
        self._kept = rows_before(out / BENCH, load_bench, state)
        self._done: list[tuple[Measured, BenchRow]] = []

    def add(self, item: Measured) -> BenchRow:
        """A row that is done, saved with those before it."""
        self._done.append((item, row(item, self._verdicts)))
        save(self._out / BENCH, replace(self._empty, rows=self._every()))
        return self._done[-1][1]

    def save_times(self) -> None:
        """The raw times of all rows that are done."""
        if self._done:
            save_times(self._out / times.TIMES, self._done, self._every())

    def end(self, doubts: tuple[Doubt, ...]) -> BenchResult:
        """The rows of this run; all of them are saved, with what was doubtful."""
        save(self._out / BENCH, replace(self._empty, rows=self._every(), doubts=doubts))
        return replace(self._empty, rows=tuple(self._fresh()), doubts=doubts)

    def _fresh(self) -> list[BenchRow]:
        return [each for _, each in sorted(self._done, key=lambda pair: _position(pair[0].case, self.cases))]

    def _every(self) -> tuple[BenchRow, ...]:
        return merged(self._kept, self._fresh(), self._checksums)


def plan(options: BenchOptions) -> Plan:
    """The time that the options give each case. Raises UsageError for a ``time`` that is none."""
    if options.time not in SECONDS:
        raise UsageError(f"--time is one of {', '.join(SECONDS)}, not {options.time!r}.")
    return Plan(
        seconds=SECONDS[options.time],
        rounds=options.rounds or ROUNDS[options.time],
        processes=options.processes,
        sweep=options.sweep,
        emulated_batches=bool(options.batches),
    )


def cases(bundle: Bundle, options: BenchOptions) -> list[Case]:
    """What the options ask for: artifact x runtime x device x threads x batch x precision.

    A file of one batch has that alone, and a GPU in a browser one case for all numbers of threads: it takes none. Nothing
    said of batches is 1 and 32, and those of the sweep alone where there is one. Raises UsageError for a precision that no runtime has.
    """
    found = cells(bundle, options.devices, options.formats, options.runtimes, options.browser)
    known = sorted({each for cell in found for each in runtime(cell.runtime).PRECISIONS})
    for precision in options.precisions:
        if precision not in known:
            raise UsageError(f"no runtime here computes in {precision!r}; what there is: {', '.join(known)}.")
    batches = options.batches or ((1,) if options.sweep else BATCHES)
    every = [
        Case(cell, threads, precision, fixed_batch(cell.described.inputs) or batch)
        for cell in found
        for threads in _threads(cell, options)
        for precision in options.precisions or runtime(cell.runtime).PRECISIONS[:1]
        for batch in sorted(batches)
    ]
    return list(dict.fromkeys(every))


def _threads(cell: Cell, options: BenchOptions) -> tuple[int | None, ...]:
    takes_none = cell.device != "cpu" and in_browser(cell.runtime)
    return (None,) if takes_none else options.threads or (None,)


def row(measured: Measured, verdicts: Sequence[VerifyRow] = ()) -> BenchRow:
    """What a measured case comes to. ``verdicts`` are the rows of ``verify`` on this machine."""
    case, artifact = measured.case, measured.case.cell.described
    cell = case.cell
    found = BenchRow(
        source=cell.source,
        artifact=cell.artifact,
        runtime=cell.runtime,
        device=cell.device,
        backend=cell.backend,
        threads=case.threads or machine.cores_allowed(),
        batch=case.batch,
        precision=case.precision,
        size_bytes=artifact.size_bytes,
        artifact_sha256=artifact.sha256,
    )
    if measured.opened:
        found = _with_cold_start(found, measured, verdicts)
    if measured.error is not None:
        return replace(found, outcome=outcome_of(measured.error), reason=str(measured.error))
    warm = all(each.warm for each in measured.warmed)
    compute = latency.summarise(measured.times, warm)
    end_to_end = latency.summarise(measured.end_to_end, warm) if cell.device != "cpu" else None
    return replace(
        found,
        compute=compute,
        end_to_end=end_to_end,
        throughput_per_s=case.batch / compute.mean_s,
        stable=not (compute.flags or (end_to_end and end_to_end.flags)),
    )


def _with_cold_start(found: BenchRow, measured: Measured, verdicts: Sequence[VerifyRow]) -> BenchRow:
    """The row with what its children said when they were opened and warmed up: medians over the processes."""
    opened, warmed = measured.opened, measured.warmed
    judged = verdicts if measured.case.precision == "float32" else ()  # which is what verify runs
    added = [
        each.peak_rss_bytes - process.baseline_rss_bytes
        for each, process in zip(warmed, opened, strict=False)  # an error may have come between the two
    ]
    gpu = [each.gpu_memory_bytes for each in warmed if each.gpu_memory_bytes is not None]
    return replace(
        found,
        threads=opened[0].threads,
        processes=len(opened),
        import_s=median(each.import_s for each in opened),
        load_s=median(each.load_s for each in opened),
        first_s=median(each.first_s for each in opened if each.first_s is not None),
        warmup_s=median(each.seconds for each in warmed) if warmed else None,
        warmup_n=max((each.n for each in warmed), default=0),
        loaded_rss_bytes=max(each.loaded_rss_bytes for each in opened),
        peak_rss_bytes=max((each.peak_rss_bytes for each in warmed), default=None),
        added_rss_bytes=max(added, default=None),
        gpu_memory_bytes=max(gpu, default=None),
        verdict=verdict_of(measured.case.cell, opened[0].versions, judged),
        device_proof=opened[0].device_proof,
        emulated=opened[0].emulated,
        downloaded_bytes=opened[0].downloaded_bytes,
        versions=opened[0].versions,
        settings=opened[0].settings,
    )


def verdict_of(cell: Cell, versions: Mapping[str, str], rows: Sequence[VerifyRow]) -> str:
    """The outcome of the same artifact, by its sha256, in the same runtime and version; or "not verified"."""
    wanted = (cell.described.sha256, cell.runtime, cell.device, cell.backend)
    for row in rows:
        if (row.artifact_sha256, row.runtime, row.device, row.backend) == wanted and row.versions == versions:
            return row.outcome
    return "not verified"


def _position(case: Case, chosen: Sequence[Case]) -> tuple[int, int]:
    """The order of rows: that of the cases, with the batches of a sweep among their own."""
    return next(index for index, each in enumerate(chosen) if each.kind == case.kind), case.batch


def save_times(path: Path, done: Sequence[tuple[Measured, BenchRow]], every: Sequence[BenchRow] = ()) -> None:
    """Write the raw times of what was measured, and keep those that the file has of ``every`` other row."""
    fresh, again = {}, {times.name(own) for _, own in done}
    for measured, own in done:
        if measured.error is None:
            fresh[times.name(own)] = measured.times
            if own.end_to_end is not None:
                fresh[times.name(own, end_to_end=True)] = measured.end_to_end
    others = [each for each in every if times.name(each) not in again]
    keep = [times.name(each, end_to_end) for each in others for end_to_end in (False, True)]
    times.save(path, fresh, keep)
