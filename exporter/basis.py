"""What a file is judged by in ``verify A B``: A as a model, with a reference on whatever samples are asked for.

What a source kind can load is computed in float64, as for a bundle. The rest, and quantised files, are the reference as
a runtime runs them.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from exporter import describe
from exporter.bring import bring, source_folder
from exporter.converters import Converters
from exporter.explain.stage import source_of
from exporter.reference import LARGE_BATCH, exact_outputs, write_reference
from exporter.samples import Samples, write_samples
from exporter.source_folder import open_source
from exporter.source_kind import Given, recognise, source_kind
from runtimes.base import Array
from runtimes.batches import fixed_batch
from runtimes.bundle import MANIFEST, Artifact, Bundle, ModelSpec, TensorSpec, open_bundle
from runtimes.errors import NotAModelError, UnavailableError, UsageError
from runtimes.files import copy
from runtimes.foreign import ForeignFile
from runtimes.formats import recognised
from runtimes.reference import REFERENCE, Reference, open_reference
from runtimes.verdict.estimate import estimated
from runtimes.verdict.quantization import real
from runtimes.verdict.verdicts import feeds

# What one of two files may be beyond a source.
ALSO = "To be verified, it may also be TF Lite or TF.js."


class Basis(Protocol):
    """A, whatever it is.

    ``format`` is "" where it is no artifact, ``quantized`` as in an Inspection, ``source`` its source folder or None.
    """

    @property
    def model(self) -> ModelSpec: ...
    @property
    def framework(self) -> str: ...
    @property
    def format(self) -> str: ...
    @property
    def quantized(self) -> str | None: ...
    @property
    def source(self) -> Path | None: ...

    def own_reference(self) -> Reference | None:
        """The reference that it came with, or None."""

    def reference(self, samples: Samples) -> Reference:
        """One on these samples."""

    def exact(self, inputs: dict[str, Array]) -> dict[str, Array]:
        """What the reference gives for samples (n, ...), without their noise."""


@dataclass(frozen=True)
class SourceBasis:
    """A source folder, computed in a child of its framework."""

    folder: Path
    converters: Converters
    format: str = ""
    quantized: str = ""

    @property
    def model(self) -> ModelSpec:
        """As the source kind describes it."""
        return open_source(self.folder).model

    @property
    def framework(self) -> str:
        """That of the source."""
        return open_source(self.folder).framework

    @property
    def source(self) -> Path:
        """The folder."""
        return self.folder

    def own_reference(self) -> None:
        """None: samples are chosen with B in view."""

    def reference(self, samples: Samples) -> Reference:
        """In float64, with the noise of its float32 runs."""
        write_samples(self.folder, samples)
        out = self.folder / REFERENCE
        worker = self.converters.get(open_source(self.folder).loader.PROCESS)
        worker.call(write_reference, self.folder, out)
        found = open_reference(out)
        return replace(found, notes=tuple(dict.fromkeys((*found.notes, *samples.notes))))

    def exact(self, inputs: dict[str, Array]) -> dict[str, Array]:
        """In float64, where it has that."""
        worker = self.converters.get(open_source(self.folder).loader.PROCESS)
        return worker.call(exact_outputs, self.folder, inputs)


@dataclass(frozen=True)
class BundleBasis:
    """A bundle: the reference it came with, or its source on other samples."""

    bundle: Bundle
    converters: Converters
    scratch: Path
    format: str = ""
    quantized: str = ""

    @property
    def model(self) -> ModelSpec:
        """The manifest's."""
        return self.bundle.manifest.model

    @property
    def framework(self) -> str:
        """That of its source."""
        return self.bundle.manifest.source.framework

    @property
    def source(self) -> Path:
        """The one inside."""
        return source_of(self.bundle)

    def own_reference(self) -> Reference:
        """``reference.npz``, which needs no framework."""
        return open_reference(self.bundle.folder / REFERENCE)

    def reference(self, samples: Samples) -> Reference:
        """By the bundle's source, which needs its framework."""
        return self._opened().reference(samples)

    def exact(self, inputs: dict[str, Array]) -> dict[str, Array]:
        """By the bundle's source."""
        return self._opened().exact(inputs)

    def _opened(self) -> SourceBasis:
        """The source in a folder that may be written to. Raises UnavailableError without its framework."""
        own = self.scratch / "source"
        if own.exists():
            return SourceBasis(own, self.converters)
        given = Given(str(self.source))
        folder = source_folder(given, None, self.scratch / "unused", self.converters)
        reason = open_source(folder).loader.check()
        if reason:
            raise UnavailableError(
                f"--samples: the source of {self.bundle.folder} has to run on them. {reason}"
            )
        copy(folder, own)
        return SourceBasis(own, self.converters)


