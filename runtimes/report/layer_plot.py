"""The geometry of the error by layer: pure, from an explanation to positions that the HTML template draws."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from runtimes.explanation import Explanation, LayerError
from runtimes.report.charts import Tick
from runtimes.verdict.parity import MAX_RATIO

WIDTH, HEIGHT = 920, 300
LEFT, RIGHT, TOP, BOTTOM = 58, 30, 30, 86
# What is drawn: ratios below LOWEST on the axis itself, those above HIGHEST, or not finite, at the top.
LOWEST, HIGHEST = 0.1, 1e9
# The most names under the axis; of a deeper network every so many-th is named.
NAMES = 40
LONGEST_NAME = 22
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")

State = Literal["right", "wrong", "folded"]


@dataclass(frozen=True)
class Dot:
    """One layer: where, and what pointing at it says. A folded one lies on the axis."""

    x: str
    y: str
    state: State
    text: str


@dataclass(frozen=True)
class LayerPlot:
    """One SVG. ``band`` is the left end and the width of the span that begins to differ, None where there is none."""

    title: str
    summary: str
    dots: tuple[Dot, ...]
    points: str
    names: tuple[Tick, ...]
    ticks: tuple[Tick, ...]
    limit: Tick
    band: tuple[str, str] | None
    label: Tick
    anchor: Literal["start", "middle", "end"]


def layer_plot(title: str, explanation: Explanation) -> LayerPlot | None:
    """The plot, or None when no layer was compared."""
    layers = explanation.layers
    if not any(layer.tensor for layer in layers):
        return None
    finite = [layer.ratio for layer in layers if layer.ratio is not None and math.isfinite(layer.ratio)]
    top = math.ceil(math.log10(min(HIGHEST, max([*finite, 10 * MAX_RATIO]))))
    low = math.log10(LOWEST)
    pitch = (WIDTH - LEFT - RIGHT) / len(layers)

    def at_x(number: float) -> float:
        return LEFT + (number + 0.5) * pitch

    def at_y(ratio: float | None) -> float:
        height = top if ratio is None or not math.isfinite(ratio) else math.log10(max(ratio, LOWEST))
        return TOP + (top - min(height, top)) / (top - low) * (HEIGHT - TOP - BOTTOM)

    dots = tuple(
        Dot(
            f"{at_x(number):.1f}",
            f"{at_y(layer.ratio) if layer.tensor else HEIGHT - BOTTOM:.1f}",
            _state(layer),
            _text(layer),
        )
        for number, layer in enumerate(layers)
    )
    places = [number for number, layer in enumerate(layers) if layer.name in explanation.first_layers]
    band = None
    middle, words = float(WIDTH - RIGHT), "no layer differs"
    if places:
        left, right = at_x(places[0] - 0.5), at_x(places[-1] + 0.5)
        band = f"{left:.1f}", f"{right - left:.1f}"
        middle, words = (left + right) / 2, f"first: {', '.join(explanation.first_layers)}"
    share = (middle - LEFT) / (WIDTH - LEFT - RIGHT)
    return LayerPlot(
        title=title,
        summary=_summary(explanation),
        dots=dots,
        points=" ".join(f"{dot.x},{dot.y}" for dot in dots if dot.state != "folded"),
        names=_names(layers, places, at_x),
        ticks=tuple(Tick(f"{at_y(10.0**power):.1f}", _power(power)) for power in range(int(low), top + 1)),
        limit=Tick(f"{at_y(MAX_RATIO):.1f}", f"limit {MAX_RATIO:g}"),
        band=band,
        label=Tick(f"{middle:.1f}", words),
        anchor="start" if share < 0.2 else "end" if share > 0.8 else "middle",
    )


def _power(power: int) -> str:
    return f"{10.0**power:,g}" if power < 4 else f"10{str(power).translate(_RAISED)}"


def _state(layer: LayerError) -> State:
    if not layer.tensor:
        return "folded"
    return "right" if layer.ratio is not None and layer.ratio <= MAX_RATIO else "wrong"


def _text(layer: LayerError) -> str:
    name = f"{layer.name} ({layer.op})"
    if not layer.tensor:
        return f"{name}: no tensor of its own in the artifact"
    ratio = "not finite" if layer.ratio is None else f"e/n {layer.ratio:.3g}"
    return f"{name}: {ratio}, in {layer.tensor}"


def _names(
    layers: Sequence[LayerError], places: Sequence[int], at_x: Callable[[float], float]
) -> tuple[Tick, ...]:
    """Every so many-th name, and always those of the span, which its neighbours make room for."""
    step = -(-len(layers) // NAMES)
    near = {place + shift for place in places for shift in range(1 - step, step)}
    shown = [n for n in range(len(layers)) if n in places or (n % step == 0 and n not in near)]
    return tuple(Tick(f"{at_x(number):.1f}", _short(layers[number].name)) for number in shown)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"…{name[1 - LONGEST_NAME :]}"


def _summary(explanation: Explanation) -> str:
    seen = sum(bool(layer.tensor) for layer in explanation.layers)
    begins = f"the first that differs is {', '.join(explanation.first_layers)}"
    return f"{seen} of {len(explanation.layers)} layers seen; {begins if explanation.first_layers else 'none differs'}"
