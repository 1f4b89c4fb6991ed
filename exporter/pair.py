"""The stage behind ``verify A B``: does file B predict what A predicts? Neither needs to be ours. Nothing is written."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from exporter import __version__, child, real_samples
from exporter.all_samples import ALL_RUN, OnSamples, held_by, ignored, on_all
from exporter.basis import ALSO, Basis, FileBasis, basis
from exporter.bring import bring
from exporter.converters import Converters
from exporter.explain.stage import Explainer
from exporter.samples import Samples, generated
from exporter.source_kind import Given
from runtimes import machine
from runtimes.bundle import MANIFEST, SCHEMA, Artifact, Bundle, Manifest, ModelSpec, Source
from runtimes.errors import FwexportError, NotAModelError, UnavailableError, UsageError, WorkerError
from runtimes.files import digest, size_of
from runtimes.foreign import ForeignFile
from runtimes.formats import FILES, recognise, recognised
from runtimes.pool import Cell, Pool, cells
from runtimes.reference import Reference
from runtimes.rows import SCHEMA as ROWS_SCHEMA
from runtimes.rows import VerifyResult, VerifyRow
from runtimes.verdict.estimate import not_known
from runtimes.verdict.quantization import limits_of
from runtimes.verdict.quantized import IN_REFERENCE, Limits
from runtimes.verdict.verdicts import outcome_of
from runtimes.verify import OnRow, judge_cells


@dataclass(frozen=True)
class PairOptions:
    """How to judge: on which ``samples``, on which devices and in which runtimes (empty means all here), by which limits.

    ``layout`` is that of B's images, where its sizes leave it open. ``explain`` adds to a mismatch where it begins, and
    why; a quantised file leaves the noise band at its first layer, so nothing is said of it.
    """

    samples: str | None = None
    layout: str = ""
    devices: tuple[str, ...] = ()
    runtimes: tuple[str, ...] = ()
    browser: bool = False
    limits: Limits = field(default_factory=Limits)
    explain: bool = False


def verify_pair(
    a: Given,
    b: Path,
    options: PairOptions,
    converters: Converters,
    pool: Pool,
    on_row: OnRow | None = None,
    on_samples: OnSamples = ignored,
) -> VerifyResult:
    """A row for each runtime of B, judged by A. ``on_samples`` hears how many of how many samples were run.

    Raises UsageError for what is missing, or cannot be matched without being told more, NotAModelError for a file that
    cannot be read, UnavailableError where nothing here runs A.
    """
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fwexport-")))
        path = _runnable(b, scratch / "b", converters)
        found = basis(a, scratch, converters, stack)
        pair = _Pair(found, path, options, converters, on_samples)
        rows = []
        for row in pair.rows(pool):
            rows.append(row)
            if on_row:
                on_row(row)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return VerifyResult(ROWS_SCHEMA, created, machine.describe(), tuple(rows), pair.notes)


class _Pair:
    """A as ``basis``, B as the file ``path``. ``notes`` are those of the reference, once there are rows."""

    def __init__(
        self,
        found: Basis,
        path: Path,
        options: PairOptions,
        converters: Converters,
        on_samples: OnSamples,
    ) -> None:
        self.basis, self.path, self.options, self.converters = found, path, options, converters
        self.on_samples = on_samples
        self.format = recognise(path)
        self.notes: tuple[str, ...] = ()

    def rows(self, pool: Pool) -> Iterator[VerifyRow]:
        """One for each runtime, device and backend of B."""
        try:
            file = ForeignFile(self.path, self.options.runtimes)
        except (UnavailableError, WorkerError) as error:
            yield from self._not_run(str(error), error)
            return
        with file:
            alike = file.format == self.basis.format
            inputs = file.match_inputs(self.basis.model, self.options.layout, alike)
            if inputs.fault:
                yield from self._not_run(inputs.fault)
                return
            model = replace(self.basis.model, inputs=inputs.model)
            reference = self._reference(model, file.artifact(inputs.file, ()))
            try:
                outputs = file.match_outputs(model, inputs, reference.inputs, self.options.layout, alike)
            except UsageError:
                raise
            except FwexportError as error:
                yield from self._not_run(str(error), error)
                return
            if outputs.fault:
                yield from self._not_run(outputs.fault)
                return
            artifact = file.artifact(inputs.file, outputs.file)
            if self.basis.quantized and self.basis.quantized != artifact.quantized:
                types = filter(None, (artifact.quantized, f"{self.basis.quantized}{IN_REFERENCE}"))
                artifact = replace(artifact, quantized=", ".join(types))
            chosen = self._cells(replace(model, outputs=outputs.model), artifact)
            file.give_to(pool, chosen)
        yield from self._judged(chosen, reference, pool)

    def _judged(self, chosen: list[Cell], reference: Reference, pool: Pool) -> Iterator[VerifyRow]:
        """The rows of these cells, on every sample that was brought, and explained where that was asked for."""
        limits, options = self.options.limits, self.options
        rows = {cell: row for cell, row, _ in judge_cells(chosen, reference, pool, limits)}
        before, again = rows, None
        if options.samples:
            stream = real_samples.opened(options.samples, chosen[0].bundle.manifest.model)
            if len(stream) > held_by(reference):
                rows, again = on_all(stream, rows, self.basis, reference, pool, limits, self.on_samples)
                self.notes = (*self.notes, ALL_RUN.format(len(stream)))
        first, then = (
            Explainer(self.basis.source, one, pool, self.converters)
            for one in (reference, again or reference)
        )
        for cell, row in rows.items():
            if self.basis.source is None:
                row = not_known(row, reference.inputs)
            if options.explain and row.outcome == "mismatch" and not cell.described.quantized:
                explainer = first if before[cell].outcome == "mismatch" else then
                row = replace(row, explanation=explainer.explain(cell))
            yield row

    def _reference(self, model: ModelSpec, artifact: Artifact) -> Reference:
        """On the person's samples, else on A's own, else on generated ones that fill the range of quantised inputs."""
        if self.options.samples:
            reference = self.basis.reference(real_samples.load(self.options.samples, model))
        else:
            reference = self.basis.own_reference() or self.basis.reference(self._generated(model, artifact))
        self.notes = reference.notes
        return reference

    def _generated(self, model: ModelSpec, artifact: Artifact) -> Samples:
        own = self.basis.artifact.inputs if isinstance(self.basis, FileBasis) else ()
        known = {
            spec.name: limits_of(one)
            for side in (artifact.inputs, own)
            for spec, one in zip(model.inputs, side, strict=False)
            if one.quantization
        }
        return generated(model, known)

    def _cells(self, model: ModelSpec, artifact: Artifact) -> list[Cell]:
        """Those of a bundle in memory that holds this one file, where it lies."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        source = Source(self.basis.framework, self.basis.framework, "")
        manifest = Manifest(SCHEMA, now, __version__, model, source, (artifact,))
        asked = self.options
        return cells(Bundle(self.path.parent, manifest), asked.devices, (), asked.runtimes, asked.browser)

    def _not_run(self, reason: str, error: FwexportError | None = None) -> list[VerifyRow]:
        """A row for each runtime that would have run the file."""
        outcome = outcome_of(error) if error else "failed"
        sha256 = digest(self.path)
        artifact = Artifact(self.format, str(self.path), sha256, size_of(self.path), (), ())
        return [
            VerifyRow(
                source=self.basis.framework,
                artifact=cell.artifact,
                runtime=cell.runtime,
                device=cell.device,
                backend=cell.backend,
                outcome=outcome,
                reason=reason,
                artifact_sha256=sha256,
            )
            for cell in self._cells(self.basis.model, artifact)
        ]


def _runnable(path: Path, scratch: Path, converters: Converters) -> Path:
    """``path`` itself where a runtime reads its format, else what it becomes in its own framework: .h5, .pt2 and others.

    Raises UsageError for a bundle: its artifacts are judged one by one.
    """
    if (path / MANIFEST).exists():
        raise UsageError(f"{path} is a bundle. Name one of its artifacts, or verify the bundle by itself.")
    if not path.exists() or recognised(path):
        recognise(path)
        return path.parent if path.name == "model.json" else path
    try:
        source = bring(Given(str(path)), None, scratch, converters)
    except NotAModelError as error:
        raise NotAModelError(f"{error} {ALSO}") from None
    if source.framework != "torch":
        return scratch / source.weights
    out = scratch / FILES["torchscript"]
    converters.get("torch").call(child.convert, "torch2torchscript", scratch, out, source.model)
    return out
