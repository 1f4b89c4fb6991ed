"""The verdict, on arrays: does an export predict what its source predicts, by the source's own rounding noise?

Pure functions. For sample i, over its flattened output, ``e_i = |y_i - y64_i|`` in L2 and ``n_i`` is the largest
such distance among the source's own float32 runs, with a floor of one rounding of the output itself and of what is usual
for outputs of its size. Fixed
tolerances are wrong both ways; this ratio has the same meaning for outputs of 1e-15 and of 1e3.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from runtimes.base import Array
from runtimes.bundle import Kind

# Correct exports on runtimes that sum in another order reach 10.1 and a median of 4.8; the least fault that was planted
# (one weight of the last layer off by 1e-3) reaches 38.5 and 27.4. CONTRIBUTING.md has both for every runtime.
MAX_RATIO = 24.0
MEDIAN_RATIO = 8.0

EPS32 = 2.0**-24
REAL_SCALE_FLOOR = 2.0**-34
SMALLEST_P = 1e-30
NEGLIGIBLE_P = 1e-20
NOISY = 1e-3
MOST_SQNR_DB = 20 * math.log10(2.0**53)


@dataclass(frozen=True)
class Judgement:
    """What the noise rule says of one set of outputs. ``reason`` is empty when it passed."""

    passed: bool
    reason: str
    max_ratio: float
    median_ratio: float
    max_abs_error: float
    worst_sample: int


def distances(y: Array, y64: Array, kind: Kind) -> Array:
    """``e_i`` of each sample, shape (n,): L2 of the difference, of log p for probabilities.

    A non-finite element makes its sample infinitely far. For probabilities the classes with p64 >= 1e-30 are
    compared as logarithms; where p64 is smaller, p must stay below 1e-20.
    """
    got, want = _flat(y), _flat(y64)
    e: Array
    if kind == "probabilities":
        difference, outside = _log_difference(got, want)
        e = np.linalg.norm(difference, axis=1)
        e[outside] = np.inf
    else:
        with np.errstate(over="ignore", invalid="ignore"):
            e = np.linalg.norm(got - want, axis=1)
    e[~np.isfinite(got).all(axis=1) | np.isnan(e)] = np.inf
    return e


def noise_floor(runs: Sequence[Array], y64: Array, kind: Kind, real: Array) -> Array:
    """``n_i`` of each sample, shape (n,), from the source's float32 ``runs``.

    No sample's noise is less, for its magnitude, than the median of the real ones: the few outputs of one sample
    may agree with float64 by luck. ``real`` marks the samples that set scales, shape (n,) bool: an extreme sentinel
    must not.
    """
    magnitudes = _magnitudes(y64, kind)
    floor: Array = EPS32 * magnitudes
    if kind != "probabilities":
        scale = float(np.median(magnitudes[real] if real.any() else magnitudes))
        floor = np.maximum(floor, REAL_SCALE_FLOOR * scale)
    for run in runs:
        floor = np.maximum(floor, distances(run, y64, kind))
    judged = (real if real.any() else np.ones_like(real)) & (magnitudes > 0) & np.isfinite(floor)
    usual = float(np.median(floor[judged] / magnitudes[judged])) if judged.any() else 0.0
    noise: Array = np.maximum(floor, usual * magnitudes)
    return noise


def noise_elsewhere(noise: Array, y64: Array, other64: Array, kind: Kind) -> Array:
    """An upper estimate of ``n_i`` for samples that the source did not run in float32, shape (m,).

    It is their magnitude times the largest noise, for its magnitude, among the samples that it did run.
    """
    magnitudes = _magnitudes(y64, kind)
    largest = float(np.max(noise[magnitudes > 0] / magnitudes[magnitudes > 0], initial=EPS32))
    found: Array = largest * _magnitudes(other64, kind)
    return found


def saturated(y64: Array, kind: Kind) -> Array:
    """Samples whose probabilities are one class and nothing else, below SMALLEST_P: no noise can be seen through them."""
    if kind != "probabilities":
        return np.zeros(len(y64), bool)
    found: Array = (_flat(y64) >= SMALLEST_P).sum(axis=1) < 2
    return found


def refuse_reference(y64: Array, noise: Array, kind: Kind) -> str:
    """Why this y64 cannot judge anything, or "": the classic trap is float64 that was computed in float32.

    Integers and bools have no precision to check: an output of classes or indices.
    """
    if y64.dtype.kind in "iub":
        return ""
    if y64.dtype != np.float64:
        return f"the reference is {y64.dtype}, not float64"
    if not np.isfinite(y64).all():
        return "the source itself gives NaN or Inf in float64"
    if not np.isfinite(noise).all():
        return "the source itself gives NaN or Inf in float32"
    rounded = y64.astype(np.float32).astype(np.float64)
    if np.ptp(y64) > 0 and np.array_equal(rounded, y64):
        return "every float64 output is a float32 number, bit for bit: it was computed in float32"
    scale = np.ones(len(noise)) if kind == "probabilities" else np.linalg.norm(_flat(y64), axis=1)
    if np.median(noise - NOISY * scale) > 0:
        return "the source's own float32 runs differ by more than 0.1 %: its noise would hide any fault"
    return ""


def refuse_estimate(y: Array, noise: Array, kind: Kind) -> str:
    """Why outputs of a runtime, with a noise estimated from moved inputs, cannot judge anything, or ""."""
    if y.dtype.kind in "iub":
        return ""
    if not np.isfinite(y).all():
        return "the reference itself gives NaN or Inf"
    if not np.isfinite(noise).all():
        return "the reference gives NaN or Inf on inputs that are moved by one ulp"
    scale = np.ones(len(noise)) if kind == "probabilities" else np.linalg.norm(_flat(y), axis=1)
    if np.median(noise - NOISY * scale) > 0:
        return "inputs moved by one ulp change the reference's outputs by more than 0.1 %: no fault could be told from that"
    return ""


def judge(y: Array, y64: Array, noise: Array, kind: Kind) -> Judgement:
    """Whether the outputs are the source's, up to its rounding noise."""
    if y.shape != y64.shape:
        reason = f"the outputs have shape {y.shape}, the source's {y64.shape}"
        return Judgement(False, reason, np.inf, np.inf, np.inf, 0)
    e = distances(y, y64, kind)
    ratio = np.divide(e, noise, out=np.where(e > 0, np.inf, 0.0), where=noise > 0)
    worst = int(np.argmax(ratio))
    largest, median = float(ratio[worst]), float(np.median(ratio))
    with np.errstate(invalid="ignore", over="ignore"):
        absolute = np.abs(_flat(y) - _flat(y64))
    max_abs = float(np.max(np.where(np.isnan(absolute), np.inf, absolute), initial=0.0))
    bad = int((~np.isfinite(_flat(y))).any(axis=1).sum())
    if bad:
        reason = f"NaN or Inf in {bad} of {len(y)} samples, first in sample {worst}"
    elif largest > MAX_RATIO:
        reason = (
            f"sample {worst} is {largest:.3g} times the source's rounding noise away (limit {MAX_RATIO:g})"
        )
    elif median > MEDIAN_RATIO:
        reason = f"the median sample is {median:.3g} times the rounding noise away (limit {MEDIAN_RATIO:g})"
    else:
        reason = ""
    return Judgement(not reason, reason, largest, median, max_abs, worst)


