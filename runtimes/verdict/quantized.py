"""The verdict on a quantised file, which no rounding noise of its source can judge. Pure.

A classifier's first output is judged by how often it names the source's class on real samples, any other output by its
signal to noise ratio. However the file is run, it must be as good.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from runtimes.base import Array
from runtimes.bundle import ModelSpec
from runtimes.reference import Reference
from runtimes.rows import VerifyRow
from runtimes.verdict.classes import Classes, counted
from runtimes.verdict.parity import sqnr_db
from runtimes.verdict.statistics import decide_agreement
from runtimes.verdict.verdicts import AT_ONCE

# On generated inputs a quantiser leaves the range that it was calibrated for, and clips. An error of half the signal,
# though, is another model's.
UNLIKE_DB = 6.0
# Where 8-bit networks begin to be good. Those of float16 lie above 60: it has 3 bits more, and each number its own scale.
INTEGER_DB, HALF_DB = 20.0, 40.0
# What follows the types of A, where B is not quantised and A is.
IN_REFERENCE = ", in the reference"
_BY_FIGURES = "quantised ("


@dataclass(frozen=True)
class Limits:
    """What is asked of a quantised file.

    ``min_agreement`` bounds what it may cost on any labels: at 0.98 the accuracy changes by two points at most.
    ``min_sqnr_db`` is in dB; None asks for what is usual of the types in the file.
    """

    min_agreement: float = 0.98
    min_sqnr_db: float | None = None

    def sqnr_db(self, quantized: str) -> float:
        """What is asked of a file with these types, as an Artifact names them."""
        if self.min_sqnr_db is not None:
            return self.min_sqnr_db
        return HALF_DB if quantized.removesuffix(IN_REFERENCE) == "float16" else INTEGER_DB


def tolerated(
    row: VerifyRow,
    runs: Mapping[str, Mapping[str, Array]],
    top1: Array | None,
    reference: Reference,
    model: ModelSpec,
    quantized: str,
    limits: Limits,
) -> VerifyRow:
    """``row``, whose figures are there, with the outcome that the limits call for, and the figures as its reason.

    ``runs`` are outputs of the judged samples, ``top1`` the classes of the real ones, or None where there are none.
    Made-up extremes are left out: nothing calibrates a quantiser for them. Outputs of another shape, or that are not
    finite, stay a mismatch.
    """
    pairs = [(run[spec.name], reference.y64[spec.name]) for run in runs.values() for spec in model.outputs]
    if not all(np.isfinite(exact).all() for _, exact in pairs):
        return replace(row, outcome="inconclusive", reason=reference.refused or "the reference is not finite")
    if not all(y.shape == exact.shape and np.isfinite(y).all() for y, exact in pairs):
        return row
    usual = reference.roles != "sentinel"
    ratios = {
        spec.name: {
            how: sqnr_db(run[spec.name][usual], reference.y64[spec.name][usual]) for how, run in runs.items()
        }
        for spec in model.outputs
    }
    worst = {name: min(by_run.values()) for name, by_run in ratios.items()}
    smallest = min(worst.values())
    row = replace(row, sqnr_db=smallest, max_noise_ratio=None, median_noise_ratio=None)
    first = model.outputs[0]
    if top1 is None:
        if len(reference.heldout_labels) and first.kind in ("logits", "probabilities"):
            return row  # it gave no classes for them
        return by_ratio(row, smallest, quantized, limits, reference.samples == "generated")
    source_top1 = np.argmax(reference.heldout_y64[first.name], axis=1)
    classes = counted(top1, source_top1, reference.heldout_labels)
    found = by_outputs(row, classes, worst, model, quantized, limits)
    at_once, (how, lowest) = (
        ratios[first.name][AT_ONCE],
        min(ratios[first.name].items(), key=lambda one: one[1]),
    )
    if found.outcome == "mismatch" or lowest >= min(at_once - UNLIKE_DB, limits.sqnr_db(quantized)):
        return found
    reason = (
        f"quantised ({quantized}): SQNR of {first.name} {lowest:.1f} dB {how}, {at_once:.1f} dB {AT_ONCE}"
    )
    return replace(found, outcome="mismatch", reason=reason, needed_n=None)


def by_outputs(
    row: VerifyRow,
    classes: Classes,
    ratios: Mapping[str, float],
    model: ModelSpec,
    quantized: str,
    limits: Limits,
) -> VerifyRow:
    """The row of a classifier that named these classes of real samples; its outputs but the first by ``ratios`` in dB.

    The ratio of indices says nothing: outputs of integers are left to the classes.
    """
    for spec in model.outputs[1:]:
        other = by_ratio(row, ratios[spec.name], quantized, limits)
        if other.outcome == "mismatch" and spec.dtype.startswith(("float", "bfloat")):
            return replace(other, reason=f"{spec.name}, {other.reason}")
    return by_classes(row, classes, min(ratios.values()), quantized, limits)


def worse(old: VerifyRow, new: VerifyRow) -> VerifyRow:
    """``new``, reached on more samples, unless ``old`` has a fault that more samples do not mend."""
    faulty = {"mismatch": ("passed", "inconclusive"), "inconclusive": ("passed",)}
    if old.outcome == "inconclusive" and old.reason.startswith(_BY_FIGURES):
        return new
    return old if new.outcome in faulty.get(old.outcome, ()) else new


def by_ratio(
    row: VerifyRow, ratio: float, quantized: str, limits: Limits, is_generated: bool = False
) -> VerifyRow:
    """The row of a file that is no classifier, or has no real samples, with this SQNR in dB."""
    required = limits.sqnr_db(quantized)
    reason = f"quantised ({quantized}): SQNR {ratio:.1f} dB, {required:g} dB asked for"
    if ratio >= required:
        return replace(row, outcome="passed", reason=_joined(reason, row, True))
    if is_generated and ratio >= UNLIKE_DB:
        reason += ". It was calibrated on inputs unlike the generated ones: bring real ones with --samples"
        return replace(row, outcome="inconclusive", reason=reason)
    return replace(row, outcome="mismatch", reason=reason)


def by_classes(row: VerifyRow, classes: Classes, ratio: float, quantized: str, limits: Limits) -> VerifyRow:
    """The row of a classifier that named these classes of real samples."""
    decision = decide_agreement(classes.same, classes.n, limits.min_agreement)
    more = f"; {decision.needed_n:,} samples would decide" if decision.needed_n else ""
    reason = (
        f"quantised ({quantized}): the same class for {classes.same:,} of {classes.n:,} samples, "
        f"{limits.min_agreement:.2%} asked for with 95 % confidence{more}; SQNR {ratio:.1f} dB"
    )
    passed = decision.outcome == "passed"
    return replace(
        row, outcome=decision.outcome, reason=_joined(reason, row, passed), needed_n=decision.needed_n
    )


def _joined(reason: str, row: VerifyRow, passed: bool) -> str:
    """The figures, and what the row had remarked where that was no fault."""
    remark = row.reason if row.outcome == "passed" and not row.reason.startswith(_BY_FIGURES) else ""
    return f"{reason}. {remark}" if passed and remark else reason
