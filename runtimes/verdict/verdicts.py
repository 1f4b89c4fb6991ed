"""Between a session's arrays and a verdict: names and layouts, the structure of a file, the word for an error. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace

import msgspec
import numpy as np

from runtimes.base import Array
from runtimes.bundle import METADATA, Artifact, ModelSpec, TensorSpec
from runtimes.errors import (
    ChecksumError,
    FwexportError,
    NotAModelError,
    UnavailableError,
    WorkerCrashed,
    WorkerTimeout,
)
from runtimes.preprocess import to_layout
from runtimes.reference import Reference
from runtimes.rows import Outcome, VerifyRow
from runtimes.verdict.classes import counted
from runtimes.verdict.hypotheses import on_outputs, on_runs
from runtimes.verdict.parity import Judgement, defects, judge, noise_elsewhere, sqnr_db
from runtimes.verdict.quantization import real, stored

# How an artifact is run, as reasons say it; each must give the same answers.
AT_ONCE, UNEVEN, AGAIN = "all in one batch", "in batches of 1, 2, 3 and 7", "a second time"
ONE_THREAD = "on one thread"


def judged(
    row: VerifyRow,
    runs: Mapping[str, Mapping[str, Array]],
    answers: Mapping[str, Array] | None,
    reference: Reference,
    model: ModelSpec,
) -> tuple[VerifyRow, Array | None]:
    """The verdict on outputs in the source's names and layouts: ``runs`` under the noise rule, ``answers`` by top-1.

    ``runs`` are named as above; ``answers`` is None where there are no real samples. A mismatch that the
    outputs themselves explain (a softmax missing) has that in its reason, by name. A reason that ``row`` has already
    is a remark, kept if it passes.
    """
    judgements: list[Judgement] = []
    reason, remark = "", row.reason
    for label, run in runs.items():
        for spec in model.outputs:
            found = judge(run[spec.name], reference.y64[spec.name], reference.noise[spec.name], spec.kind)
            judgements.append(found)
            if not found.passed and not reason:
                reason = f"{spec.name}, {label}: {found.reason}"
    if reason:
        causes = on_outputs(runs[AT_ONCE], reference, model)
        causes += on_runs(runs[AT_ONCE], runs[AGAIN], reference, model)
        reason += "".join(f"; {cause.name}: {cause.detail}" for cause in causes[:1])
    row = replace(
        row,
        outcome="mismatch" if reason else "passed",
        reason=reason or remark,
        max_noise_ratio=max(found.max_ratio for found in judgements),
        median_noise_ratio=max(found.median_ratio for found in judgements),
        max_abs_error=max(found.max_abs_error for found in judgements),
        sqnr_db=smallest_sqnr_db(runs[AT_ONCE], reference, model),
    )
    spec = model.outputs[0]
    if answers is None or spec.kind not in ("logits", "probabilities"):
        return row, None
    exact = reference.heldout_y64[spec.name]
    if answers[spec.name].shape != exact.shape:
        shapes = f"the held-out outputs have shape {answers[spec.name].shape}, the source's {exact.shape}"
        return replace(row, outcome="mismatch", reason=reason or shapes), None
    top1 = np.argmax(answers[spec.name], axis=1)
    usual = reference.roles != "sentinel"
    near, near64 = reference.noise[spec.name][usual], reference.y64[spec.name][usual]
    noise = noise_elsewhere(near, near64, exact, spec.kind)
    changed = defects(top1, exact, noise, spec.kind)
    source_top1 = np.argmax(exact, axis=1)
    if len(changed) and not reason:
        reason = (
            f"{len(changed)} held-out samples changed their class beyond rounding, first sample {changed[0]}"
        )
    elif ties := int(np.sum(top1 != source_top1)):
        tied = f"{ties} of {len(top1)} held-out samples changed to a class as likely, up to rounding"
        remark = "; ".join(filter(None, (remark, tied)))
    row = replace(row, outcome="mismatch" if reason else "passed", reason=reason or remark)
    return counted(top1, source_top1, reference.heldout_labels).onto(row), top1


def smallest_sqnr_db(run: Mapping[str, Array], reference: Reference, model: ModelSpec) -> float | None:
    """The smallest SQNR of an output in dB, over the samples that are no sentinels; None where it is not finite."""
    usual = reference.roles != "sentinel"
    if not usual.any():
        return None
    found = [
        sqnr_db(run[spec.name][usual], reference.y64[spec.name][usual])
        for spec in model.outputs
        if run[spec.name].shape == reference.y64[spec.name].shape
    ]
    smallest = min(found) if len(found) == len(model.outputs) else -math.inf
    return smallest if math.isfinite(smallest) else None


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


def metadata_faults(metadata: Mapping[str, str], artifact: Artifact, model: ModelSpec) -> str:
    """What the description inside the file says otherwise than the manifest, in words; "" when nothing does.

    A file that fwexport did not write, but was given, need not have one.
    """
    text = metadata.get(METADATA)
    if not text:
        return "the file has lost its metadata: its labels and preprocessing" if artifact.edges else ""
    try:
        own = msgspec.json.decode(text, type=ModelSpec)
    except msgspec.DecodeError as error:
        return f"the file's metadata are damaged: {error}"
    wanted = replace(model, inputs=artifact.inputs, outputs=artifact.outputs)
    for field in fields(ModelSpec):
        inside, outside = getattr(own, field.name), getattr(wanted, field.name)
        if inside != outside:
            return f"the {field.name} in the file's metadata are {inside}, the manifest's {outside}"
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
