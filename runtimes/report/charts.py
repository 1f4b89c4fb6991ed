"""The geometry of the plots: pure functions from figures to positions, which the HTML template draws.

Positions of bars are per cent of their track; those of curves are units of the SVG's ``viewBox``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

LOG_FROM = 50  # largest over smallest value from which a linear scale would hide the small ones
WIDTH, HEIGHT = 340, 210
LEFT, RIGHT, TOP, BOTTOM = 42, 106, 12, 34
LABEL_PITCH = 15


@dataclass(frozen=True)
class Tick:
    """A value on an axis: where, and what it says."""

    at: str
    text: str


@dataclass(frozen=True)
class Figure:
    """One row to plot: its name, series, value and the words for it.

    ``upper`` ends a thin line from the value, ``interval`` is drawn as a whisker around it.
    """

    name: str
    series: int
    value: float | None
    text: str
    upper: float | None = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Bar:
    """One drawn row; ``end`` is None where there is nothing to draw, and ``text`` says why."""

    name: str
    series: int
    text: str
    end: str | None
    upper: str | None
    whisker: tuple[str, str] | None = None


@dataclass(frozen=True)
class Bars:
    """Rows as bars from zero, or as dots on a log scale. ``step`` is the distance of two ticks."""

    title: str
    note: str
    scale: Literal["linear", "log"]
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    step: str
    limit: Tick | None = None


@dataclass(frozen=True)
class Line:
    """One series: its polyline, its markers, and its label at the right end, moved so as not to overlap."""

    label: str
    series: int
    points: str
    marks: tuple[tuple[str, str], ...]
    label_y: str


@dataclass(frozen=True)
class Plot:
    """One SVG. ``summary`` is its text alternative, ``x_title`` what its x axis counts."""

    title: str
    summary: str
    x_title: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Curves:
    """Plots that stand side by side where there is room."""

    plots: tuple[Plot, ...]


@dataclass(frozen=True)
class Series:
    """A curve to plot: (x, y) points, a name, and the words for its last value."""

    name: str
    series: int
    points: tuple[tuple[float, float], ...]
    last: str


def bars(
    title: str,
    figures: Sequence[Figure],
    unit: str = "",
    note: str = "",
    limit: float | None = None,
) -> Bars | None:
    """The bars of these figures, or None when no figure has a value.

    The scale is logarithmic when the values above zero span more than ``LOG_FROM``; a zero then lies at the edge.
    """
    positive = [
        v for f in figures for v in (f.value, f.upper, limit, *(f.interval or ())) if v is not None and v > 0
    ]
    if not any(f.value is not None for f in figures):
        return None
    log = bool(positive) and max(positive) / min(positive) > LOG_FROM
    axis = _log_axis(positive) if log else linear_axis(0.0, max(positive, default=1.0))

    def at(value: float | None) -> str | None:
        if value is None:
            return None
        low, high = axis[0], axis[-1]
        if log:
            low, high, value = math.log(low), math.log(high), math.log(max(value, low))
        return f"{100 * (value - low) / (high - low):.2f}%"

    def ends(interval: tuple[float, float] | None) -> tuple[str, str] | None:
        return None if interval is None else (at(interval[0]) or "", at(interval[1]) or "")

    drawn = tuple(Bar(f.name, f.series, f.text, at(f.value), at(f.upper), ends(f.interval)) for f in figures)
    scale_note = f"Log scale, {unit}." if log else f"Linear scale, {unit}."
    return Bars(
        title=title,
        note=" ".join(filter(None, (note, scale_note if unit else ""))),
        scale="log" if log else "linear",
        bars=drawn,
        ticks=tuple(Tick(at(v) or "", f"{v:,g}") for v in axis),
        step=f"{100 / (len(axis) - 1):.4f}%",
        limit=None if limit is None else Tick(at(limit) or "", f"limit {limit:g}"),
    )


def plot(
    title: str,
    summary: str,
    curves: Sequence[Series],
    percent: bool = False,
    x_title: str = "epoch",
    log_x: bool = False,
) -> Plot | None:
    """Curves over whole numbers; None when there is no point. ``percent`` shows a share as %.

    With ``log_x`` the x axis is logarithmic and has a tick at each x that there is room for.
    """
    xs = [x for curve in curves for x, _ in curve.points]
    ys = [y for curve in curves for _, y in curve.points]
    if not xs:
        return None
    x_low, x_high = min(xs), max(xs)
    axis = linear_axis(min(ys) if percent else 0.0, max(ys), top=1.0 if percent else None)

    def at_x(x: float) -> float:
        low, high, at = (math.log(v) for v in (x_low, x_high, x)) if log_x else (x_low, x_high, x)
        share = (at - low) / (high - low) if high > low else 0.5
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def at_y(y: float) -> float:
        return TOP + (axis[-1] - y) / (axis[-1] - axis[0]) * (HEIGHT - TOP - BOTTOM)

    shown = [curve for curve in curves if curve.points]
    ends = spread([at_y(curve.points[-1][1]) for curve in shown])
    lines = []
    for curve, end in zip(shown, ends, strict=True):
        spots = tuple((f"{at_x(x):.1f}", f"{at_y(y):.1f}") for x, y in curve.points)
        lines.append(
            Line(
                label=f"{curve.name[:9]} {curve.last}",
                series=curve.series,
                points=" ".join(f"{x},{y}" for x, y in spots),
                marks=spots if len(spots) <= 25 else spots[-1:],
                label_y=f"{end:.1f}",
            )
        )
    every = sorted(set(xs)) if log_x else range(int(x_low), int(x_high) + 1)
    step = max(1, math.ceil((len(every) if log_x else x_high - x_low) / (7 if log_x else 6)))
    return Plot(
        title=title,
        summary=summary,
        x_title=x_title,
        x_ticks=tuple(Tick(f"{at_x(x):.1f}", f"{x:g}") for x in every[::step]),
        y_ticks=tuple(Tick(f"{at_y(y):.1f}", f"{y * 100:g} %" if percent else _short(y)) for y in axis),
        lines=tuple(lines),
    )


def _short(value: float) -> str:
    """A tick's value: 0.25, 500, 30k."""
    return f"{value / 1000:,g}k" if value >= 10_000 else f"{value:g}"


