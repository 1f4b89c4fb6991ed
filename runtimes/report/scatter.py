"""The geometry of one figure against another: dots, the front that none of them beats, limits. Pure.

Positions are units of the SVG's ``viewBox``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from runtimes.report.charts import Tick, linear_axis, spread

WIDTH, HEIGHT = 360, 250
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 18, 38
LOG_FROM = 8  # largest over smallest value from which a linear scale would crowd the small ones
LABELS = 6


@dataclass(frozen=True)
class Axis:
    """One axis: its title, whether less of it is better, and a limit that a person set, None for none."""

    title: str
    less_is_better: bool = True
    limit: float | None = None


@dataclass(frozen=True)
class Spot:
    """One row to plot: ``sound`` ones may be on the front. ``interval`` is that of ``x``; ``label`` is short."""

    name: str
    label: str
    series: int
    x: float
    y: float
    sound: bool = True
    interval: tuple[float, float] | None = None
    chosen: bool = False


@dataclass(frozen=True)
class Dot:
    """One drawn row: where, the ends of its whisker, and what pointing at it says."""

    series: int
    x: str
    y: str
    whisker: tuple[str, str] | None
    sound: bool
    chosen: bool
    text: str


@dataclass(frozen=True)
class Label:
    """The name of a dot, beside it."""

    x: str
    y: str
    anchor: str
    text: str
    chosen: bool


@dataclass(frozen=True)
class Scatter:
    """One SVG. ``front`` is a polyline in steps, ``limits`` have the axis ("x" or "y"), where, and the words."""

    title: str
    summary: str
    x_title: str
    y_title: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    dots: tuple[Dot, ...]
    front: str
    labels: tuple[Label, ...]
    limits: tuple[tuple[str, Tick], ...]


def scatter(title: str, x_axis: Axis, y_axis: Axis, spots: Sequence[Spot]) -> Scatter | None:
    """The plot, or None when there is nothing on it."""
    if not spots:
        return None
    ends = [end for spot in spots for end in spot.interval or ()]
    at_x, x_ticks = _scale(x_axis, [*(spot.x for spot in spots), *ends], LEFT, WIDTH - RIGHT)
    at_y, y_ticks = _scale(y_axis, [spot.y for spot in spots], HEIGHT - BOTTOM, TOP)
    best = front(x_axis, y_axis, spots)
    labelled = [spot for spot in spots if spot.chosen]
    labelled += [spot for spot in best if not spot.chosen][: LABELS - len(labelled)]
    return Scatter(
        title=title,
        summary=_summary(x_axis, y_axis, best),
        x_title=x_axis.title,
        y_title=y_axis.title,
        x_ticks=x_ticks,
        y_ticks=y_ticks,
        dots=tuple(_dot(spot, x_axis, y_axis, at_x, at_y) for spot in spots),
        front=_steps([(at_x(spot.x), at_y(spot.y)) for spot in best]),
        labels=_labels(labelled, at_x, at_y),
        limits=tuple(
            (side, Tick(f"{at(axis.limit):.1f}", f"{axis.limit:g}"))
            for side, axis, at in (("x", x_axis, at_x), ("y", y_axis, at_y))
            if axis.limit is not None
        ),
    )


def front(x_axis: Axis, y_axis: Axis, spots: Sequence[Spot]) -> list[Spot]:
    """The sound spots that no other equals or beats in one figure and beats in the other, from the best x on."""
    x_sign, y_sign = (1 if axis.less_is_better else -1 for axis in (x_axis, y_axis))
    found: list[Spot] = []
    for spot in sorted((spot for spot in spots if spot.sound), key=lambda s: (x_sign * s.x, y_sign * s.y)):
        if not found or y_sign * spot.y < y_sign * found[-1].y:
            found.append(spot)
    return found


def _scale(
    axis: Axis, values: Sequence[float], start: float, end: float
) -> tuple[Callable[[float], float], tuple[Tick, ...]]:
    """Where a value lies between ``start`` and ``end``, and the ticks."""
    every = [*values, *([] if axis.limit is None else [axis.limit])]
    low, high = min(every), max(every)
    log = low > 0 and high / low > LOG_FROM
    pad = 0.08 * (high - low)  # no dot lies on the frame; no share goes beyond 0 and 1
    ends = (max(low - pad, 0.0), min(high + pad, 1.0) if high <= 1 else high + pad)
    steps = _log_steps(low, high) if log else linear_axis(*ends)
    turn: Callable[[float], float] = math.log if log else float
    first, last = turn(steps[0]), turn(steps[-1])

    def at(value: float) -> float:
        return start + (turn(value) - first) / (last - first) * (end - start)

    # Over more than two decades the powers of ten are enough.
    wide = log and steps[-1] > 100 * steps[0]
    shown = [step for step in steps if not wide or math.log10(step).is_integer()]
    return at, tuple(Tick(f"{at(step):.1f}", f"{step:,g}") for step in shown)


def _log_steps(low: float, high: float) -> list[float]:
    """Steps of 1, 2 and 5 that hold the values."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = [float(f"{m}e{power}") for power in range(first, last + 1) for m in (1, 2, 5)]
    start = max(step for step in every if step <= low * (1 + 1e-9))
    end = min((step for step in every if step >= high * (1 - 1e-9)), default=every[-1])
    return [step for step in every if start <= step <= end]


def _dot(
    spot: Spot, x_axis: Axis, y_axis: Axis, at_x: Callable[[float], float], at_y: Callable[[float], float]
) -> Dot:
    ends = (
        None if spot.interval is None else (f"{at_x(spot.interval[0]):.1f}", f"{at_x(spot.interval[1]):.1f}")
    )
    words = f"{spot.name}: {x_axis.title} {spot.x:.4g}, {y_axis.title} {spot.y:.4g}"
    return Dot(
        spot.series, f"{at_x(spot.x):.1f}", f"{at_y(spot.y):.1f}", ends, spot.sound, spot.chosen, words
    )


def _steps(points: Sequence[tuple[float, float]]) -> str:
    """Across first, then up or down: what lies behind a corner is beaten by the dot before it."""
    corners = [points[0]] if points else []
    for (_, y), (next_x, next_y) in itertools.pairwise(points):
        corners += [(next_x, y), (next_x, next_y)]
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)


def _labels(
    spots: Sequence[Spot], at_x: Callable[[float], float], at_y: Callable[[float], float]
) -> tuple[Label, ...]:
    """Above their dots, moved apart; to the left of the dots in the right half."""
    heights = spread([at_y(spot.y) - 12 for spot in spots], 13, HEIGHT - BOTTOM)
    labels = []
    for spot, height in zip(spots, heights, strict=True):
        right = at_x(spot.x) > (LEFT + WIDTH - RIGHT) / 2
        x = at_x(spot.x) + (-7 if right else 7)
        labels.append(
            Label(f"{x:.1f}", f"{height:.1f}", "end" if right else "start", spot.label, spot.chosen)
        )
    return tuple(labels)


def _summary(x_axis: Axis, y_axis: Axis, best: Sequence[Spot]) -> str:
    if not best:
        return "no row has passed, so none is on the front"
    said = "; ".join(f"{s.name} {x_axis.title} {s.x:.4g}, {y_axis.title} {s.y:.4g}" for s in best)
    return f"on the front are {said}"
