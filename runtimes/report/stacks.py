"""The geometry of stacked bars: a whole and its parts, one row each. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from runtimes.report.charts import Tick, linear_axis


@dataclass(frozen=True)
class Stacked:
    """One row to plot: its parts, not negative, in the order of the key, and the words for their sum."""

    name: str
    series: int
    parts: tuple[float, ...]
    text: str


@dataclass(frozen=True)
class Stack:
    """One drawn row: left end and width of each part, in per cent of the track."""

    name: str
    series: int
    text: str
    parts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Stacks:
    """Rows of parts from zero on, on a linear scale. ``key`` names the parts, ``step`` is the distance of two ticks."""

    title: str
    note: str
    key: tuple[str, ...]
    stacks: tuple[Stack, ...]
    ticks: tuple[Tick, ...]
    step: str


def stacks(title: str, key: Sequence[str], rows: Sequence[Stacked], unit: str) -> Stacks | None:
    """The stacks of these rows, or None when there is none. A negative part, which is noise around none, is none."""
    if not rows:
        return None
    parts = [tuple(max(part, 0.0) for part in row.parts) for row in rows]
    axis = linear_axis(0.0, max(map(sum, parts)) or 1.0)

    def share(value: float) -> str:
        return f"{100 * value / axis[-1]:.2f}%"

    drawn = []
    for row, widths in zip(rows, parts, strict=True):
        ends = itertools.pairwise(itertools.accumulate(widths, initial=0.0))
        spans = tuple((share(left), share(right - left)) for left, right in ends)
        drawn.append(Stack(row.name, row.series, row.text, spans))
    return Stacks(
        title=title,
        note=f"Linear scale, {unit}.",
        key=tuple(key),
        stacks=tuple(drawn),
        ticks=tuple(Tick(share(value), f"{value:,g}") for value in axis),
        step=f"{100 / (len(axis) - 1):.4f}%",
    )
