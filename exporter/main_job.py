"""The main job: the stages in their order, for one source or for both frameworks."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from exporter.bring import source_folder
from exporter.browser_note import left_out
from exporter.build import build
from exporter.console import Steps
from exporter.converters import Converters
from exporter.plan import check_formats
from exporter.source_kind import Given
from exporter.train import train
from exporter.training.options import TrainOptions
from runtimes.agreement import agreement
from runtimes.base import browser_formats
from runtimes.bench import BenchOptions, bench_together, cases
from runtimes.bundle import MANIFEST, Bundle, Failure, open_bundle
from runtimes.doubts import Doubt
from runtimes.errors import UsageError
from runtimes.exit_codes import exit_code
from runtimes.merging import joined
from runtimes.pool import Pool, cells
from runtimes.report import report
from runtimes.rows import BenchRow, VerifyRow
from runtimes.verify import VerifyOptions, verify


@dataclass(frozen=True)
class Job:
    """What to do. ``given`` None trains the shipped CNN in ``frameworks``; ``time`` None measures nothing. With ``browser``
    there are files for browsers too, and rows in one.

    ``samples`` names the real inputs for what is given, ``npz:FILE`` or ``folder:DIR``.
    """

    given: Given | None
    samples: str | None
    frameworks: tuple[str, ...]
    data: str
    training: TrainOptions
    formats: tuple[str, ...]
    browser: bool
    time: str | None
    out: Path


@dataclass(frozen=True)
class Done:
    """What came of it."""

    verified: tuple[VerifyRow, ...]
    measured: tuple[BenchRow, ...]
    failures: tuple[Failure, ...]
    report: Path
    asked: tuple[str, ...] = ()
    browser: bool = False
    doubts: tuple[Doubt, ...] = ()

    @property
    def exit_code(self) -> int:
        """That of the worst: a failed conversion before a verdict, a verdict before a measurement."""
        if any(not failure.is_unreachable for failure in self.failures):
            return 4
        worst = exit_code(self.verified, browser=self.browser)
        if self.measured:
            worst = worst or exit_code(self.measured, browser=self.browser)
        return worst or (6 if any(failure.format in self.asked for failure in self.failures) else 0)


def run(job: Job, steps: Steps) -> Done:
    """Train, export, verify, measure, report."""
    check_formats(job.formats, job.browser)
    targets: dict[str, Path]
    if job.given is not None:
        targets = {job.given.source: job.out}
    else:
        targets = {name: job.out / name if len(job.frameworks) > 1 else job.out for name in job.frameworks}
    _check_output(job.out, several=len(targets) > 1)
    failures = _write_bundles(job, targets, steps)
    verified: list[VerifyRow] = []
    measured: list[BenchRow] = []
    doubts: tuple[Doubt, ...] = ()
    with steps.stage("verify") as stage, Pool() as pool:
        bundles = [bundle for bundle in map(open_bundle, targets.values()) if bundle.manifest.artifacts]
        browser = job.browser and all(map(_for_browsers, bundles))  # else a failure says what is missing
        if note := left_out(bundles, (), (), job.browser):
            stage.say(note)
        stage.expect(sum(len(cells(bundle, browser=browser)) for bundle in bundles))
        for bundle in bundles:
            pool.next_bundle()
            found = verify(
                bundle.folder, VerifyOptions(browser=browser), pool, lambda row: stage.step(_name(row))
            )
            verified += found.rows
    if job.time:
        options = BenchOptions(time=job.time, browser=browser)
        with steps.stage("bench") as stage:
            stage.expect(sum(len(cases(bundle, options)) for bundle in bundles))
            timed = bench_together(
                {bundle.folder: bundle.folder for bundle in bundles},
                options,
                lambda row: stage.step(f"{_name(row)}, batch {row.batch}"),
                stage.describe,
            )
            measured = [row for result in timed.values() for row in result.rows]
            doubts = joined(list(timed.values())).doubts if timed else ()
    with steps.stage("report"):
        agreement(job.out)
        written = report(job.out)
    return Done(tuple(verified), tuple(measured), failures, written.html, job.formats, job.browser, doubts)


def _write_bundles(job: Job, targets: dict[str, Path], steps: Steps) -> tuple[Failure, ...]:
    """Train each source, or bring the given one, and swap its bundle in."""
    failures: list[Failure] = []
    with Converters() as converters, tempfile.TemporaryDirectory(prefix="fwexport-") as scratch:
        for name, target in targets.items():
            if job.given is not None:
                with steps.stage("load"):
                    source = source_folder(job.given, job.samples, Path(scratch) / "source", converters)
            else:
                source = Path(scratch) / name
                with steps.stage(f"train {name}") as stage:
                    train(source, name, job.data, job.training, stage.on_event)
            with steps.stage(f"export {name}") as stage:
                manifest = build(source, target, job.formats, converters, stage.step, job.browser)
            failures += manifest.failures
    return tuple(failures)


def _for_browsers(bundle: Bundle) -> bool:
    return any(artifact.format in browser_formats() for artifact in bundle.manifest.artifacts)


def _check_output(out: Path, several: bool) -> None:
    """Before any work: neither a bundle under which two would be put, nor two under which one would."""
    if several and (out / MANIFEST).exists():
        raise UsageError(
            f"{out} is a bundle; two bundles cannot be put inside it. Choose another folder with -o."
        )
    if not several and out.is_dir():
        with contextlib.suppress(StopIteration):
            inside = next(out.glob(f"*/{MANIFEST}"))
            raise UsageError(f"{out} holds bundles ({inside.parent.name}). Choose another folder with -o.")


def _name(row: VerifyRow | BenchRow) -> str:
    return f"{row.source}/{row.artifact} in {row.runtime} ({row.backend}): {row.outcome}"
