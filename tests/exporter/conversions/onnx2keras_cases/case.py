"""Small ONNX graphs, each a line or a few in ONNX's own text form, with the shapes of its inputs and weights.

Everything is float64, so that an error is an error and not rounding. Names that start with ``x`` are inputs (``N`` is
the dynamic batch), all others become random weights; ``var`` is positive, and ``k`` distinct small integers.
"""

from __future__ import annotations

from dataclasses import dataclass

N = "N"
Dims = tuple[int | str, ...]

IMAGE: Dims = (N, 4, 9, 8)
SIGNAL: Dims = (N, 4, 11)
VOLUME: Dims = (N, 2, 5, 6, 7)
BN = {"scale": (4,), "bias": (4,), "mean": (4,), "var": (4,)}


@dataclass(frozen=True)
class Case:
    """``transposes`` is how many are left in the TensorFlow graph; ``within`` the largest relative error.

    ``means`` is the same in other operators, where ONNX's reference implementation of ``text`` is wrong.
    """

    text: str
    shapes: dict[str, Dims]
    transposes: int = 0
    within: float = 1e-13
    opset: int = 20
    layout: str = "NCHW"
    means: str = ""


def case(
    text: str,
    *,
    transposes: int = 0,
    within: float = 1e-13,
    opset: int = 20,
    layout: str = "NCHW",
    means: str = "",
    **shapes: Dims,
) -> Case:
    return Case(text, shapes, transposes, within, opset, layout, means)


def image(text: str, *, transposes: int = 0, within: float = 1e-13, means: str = "", **shapes: Dims) -> Case:
    """One image in."""
    return Case(text, {"x": IMAGE, **shapes}, transposes, within, means=means)
