"""Which of the artifacts of one format a backend is given, and why it can run none of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from runtimes.base import Runtime
from runtimes.batches import fixed_batch
from runtimes.bundle import Artifact, Manifest, format_of


def given(adapter: Runtime, backend: str, same: Sequence[Artifact]) -> Artifact | None:
    """Of the artifacts of one format the plain one, or the first of a fixed batch for a backend that takes no other.

    Where there is no such artifact the plain one is given, and ``lacks_batch`` says why it does not run.
    """
    plain = [artifact for artifact in same if not artifact.variant]
    if backend in adapter.FIXED_BATCH:
        plain = [one for one in (*plain, *same) if one.inputs and fixed_batch(one.inputs)] or plain
    return next(iter(plain), None)


def lacks_batch(manifest: Manifest, artifact: Artifact, adapter: Runtime, backend: str) -> str | None:
    """Why a backend that takes no dynamic batch was given one, and what to do; None where it was not."""
    if backend not in adapter.FIXED_BATCH or all(None not in spec.shape for spec in artifact.inputs):
        return None
    if fixed_batch(artifact.inputs):
        return f"{backend} takes a file of fixed sizes, and {artifact.path} leaves some of its inputs' open."
    lacks = f"{backend} takes a file of one batch size, and {artifact.path} takes any."
    if manifest.is_foreign:
        return f"{lacks} Write it for one batch size."
    for failure in manifest.failures:
        if format_of(failure.format) == artifact.format:
            return f"{lacks} {failure.format} could not be written: {failure.message}"
    return f"{lacks} Build the bundle with --browser."