def spread(
    heights: Sequence[float], pitch: float = LABEL_PITCH, floor: float = HEIGHT - BOTTOM
) -> list[float]:
    """The heights moved apart until no two labels overlap, in the order given, above ``floor`` where they fit."""
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    placed = list(heights)
    for above, below in itertools.pairwise(order):
        placed[below] = max(placed[below], placed[above] + pitch)
    excess = max((placed[i] for i in order), default=0.0) - floor
    for rank, i in enumerate(reversed(order)):
        if excess > 0:
            placed[i] = min(placed[i], floor - rank * pitch)
    return placed


def linear_axis(low: float, high: float, top: float | None = None) -> list[float]:
    """About four round steps that hold ``low`` to ``high``; the last is ``top`` where that is a natural end."""
    span = max(high - low, 1e-9) if top is None else max(top - low, 0.02)
    magnitude = 10 ** math.floor(math.log10(span / 4))
    step = next(magnitude * m for m in (1, 2, 2.5, 5, 10) if magnitude * m * 4 >= span * (1 - 1e-9))
    last = math.ceil((high if top is None else max(high, top)) / step - 1e-9)
    first = min(math.floor(low / step + 1e-9), last - 1)
    return [round(i * step, 12) for i in range(first, last + 1)]


def _log_axis(values: Sequence[float]) -> list[float]:
    """The powers of ten that hold the values."""
    first, last = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return [float(10.0**i) for i in range(first, max(last, first + 1) + 1)]
