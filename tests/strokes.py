"""Digits as a person's pen draws them, by points in a square of side 1 (x to the right, y down) that a smooth line joins."""

from __future__ import annotations

import numpy as np

Point = tuple[float, float]

# The seven is crossed, as those of the data are.
DIGITS: dict[str, list[list[Point]]] = {
    "3": [
        [(0.3, 0.22), (0.47, 0.13), (0.65, 0.21), (0.64, 0.37), (0.46, 0.47)],
        [(0.46, 0.47), (0.66, 0.55), (0.7, 0.71), (0.56, 0.85), (0.38, 0.86), (0.27, 0.76)],
    ],
    "4": [
        [(0.44, 0.13), (0.36, 0.34), (0.26, 0.56), (0.26, 0.56), (0.5, 0.57), (0.78, 0.55)],
        [(0.63, 0.33), (0.61, 0.6), (0.58, 0.88)],
    ],
    "7": [
        [(0.27, 0.17), (0.5, 0.18), (0.73, 0.16), (0.73, 0.16), (0.58, 0.45), (0.46, 0.88)],
        [(0.38, 0.52), (0.54, 0.5), (0.7, 0.51)],
    ],
}


def strokes(digit: str, jitter: float = 0.002) -> list[list[Point]]:
    """The strokes of a digit, each as some twenty points of a pen that trembles by ``jitter``; the same every time."""
    rng = np.random.default_rng(ord(digit))
    return [_trembling(smooth(points), jitter, rng) for points in DIGITS[digit]]


def smooth(points: list[Point], per_piece: int = 5) -> list[Point]:
    """Points on the Catmull-Rom spline through these, ``per_piece`` on each piece between two."""
    through = np.array(points)
    padded = np.vstack([2 * through[0] - through[1], through, 2 * through[-1] - through[-2]])
    t = np.linspace(0, 1, per_piece, endpoint=False)[:, None]
    pieces = [
        (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3) / 2
        for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False)
    ]
    return [(float(x), float(y)) for x, y in np.vstack([*pieces, through[-1:]])]


def _trembling(points: list[Point], jitter: float, rng: np.random.Generator) -> list[Point]:
    moved = np.array(points) + rng.normal(0, jitter, (len(points), 2))
    return [(float(x), float(y)) for x, y in moved]
