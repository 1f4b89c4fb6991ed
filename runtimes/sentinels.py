"""Inputs that nobody took, and that show faults which real ones hide: extremes, ramps, single channels, noise. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from runtimes.base import Array

SEED = 20260101


def sentinels(pool: Mapping[str, Array]) -> dict[str, Array]:
    """Inputs that show one fault each, in the range of the real ones: shape (k, ...) for each input.

    All low, all high, one high element off the diagonal, a ramp along each of the two longest axes, each channel
    alone when there are several, all with a little seeded noise; and nothing but seeded noise. Where one input has more of them than
    another, the other's come round again.
    """
    made = {name: _with_noise(_patterns(real), real) for name, real in pool.items()}
    count = max(len(rows) for rows in made.values())
    return {name: rows[np.arange(count) % len(rows)] for name, rows in made.items()}


def _patterns(real: Array) -> Array:
    """The sentinels of one input without noise, float64, shape (k, ...)."""
    shape, low, high = real.shape[1:], float(real.min()), float(real.max())
    rows = [np.full(shape, low), np.full(shape, high)]
    hot = np.full(shape, low)
    hot[tuple(size // (3 if axis % 2 else 5) for axis, size in enumerate(shape))] = high
    rows.append(hot)
    for axis in sorted(np.argsort(shape, kind="stable")[-2:]):
        ramp = np.linspace(low, high, shape[axis])
        rows.append(np.broadcast_to(np.expand_dims(ramp, [a for a in range(len(shape)) if a != axis]), shape))
    axis = int(np.argmin(shape)) if shape else 0
    if len(shape) == 3 and 1 < shape[axis] <= 4:
        for channel in range(shape[axis]):
            only = np.full(shape, low)
            np.moveaxis(only, axis, 0)[channel] = high
            rows.append(only)
    rows.append(np.random.default_rng([SEED, 1]).uniform(low, high, shape))
    return np.stack(rows)


def _with_noise(rows: Array, real: Array) -> Array:
    """The rows in the type of ``real``, with noise of a 64th of its range, inside that range.

    A sum of many equal numbers rounds the same way at every step: on a constant input a correct export that sums
    in plain order would lie further from the source than on any real one.
    """
    low, high = float(real.min()), float(real.max())
    noise = np.random.default_rng(SEED).uniform(-1, 1, rows.shape) * (high - low) / 64
    noisy: Array = np.clip(rows + noise, low, high)
    return (noisy if real.dtype.kind == "f" else np.rint(noisy)).astype(real.dtype)