def sqnr_db(y: Array, y64: Array) -> float:
    """The signal to quantisation-noise ratio in dB: 10 log10(sum y64^2 / sum (y - y64)^2) over all samples.

    The noise is at least one float64 rounding of the signal, so that equal outputs have 319 dB and not infinitely many;
    -inf where an output is not finite, or the source gives only zeros and the export does not.
    """
    want = _flat(y64)
    scale = float(np.max(np.abs(want), initial=0.0)) or 1.0  # squares of 1e-200 would be zeros
    with np.errstate(over="ignore", invalid="ignore"):
        signal, noise = (float(np.sum((part / scale) ** 2)) for part in (want, _flat(y) - want))
    if not np.isfinite(noise) or (signal == 0 and noise > 0):
        return -np.inf
    return 10 * math.log10(signal / max(noise, signal * 2.0**-106)) if signal else MOST_SQNR_DB


def defects(top1: Array, y64: Array, noise: Array, kind: Kind) -> Array:
    """Indices of samples whose top-1 changed though their margin exceeds what 24 n allows; one proves a fault.

    An error of 24 n in L2 moves the difference of two classes by at most sqrt(2) of that. Inside it, a changed
    top-1 is a tie.
    """
    scores = np.log(np.maximum(y64, SMALLEST_P)) if kind == "probabilities" else y64
    margin = margins(scores)
    changed = top1 != np.argmax(y64, axis=1)
    return np.flatnonzero(changed & (margin > np.sqrt(2.0) * MAX_RATIO * noise))


def margins(y: Array) -> Array:
    """The gap between the two largest scores of each sample, shape (n,); infinite where there is but one."""
    if y.shape[1] < 2:
        return np.full(len(y), np.inf)
    ordered = np.sort(y, axis=1)
    gap: Array = ordered[:, -1] - ordered[:, -2]
    return gap


def pairwise_top1(predictions: Mapping[str, Array]) -> tuple[tuple[str, ...], tuple[tuple[float, ...], ...]]:
    """Names and the square of shares, in [0, 1], on which two predictions of equal length name the same class."""
    names = tuple(predictions)
    square = tuple(tuple(float(np.mean(predictions[a] == predictions[b])) for b in names) for a in names)
    return names, square


def _magnitudes(y64: Array, kind: Kind) -> Array:
    """What the rounding of each sample is relative to, shape (n,): its norm, that of log p for probabilities."""
    want = _flat(y64)
    if kind == "probabilities":
        logarithms = np.maximum(1.0, np.abs(np.log(np.maximum(want, SMALLEST_P))))
        want = np.where(want >= SMALLEST_P, logarithms, 0.0)
    magnitudes: Array = np.linalg.norm(want, axis=1)
    return magnitudes


def _flat(y: Array) -> Array:
    flat: Array = y.reshape(len(y), -1).astype(np.float64, copy=False)
    return flat


def _log_difference(p: Array, p64: Array) -> tuple[Array, Array]:
    compared = p64 >= SMALLEST_P
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = np.where(compared, np.log(p) - np.log(np.maximum(p64, SMALLEST_P)), 0.0)
    outside = (~compared & (p >= NEGLIGIBLE_P)).any(axis=1)
    return difference, np.asarray(outside)
