"""A bundle as ``fwexport build --browser`` writes it, from one that was built without: that saves a training."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from exporter import child
from exporter.base import conversion, for_batch
from exporter.build import BROWSER_BATCH, for_browsers
from exporter.converters import Converters
from exporter.plan import Goal, edges, fixing, with_batch
from runtimes.bundle import Artifact, describe_artifact, open_bundle, save_manifest
from runtimes.golden import write_golden
from runtimes.reference import REFERENCE, open_reference


def with_variants(bundle: Path, out: Path, converters: Converters) -> Path:
    """Copy the bundle to ``out``, and add the files of batch 1."""
    shutil.copytree(bundle, out)
    manifest = open_bundle(out).manifest
    plain = [Goal(one.format, one.edges) for one in manifest.artifacts]
    artifacts = []
    for goal in with_batch(
        plain, manifest.source.framework, for_browsers(), BROWSER_BATCH, edges(), fixing()
    ):
        if not goal.batch:
            artifacts += [one for one in manifest.artifacts if one.format == goal.format]
            continue
        name, edge = goal.way[-1], conversion(goal.way[-1])
        given = manifest.artifact(edge.SOURCE)
        assert given is not None
        spec = for_batch(replace(manifest.model, inputs=given.inputs, outputs=given.outputs), goal.batch)
        converters.get(edge.PROCESS).call(child.convert, name, out / given.path, out / goal.file, spec)
        described = describe_artifact(out, out / goal.file)
        tensors = spec.inputs, spec.outputs
        artifacts.append(Artifact(goal.format, *described, *tensors, goal.way, variant=goal.variant))
    whole = replace(manifest, artifacts=tuple(artifacts))
    save_manifest(out, whole)
    write_golden(out, whole, open_reference(out / REFERENCE))
    return out
