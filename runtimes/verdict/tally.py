"""Many samples, a part at a time: what they say together of a file, and which of them to look at closely. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from runtimes.base import Array
from runtimes.bundle import ModelSpec
from runtimes.reference import Reference
from runtimes.rows import VerifyRow
from runtimes.verdict.classes import Classes, counted
from runtimes.verdict.parity import MAX_RATIO, MOST_SQNR_DB, distances, margins, noise_elsewhere
from runtimes.verdict.quantized import Limits, by_outputs, by_ratio, worse

# How many samples are kept for their error, and how many for their margin.
KEPT = 16


@dataclass
class Kept:
    """The samples with the largest scores of all that were offered: their inputs and labels, KEPT at most."""

    scores: Array = field(default_factory=lambda: np.empty(0))
    inputs: dict[str, Array] = field(default_factory=dict)
    labels: Array = field(default_factory=lambda: np.empty(0, np.int64))

    def offer(self, scores: Array, inputs: Mapping[str, Array], labels: Array) -> None:
        """``scores`` (n,) of samples (n, ...). One that is not finite comes first."""
        ranked = np.where(np.isnan(scores), np.inf, scores)
        best = np.argsort(-ranked, kind="stable")[:KEPT]
        if len(self.scores) == KEPT:
            best = best[ranked[best] > self.scores[-1]]
        if not len(best):
            return
        joined = np.concatenate([self.scores, ranked[best]])
        order = np.argsort(-joined, kind="stable")[:KEPT]
        self.scores = joined[order]
        self.labels = np.concatenate([self.labels, labels[best]])[order]
        self.inputs = {
            name: np.concatenate([self.inputs[name], array[best]] if self.inputs else [array[best]])[order]
            for name, array in inputs.items()
        }


class Tally:
    """What every sample says of one file, beside the ``reference`` that a few of them were judged by."""

    def __init__(self, model: ModelSpec, reference: Reference) -> None:
        self._model, self._reference = model, reference
        self._signal = dict.fromkeys((spec.name for spec in model.outputs), 0.0)
        self._error = dict(self._signal)
        self._is_classifier = model.outputs[0].kind in ("logits", "probabilities")
        self.classes = Classes()
        self.n = 0
        self.worst = Kept()
        self.closest = Kept()

    def add(
        self, y: Mapping[str, Array], exact: Mapping[str, Array], inputs: Mapping[str, Array], labels: Array
    ) -> None:
        """One part: the file's outputs, the reference's, and the samples, all in the model's names and layouts.

        A part whose outputs have another shape is infinitely far.
        """
        self.n += len(labels)
        ratio = np.zeros(len(labels))
        for spec in self._model.outputs:
            got, want = y[spec.name], exact[spec.name].astype(np.float64)
            if got.shape != want.shape:
                ratio[:] = np.inf
                self._error[spec.name] = math.inf
                continue
            usual = self._reference.roles != "sentinel"
            near, near64 = self._reference.noise[spec.name][usual], self._reference.y64[spec.name][usual]
            noise = noise_elsewhere(near, near64, want, spec.kind)
            e = distances(got, want, spec.kind)
            ratio = np.maximum(ratio, np.divide(e, noise, out=np.where(e > 0, np.inf, 0.0), where=noise > 0))
            with np.errstate(over="ignore", invalid="ignore"):
                self._error[spec.name] += float(np.sum((got.astype(np.float64) - want) ** 2))
            self._signal[spec.name] += float(np.sum(want**2))
        self.worst.offer(ratio, inputs, labels)
        first = self._model.outputs[0].name
        if self._is_classifier and y[first].shape == exact[first].shape:
            self.closest.offer(-margins(exact[first]), inputs, labels)
            self.classes += counted(np.argmax(y[first], axis=1), np.argmax(exact[first], axis=1), labels)

    @property
    def ratios(self) -> dict[str, float]:
        """The SQNR of each output over every sample, in dB: -inf as ``parity.sqnr_db`` has it."""
        return {name: self._ratio(signal, self._error[name]) for name, signal in self._signal.items()}

    @staticmethod
    def _ratio(signal: float, error: float) -> float:
        if not math.isfinite(signal) or not math.isfinite(error) or (signal == 0 and error > 0):
            return -math.inf
        return 10 * math.log10(signal / max(error, signal * 2.0**-106)) if signal else MOST_SQNR_DB

    @property
    def sqnr_db(self) -> float | None:
        """The smallest of an output's, over every sample, in dB; None where it is not finite."""
        smallest = min(self.ratios.values())
        return smallest if math.isfinite(smallest) else None

    def onto(self, row: VerifyRow, closely: VerifyRow | None, quantized: str, limits: Limits) -> VerifyRow:
        """``row``, reached on a few samples, with the figures of all of them, and a verdict that they may have changed.

        ``closely`` is the row that the samples which were kept got, by their own noise; None for a quantised file.
        They were picked for their errors, so that their median says nothing. More samples mend no fault.
        """
        row = replace(self.classes.onto(row), sqnr_db=self.sqnr_db)
        if row.outcome not in ("passed", "mismatch", "inconclusive"):
            return row
        if quantized:
            return worse(row, self._tolerated(row, quantized, limits))
        if closely is None:
            return row
        if closely.max_noise_ratio is None:
            reason = f"of all {self.n:,} samples, the furthest could not be judged: {closely.reason}"
            return replace(row, outcome="inconclusive", reason=reason) if row.outcome == "passed" else row
        errors = [error for error in (row.max_abs_error, closely.max_abs_error) if error is not None]
        row = replace(
            row,
            max_noise_ratio=max(row.max_noise_ratio or 0.0, closely.max_noise_ratio),
            max_abs_error=max(errors, default=None),
        )
        if row.outcome == "passed" and not closely.max_noise_ratio <= MAX_RATIO:
            reason = f"of all {self.n:,} samples, looked for the furthest: {closely.reason}"
            return replace(row, outcome="mismatch", reason=reason)
        return row

    def _tolerated(self, row: VerifyRow, quantized: str, limits: Limits) -> VerifyRow:
        """What all samples say of a quantised file."""
        if not all(math.isfinite(signal) for signal in self._signal.values()):
            reason = f"the reference is not finite on all of the {self.n:,} samples"
            return replace(row, outcome="inconclusive", reason=reason)
        if not all(math.isfinite(error) for error in self._error.values()):
            reason = f"of all {self.n:,} samples, some give outputs of another shape, or that are not finite"
            return replace(row, outcome="mismatch", reason=reason)
        if self.classes.n:
            return by_outputs(row, self.classes, self.ratios, self._model, quantized, limits)
        return by_ratio(row, min(self.ratios.values()), quantized, limits)


def together(kept: Sequence[Kept], most: int | None = None) -> tuple[dict[str, Array], Array]:
    """The inputs and labels of what was kept, each sample once: the first of each, then the second of each, ``most`` in all."""
    kept = [one for one in kept if one.inputs]
    if not kept:
        return {}, np.empty(0, np.int64)
    order = np.argsort(np.concatenate([np.arange(len(one.labels)) for one in kept]), kind="stable")
    inputs = {name: np.concatenate([one.inputs[name] for one in kept])[order] for name in kept[0].inputs}
    labels = np.concatenate([one.labels for one in kept])[order]
    flat = np.concatenate(
        [array.reshape(len(labels), -1).astype(np.float64) for array in inputs.values()], axis=1
    )
    _, once = np.unique(flat, axis=0, return_index=True)
    once = np.sort(once)[:most]
    return {name: array[once] for name, array in inputs.items()}, labels[once]
