"""The stage ``build``: a source folder becomes a bundle, with every format that was asked for, its reference and golden samples.

A format that fails is written down and the rest go on.
"""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from exporter import __version__, child
from exporter.base import conversion, for_batch
from exporter.converters import Converters
from exporter.plan import Goal, check_formats, edges, fixing, formats, plan, steps, with_batch
from exporter.reference import write_reference
from exporter.source_folder import SourceFile, open_source
from runtimes.base import browser_runtimes
from runtimes.batches import fixed_batch
from runtimes.bundle import (
    MANIFEST,
    SCHEMA,
    Artifact,
    Failure,
    Manifest,
    ModelSpec,
    Source,
    describe_artifact,
    format_of,
    save_manifest,
)
from runtimes.errors import ConversionError, FwexportError, OutputError, UnavailableError
from runtimes.files import copy, output_error, swapped_folder, writing_to
from runtimes.formats import FILES
from runtimes.golden import write_golden
from runtimes.reference import REFERENCE, open_reference

OnStep = Callable[[str, int], None]

DISK_IS_FULL = 64 * 1024
# The batch of the variants for runtimes in a browser: who is there has one image.
BROWSER_BATCH = 1


@dataclass
class _Made:
    """What was written so far, by format or by the name of an artifact, and why the rest could not be."""

    paths: dict[str, Path] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    specs: dict[str, ModelSpec] = field(default_factory=dict)


def build(
    source: Path,
    target: Path,
    wanted: Sequence[str],
    converters: Converters,
    on_step: OnStep | None = None,
    browser: bool = False,
) -> Manifest:
    """Write the bundle of the source folder at ``target``, replacing an earlier one only when this one is whole.

    ``wanted`` are formats; empty means all. With ``browser`` a format that some runtime in a browser takes with a fixed
    batch alone is also written for one sample. ``on_step`` hears the name of each step before it, and how many there are.
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
    goals = plan(described.framework, reachable, edges())
    if browser and fixed_batch(described.model.inputs) is None:
        goals = with_batch(goals, described.framework, for_browsers(), BROWSER_BATCH, edges(), fixing())
    tell = on_step or (lambda step, of: None)
    total = steps(goals) + 1
    for process in dict.fromkeys(conversion(name).PROCESS for goal in goals for name in goal.way):
        converters.warm(process)
    with swapped_folder(target, MANIFEST) as fresh:
        with writing_to(target):
            copy(source, fresh / "source")
        made = _convert_all(fresh, described, goals, converters, lambda step: tell(step, total))
        tell(REFERENCE, total)
        worker = converters.get(described.loader.PROCESS)
        worker.call(write_reference, fresh / "source", fresh / REFERENCE)
        made.failures |= {
            format: Failure(format, "", reasons[format]) for format in asked if format in reasons
        }
        manifest = _describe(fresh, described, goals, made)
        save_manifest(fresh, manifest)
        reference = open_reference(fresh / REFERENCE)
        if not reference.refused:
            write_golden(fresh, manifest, reference)
    return manifest


def for_browsers() -> list[str]:
    """The formats that some runtime in a browser takes with a fixed batch alone."""
    return [format for each in browser_runtimes().values() if each.FIXED_BATCH for format in each.FORMATS]


def _convert_all(
    fresh: Path,
    source: SourceFile,
    goals: Sequence[Goal],
    converters: Converters,
    tell: Callable[[str], None],
) -> _Made:
    """Walk every way, each step once. Intermediate formats that were not asked for end in a scratch folder."""
    made = _Made()
    scratch = fresh / ".intermediate"
    scratch.mkdir()
    start = fresh / "source" / (source.weights if source.framework != "torch" else ".")
    places = {format: scratch / file for format, file in FILES.items()} | {
        goal.name: fresh / goal.file for goal in goals
    }
    for goal in goals:
        if not goal.way:
            made.paths[goal.name] = places[goal.name]
            made.specs[goal.name] = source.model
            copy(start, made.paths[goal.name])
        have, spec = start, source.model
        for name, product in goal.steps:
            if product in made.failures:
                made.failures.setdefault(goal.name, replace(made.failures[product], format=goal.name))
                break
            if product not in made.paths:
                edge, given = conversion(name), spec
                if product == goal.name and goal.batch:
                    given = for_batch(spec, goal.batch)
                tell(f"{name}, batch {goal.batch}" if given is not spec else name)
                begin = time.perf_counter()
                failure = _convert(name, have, places[product], given, converters)
                if failure is not None:
                    made.failures[product] = replace(failure, format=product)
                    made.failures.setdefault(goal.name, replace(failure, format=goal.name))
                    break
                made.paths[product] = places[product]
                made.seconds[product] = time.perf_counter() - begin
                made.specs[product] = edge.artifact_spec(given)
                made.versions[product] = converters.get(edge.PROCESS).call(child.versions, edge.PROCESS)
            have, spec = made.paths[product], made.specs[product]
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


def _describe(fresh: Path, source: SourceFile, goals: Sequence[Goal], made: _Made) -> Manifest:
    artifacts = []
    for goal in goals:
        if goal.name in made.paths:
            path, sha256, size = describe_artifact(fresh, made.paths[goal.name])
            artifacts.append(
                Artifact(
                    format=goal.format,
                    path=path,
                    sha256=sha256,
                    size_bytes=size,
                    inputs=made.specs[goal.name].inputs,
                    outputs=made.specs[goal.name].outputs,
                    edges=goal.way,
                    versions=made.versions.get(goal.name, {}),
                    convert_s=made.seconds.get(goal.name),
                    variant=goal.variant,
                )
            )
    return Manifest(
        schema=SCHEMA,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        fwexport=__version__,
        model=source.model,
        source=Source(source.framework, source.kind, "source", source.versions, source.parameters),
        artifacts=tuple(artifacts),
        failures=tuple(made.failures[name] for name in sorted(made.failures) if format_of(name) in FILES),
    )
