"""The stage ``build``: a source folder becomes a bundle, with every format that was asked for, its reference and golden samples.

A format that fails is written down and the rest go on.
"""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from exporter import __version__, child
from exporter.base import conversion
from exporter.converters import Converters
from exporter.plan import check_formats, edges, formats, plan, steps
from exporter.reference import write_reference
from exporter.source_folder import SourceFile, open_source
from runtimes.bundle import (
    MANIFEST,
    SCHEMA,
    Artifact,
    Failure,
    Manifest,
    ModelSpec,
    Source,
    describe_artifact,
    save_manifest,
)
from runtimes.errors import ConversionError, FwexportError, OutputError, UnavailableError
from runtimes.files import copy, output_error, swapped_folder, writing_to
from runtimes.formats import FILES
from runtimes.golden import write_golden
from runtimes.reference import REFERENCE, open_reference

OnStep = Callable[[str, int], None]

DISK_IS_FULL = 64 * 1024


@dataclass
class _Made:
    """Formats written so far, and why the others could not be."""

    paths: dict[str, Path] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    specs: dict[str, ModelSpec] = field(default_factory=dict)


def build(
    source: Path, target: Path, wanted: Sequence[str], converters: Converters, on_step: OnStep | None = None
) -> Manifest:
    """Write the bundle of the source folder at ``target``, replacing an earlier one only when this one is whole.

    ``wanted`` are formats; empty means all. ``on_step`` hears the name of each step before it, and how many there are.
    Raises OutputError when the folder cannot be written, UnavailableError when the source can become nothing that is
    wanted; a conversion that fails becomes a Failure.
    """
    check_formats(wanted)
    described = open_source(source)
    reasons = described.loader.UNREACHABLE
    asked = list(wanted) or formats()
    reachable = [format for format in asked if format not in reasons]
    if not reachable:
        raise UnavailableError(f"no {asked[0]} from this source: {reasons[asked[0]]}")
    routes = plan(described.framework, reachable, edges())
    tell = on_step or (lambda step, of: None)
    total = steps(routes) + 1
    for process in dict.fromkeys(conversion(name).PROCESS for way in routes.values() for name in way):
        converters.warm(process)
    with swapped_folder(target, MANIFEST) as fresh:
        with writing_to(target):
            copy(source, fresh / "source")
        made = _convert_all(fresh, described, routes, converters, lambda step: tell(step, total))
        tell(REFERENCE, total)
        worker = converters.get(described.loader.PROCESS)
        worker.call(write_reference, fresh / "source", fresh / REFERENCE)
        made.failures |= {
            format: Failure(format, "", reasons[format]) for format in asked if format in reasons
        }
        manifest = _describe(fresh, described, routes, made)
        save_manifest(fresh, manifest)
        reference = open_reference(fresh / REFERENCE)
        if not reference.refused:
            write_golden(fresh, manifest, reference)
    return manifest


def _convert_all(
    fresh: Path,
    source: SourceFile,
    routes: Mapping[str, tuple[str, ...]],
    converters: Converters,
    tell: Callable[[str], None],
) -> _Made:
    """Walk every route, each edge once. Intermediate formats that were not asked for end in a scratch folder."""
    made = _Made()
    scratch = fresh / ".intermediate"
    scratch.mkdir()
    start = fresh / "source" / (source.weights if source.framework != "torch" else ".")
    for wanted, way in routes.items():
        if not way:
            made.paths[wanted] = fresh / FILES[wanted]
            made.specs[wanted] = source.model
            copy(start, made.paths[wanted])
        have, spec = start, source.model
        for name in way:
            edge = conversion(name)
            if edge.TARGET in made.failures:
                made.failures.setdefault(wanted, replace(made.failures[edge.TARGET], format=wanted))
                break
            if edge.TARGET not in made.paths:
                out = (fresh if edge.TARGET in routes else scratch) / FILES[edge.TARGET]
                tell(name)
                begin = time.perf_counter()
                failure = _convert(name, have, out, spec, converters)
                if failure is not None:
                    made.failures[edge.TARGET] = failure
                    made.failures.setdefault(wanted, replace(failure, format=wanted))
                    break
                made.paths[edge.TARGET] = out
                made.seconds[edge.TARGET] = time.perf_counter() - begin
                made.specs[edge.TARGET] = edge.artifact_spec(spec)
                made.versions[edge.TARGET] = converters.get(edge.PROCESS).call(child.versions, edge.PROCESS)
            have, spec = made.paths[edge.TARGET], made.specs[edge.TARGET]
    shutil.rmtree(scratch)
    return made


def _convert(name: str, have: Path, out: Path, spec: ModelSpec, converters: Converters) -> Failure | None:
    """Run one edge in its child; a Failure when it cannot, with nothing half-written left."""
    edge = conversion(name)
    reason = edge.check()
    try:
        if reason:
            raise UnavailableError(reason)
        converters.get(edge.PROCESS).call(child.convert, name, have, out, spec)
        if not out.exists():
            raise ConversionError(f"{name} ended without writing {out.name}")
    except OutputError:
        raise
    except FwexportError as error:
        # A framework has words of its own for a full disk, or none; then the disk is the better witness.
        if "No space left" in str(error) or shutil.disk_usage(out.parent).free < DISK_IS_FULL:
            raise output_error(out, OSError(errno.ENOSPC, str(error))) from error
        shutil.rmtree(out, ignore_errors=True) if out.is_dir() else out.unlink(missing_ok=True)
        if error.exit_code == 5:
            converters.drop(edge.PROCESS)
        return Failure(edge.TARGET, name, str(error))
    return None


def _describe(
    fresh: Path, source: SourceFile, routes: Mapping[str, tuple[str, ...]], made: _Made
) -> Manifest:
    artifacts = []
    for format, way in routes.items():
        if format in made.paths:
            path, sha256, size = describe_artifact(fresh, made.paths[format])
            artifacts.append(
                Artifact(
                    format=format,
                    path=path,
                    sha256=sha256,
                    size_bytes=size,
                    inputs=made.specs[format].inputs,
                    outputs=made.specs[format].outputs,
                    edges=way,
                    versions=made.versions.get(format, {}),
                    convert_s=made.seconds.get(format),
                )
            )
    return Manifest(
        schema=SCHEMA,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        fwexport=__version__,
        model=source.model,
        source=Source(source.framework, source.kind, "source", source.versions, source.parameters),
        artifacts=tuple(artifacts),
        failures=tuple(made.failures[format] for format in sorted(made.failures) if format in FILES),
    )
