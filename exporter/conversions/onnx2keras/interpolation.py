"""What ONNX's Resize comes to on one axis: a matrix from the positions there are to the positions wanted. Pure.

The formulas are those of the operator's specification; each row holds the weights of one new position.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from exporter.conversions.onnx2keras.shapes import Array


@dataclass(frozen=True)
class Axis:
    """One axis that is resized: ``scale`` is outputs per input, ``roi`` the part that is read, in units of the size."""

    size: int
    outputs: int
    scale: float
    roi: tuple[float, float] = (0.0, 1.0)

    def coordinates(self, mode: str) -> Array:
        """Where each new position lies among the old ones, by ``coordinate_transformation_mode``; float64."""
        x: Array = np.arange(self.outputs, dtype=np.float64)
        n, scale = self.size, self.scale
        wanted = scale * n
        start, end = self.roi
        if mode == "asymmetric":
            return x / scale
        if mode == "align_corners":
            return x * (n - 1) / (wanted - 1) if wanted != 1 else np.zeros_like(x)
        if mode == "pytorch_half_pixel" and wanted <= 1:
            return np.zeros_like(x)
        if mode == "tf_half_pixel_for_nn":
            return (x + 0.5) / scale
        if mode == "tf_crop_and_resize":
            if wanted <= 1:
                return np.full_like(x, 0.5 * (start + end) * (n - 1))
            return start * (n - 1) + x * (end - start) * (n - 1) / (wanted - 1)
        if mode == "half_pixel_symmetric":
            offset = n / 2 * (1 - self.outputs / wanted)
            return offset + (x + 0.5) / scale - 0.5
        return (x + 0.5) / scale - 0.5


def matrix(axis: Axis, attributes: Mapping[str, Any]) -> Array:
    """The weights, shape (outputs, size), float64, by the attributes of the node."""
    found = axis.coordinates(attributes.get("coordinate_transformation_mode", "half_pixel"))
    mode = attributes.get("mode", "nearest")
    if mode == "nearest":
        nearest = _nearest(found, attributes.get("nearest_mode", "round_prefer_floor"))
        return np.eye(axis.size).take(np.clip(nearest, 0, axis.size - 1), axis=0)
    smooth = min(axis.scale, 1.0) if attributes.get("antialias", 0) else 1.0
    reach = int(np.ceil((1 if mode == "linear" else 2) / smooth))
    taps = np.floor(found).astype(int)[:, None] + np.arange(-reach + 1, reach + 1)
    distances = (taps - found[:, None]) * smooth
    weights = (
        _linear(distances) if mode == "linear" else _cubic(distances, attributes.get("cubic_coeff_a", -0.75))
    )
    inside = (taps >= 0) & (taps < axis.size)
    if attributes.get("exclude_outside", 0):
        weights = weights * inside
    weights = weights / weights.sum(axis=1, keepdims=True)
    result = np.zeros((axis.outputs, axis.size))
    rows = np.broadcast_to(np.arange(axis.outputs)[:, None], taps.shape)
    np.add.at(result, (rows, np.clip(taps, 0, axis.size - 1)), weights)
    return result


def outside(axis: Axis) -> Array:
    """Which new positions ``tf_crop_and_resize`` reads beyond the image; shape (outputs,)."""
    found = axis.coordinates("tf_crop_and_resize")
    return np.asarray((found < 0) | (found > axis.size - 1))


def _nearest(found: Array, mode: str) -> Array:
    rounded = {
        "round_prefer_floor": lambda: np.ceil(found - 0.5),
        "round_prefer_ceil": lambda: np.floor(found + 0.5),
        "floor": lambda: np.floor(found),
        "ceil": lambda: np.ceil(found),
    }[mode]()
    return np.asarray(rounded).astype(int)


def _linear(distances: Array) -> Array:
    return np.asarray(np.maximum(0.0, 1.0 - abs(distances)))


def _cubic(distances: Array, a: float) -> Array:
    """Keys, "Cubic convolution interpolation for digital image processing", 1981."""
    x = abs(distances)
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))