@dataclass(frozen=True)
class FileBasis:
    """A file in a runtime: its outputs are the reference, and its noise is estimated."""

    file: ForeignFile
    model: ModelSpec
    artifact: Artifact
    notes: tuple[str, ...] = ()
    source: None = None

    @property
    def framework(self) -> str:
        """The format, in place of a framework."""
        return self.file.format

    @property
    def format(self) -> str:
        """The file's."""
        return self.file.format

    @property
    def quantized(self) -> str | None:
        """As the file says."""
        return self.file.inspection.quantized

    def own_reference(self) -> None:
        """None."""

    def reference(self, samples: Samples) -> Reference:
        """What it gives in its runtime."""
        notes = (*self.notes, *samples.notes)
        return estimated(
            self.file,
            self.model,
            self.artifact,
            samples.inputs,
            samples.labels,
            samples.generated,
            notes,
            samples.closest,
        )

    def exact(self, inputs: dict[str, Array]) -> dict[str, Array]:
        """What it gives."""
        return self.file.answers(inputs, self.model, self.artifact, LARGE_BATCH)


def basis(given: Given, scratch: Path, converters: Converters, stack: ExitStack) -> Basis:
    """What ``given`` is: a bundle, a source, else a file in a runtime, whose child ends with ``stack``.

    Raises UsageError for what is missing or cannot be described without an option, NotAModelError for what nothing
    reads, UnavailableError for what nothing here reads.
    """
    path = given.path
    if (path / MANIFEST).exists():
        _check_unsaid(given)
        return BundleBasis(open_bundle(path), converters, scratch)
    format = recognised(path) or ""
    try:
        kind = recognise(given)
    except NotAModelError as error:
        if not format:
            raise NotAModelError(f"{error} {ALSO}") from None
        return _in_runtime(given, stack, ())
    if format == "onnx":
        file = stack.enter_context(ForeignFile(path))
        if file.inspection.quantized:
            return _file_basis(file, given, ())
    missing = source_kind(kind).check()
    try:
        if missing:
            raise UnavailableError(missing)
        bring(given, None, scratch / "source", converters)
    except (UnavailableError, NotAModelError) as error:
        if not format:
            raise
        return _in_runtime(given, stack, (f"no float64 of {path.name}: {error}",))
    return SourceBasis(scratch / "source", converters, format)


def _check_unsaid(given: Given) -> None:
    """Raise UsageError for options that describe a model, where the model is a bundle, which is described."""
    said = {
        "--input": given.inputs,
        "--layout": given.layout,
        "--output-kind": given.output_kind,
        "--labels": given.labels,
        "--preprocess": given.preprocessing is not None,
    }
    names = [name for name, value in said.items() if value]
    if names:
        raise UsageError(
            f"{given.path} is a bundle, whose manifest says what {', '.join(names)} would: leave "
            f"{'it' if len(names) == 1 else 'them'} out. A single --layout is that of the other file."
        )


def _in_runtime(given: Given, stack: ExitStack, notes: tuple[str, ...]) -> FileBasis:
    return _file_basis(stack.enter_context(ForeignFile(given.path)), given, notes)


def _file_basis(file: ForeignFile, given: Given, notes: tuple[str, ...]) -> FileBasis:
    """The file described as a model: real numbers where it has them quantised, outputs by what it gives."""
    found = [_as_real(spec) for spec in file.inspection.inputs]
    inputs = describe.inputs(given, [] if any(not spec.shape for spec in found) else found, file.usual_layout)
    own = [
        replace(spec, layout=said.layout) for spec, said in zip(file.inspection.inputs, inputs, strict=True)
    ]
    model, artifact = ModelSpec(given.name, inputs, ()), file.artifact(own, ())
    fixed = fixed_batch(inputs)
    runs = []
    for batch in (fixed,) if fixed else describe.PROBE_BATCHES:
        probes = dict(zip([spec.name for spec in inputs], describe.probe(inputs, batch), strict=True))
        answers = file.run(feeds(probes, model, artifact))
        runs.append([real(answers[spec.name], spec) for spec in file.inspection.outputs])
    names = [spec.name for spec in file.inspection.outputs]
    outputs = describe.outputs(names, runs, inputs, given.output_kind)
    described = [
        replace(spec, layout=said.layout, kind=said.kind)
        for spec, said in zip(file.inspection.outputs, outputs, strict=True)
    ]
    model = replace(model, outputs=outputs, labels=given.labels, preprocessing=given.preprocessing or ())
    return FileBasis(file, describe.checked(model), file.artifact(own, described), notes)


def _as_real(spec: TensorSpec) -> TensorSpec:
    """The tensor as the numbers that it stands for."""
    return replace(spec, dtype="float32", quantization=None) if spec.quantization else spec
