"""Between a session's arrays and a verdict: names and layouts, the structure of a file, the word for an error. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from runtimes.base import Array
from runtimes.bundle import Artifact, ModelSpec, TensorSpec
from runtimes.errors import (
    ChecksumError,
    FwexportError,
    NotAModelError,
    UnavailableError,
    WorkerCrashed,
    WorkerTimeout,
)
from runtimes.parity import Judgement, defects, judge
from runtimes.preprocess import to_layout
from runtimes.quantization import real, stored
from runtimes.reference import Reference
from runtimes.rows import Outcome, VerifyRow


def judged(
    row: VerifyRow,
    runs: Sequence[Mapping[str, Array]],
    answers: Mapping[str, Array] | None,
    reference: Reference,
    model: ModelSpec,
) -> tuple[VerifyRow, Array | None]:
    """The verdict on outputs in the source's names and layouts: ``runs`` under the noise rule, ``answers`` by top-1.

    ``answers`` is None where there are no real samples. A reason that ``row`` has already is a remark, kept if it passes.
    """
    labels = ("all in one batch", "in batches of 1, 2, 3 and 7", "a second time")
    judgements: list[Judgement] = []
    reason, remark = "", row.reason
    for label, run in zip(labels, runs, strict=True):
        for spec in model.outputs:
            found = judge(run[spec.name], reference.y64[spec.name], reference.noise[spec.name], spec.kind)
            judgements.append(found)
            if not found.passed and not reason:
                reason = f"{spec.name}, {label}: {found.reason}"
    row = replace(
        row,
        outcome="mismatch" if reason else "passed",
        reason=reason or remark,
        max_noise_ratio=max(found.max_ratio for found in judgements),
        median_noise_ratio=max(found.median_ratio for found in judgements),
        max_abs_error=max(found.max_abs_error for found in judgements),
    )
    spec = model.outputs[0]
    if answers is None or spec.kind not in ("logits", "probabilities"):
        return row, None
    exact = reference.heldout_y64[spec.name]
    if answers[spec.name].shape != exact.shape:
        shapes = f"the held-out outputs have shape {answers[spec.name].shape}, the source's {exact.shape}"
        return replace(row, outcome="mismatch", reason=reason or shapes), None
    top1 = np.argmax(answers[spec.name], axis=1)
    known = reference.heldout_labels >= 0
    changed = defects(top1, exact, np.full(len(top1), np.median(reference.noise[spec.name])), spec.kind)
    if len(changed) and not reason:
        reason = (
            f"{len(changed)} held-out samples changed their class beyond rounding, first sample {changed[0]}"
        )
    row = replace(
        row,
        outcome="mismatch" if reason else "passed",
        reason=reason or remark,
        top1_agreement=float(np.mean(top1 == np.argmax(exact, axis=1))),
        accuracy=float(np.mean(top1[known] == reference.heldout_labels[known])) if known.any() else None,
        heldout_n=len(top1),
    )
    return row, top1


def structure_faults(inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], artifact: Artifact) -> str:
    """What in the file's own tensors differs from the manifest's, in words; "" when nothing does.

    A shape that the format does not store (rank unknown) is not compared. An axis that the manifest calls dynamic
    must be dynamic in the file; one with a size may be.
    """
    for side, found, wanted in (("input", inputs, artifact.inputs), ("output", outputs, artifact.outputs)):
        by_name = {spec.name: spec for spec in found}
        missing = [spec.name for spec in wanted if spec.name not in by_name]
        if missing:
            return f"the file has no {side} {', '.join(missing)}; it has {', '.join(by_name) or 'none'}"
        for spec in wanted:
            own = by_name[spec.name]
            if own.dtype != spec.dtype:
                return f"{side} {spec.name} is {own.dtype}, the manifest says {spec.dtype}"
            if side == "output" and own.shape and len(own.shape) == len(spec.shape):
                continue  # a file may leave output sizes open; the run shows them
            if own.shape and not _fits(own.shape, spec.shape):
                return f"{side} {spec.name} has shape {list(own.shape)}, the manifest says {list(spec.shape)}"
    return ""


def _fits(own: tuple[int | None, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(own) == len(wanted) and all(a is None or a == b for a, b in zip(own, wanted, strict=True))


def feeds(samples: Mapping[str, Array], model: ModelSpec, artifact: Artifact) -> dict[str, Array]:
    """Samples in the source's layout, as the artifact's inputs want them: its layout, and its type of integers."""
    pairs = zip(model.inputs, artifact.inputs, strict=True)
    return {
        own.name: stored(to_layout(samples[spec.name], spec.layout, own.layout), own) for spec, own in pairs
    }


def source_outputs(outputs: Mapping[str, Array], model: ModelSpec, artifact: Artifact) -> dict[str, Array]:
    """The artifact's outputs, in the source's names and layouts. Raises NotAModelError when one is missing."""
    for own in artifact.outputs:
        if own.name not in outputs:
            raise NotAModelError(f"it gave no output {own.name}; it gave {', '.join(outputs) or 'none'}")
    pairs = zip(model.outputs, artifact.outputs, strict=True)
    return {
        spec.name: to_layout(real(outputs[own.name], own), own.layout, spec.layout) for spec, own in pairs
    }


def outcome_of(error: FwexportError) -> Outcome:
    """The word for a cell that ended by this error."""
    words: tuple[tuple[type[FwexportError], Outcome], ...] = (
        (UnavailableError, "unavailable"),
        (WorkerTimeout, "timeout"),
        (WorkerCrashed, "crashed"),
        (NotAModelError, "failed"),
        (ChecksumError, "failed"),
    )
    return next((word for kind, word in words if isinstance(error, kind)), "failed")
