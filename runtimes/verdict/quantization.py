"""Integers that stand for real numbers, by the scale and zero point that the file itself gives. Pure."""

from __future__ import annotations

import numpy as np

from runtimes.base import Array
from runtimes.bundle import TensorSpec


def stored(values: Array, spec: TensorSpec) -> Array:
    """``values`` as the tensor keeps them: in its type, and quantised where it is.

    ``q = round(x / scale) + zero_point``, halves to even as TF Lite's reference does, held inside the type's range.
    """
    if spec.quantization is None:
        return values.astype(spec.dtype, copy=False)
    range_ = np.iinfo(spec.dtype)
    steps = np.rint(values.astype(np.float64) / spec.quantization.scale) + spec.quantization.zero_point
    clipped: Array = np.clip(steps, range_.min, range_.max)
    return clipped.astype(spec.dtype)


def real(values: Array, spec: TensorSpec) -> Array:
    """What the tensor's numbers stand for, float32 where they are quantised: ``scale * (q - zero_point)``."""
    if spec.quantization is None:
        return values
    steps: Array = values.astype(np.float64) - spec.quantization.zero_point
    return (spec.quantization.scale * steps).astype(np.float32)


def limits_of(spec: TensorSpec) -> tuple[float, float]:
    """The least and the greatest number that a quantised tensor can hold."""
    range_ = np.iinfo(spec.dtype)
    low, high = real(np.array([range_.min, range_.max]), spec).tolist()
    return low, high
