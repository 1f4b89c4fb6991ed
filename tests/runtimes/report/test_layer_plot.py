"""The error by layer as a picture: where its dots lie and what it names."""

from __future__ import annotations

from dataclasses import replace

import report_sample as sample

from runtimes.explanation import Explanation, LayerError
from runtimes.report import layer_plot as plots
from runtimes.report.layer_plot import layer_plot

FOUND = Explanation(
    ("conv2",),
    "pool1",
    (
        LayerError("conv1", "Conv2d", 0.0, "a"),
        LayerError("pool1", "MaxPool2d", 24.0, "b"),
        LayerError("conv2", "Conv2d", 2400.0, "c"),
        LayerError("flatten", "Flatten"),
        LayerError("dense", "Linear", None, "d"),
    ),
)


def test_dots_lie_by_their_ratio_on_a_log_scale() -> None:
    plot = layer_plot("row", FOUND)
    assert plot is not None
    assert [dot.state for dot in plot.dots] == ["right", "right", "wrong", "folded", "wrong"]
    heights = [float(dot.y) for dot in plot.dots]
    floor, decade = plots.HEIGHT - plots.BOTTOM, float(plot.ticks[0].at) - float(plot.ticks[1].at)
    assert heights[0] == heights[3] == floor
    assert heights[1] == float(plot.limit.at)
    assert abs(heights[1] - heights[2] - 2 * decade) < 0.3
    assert heights[4] == plots.TOP
    assert plot.points.count(",") == 4
    assert plot.dots[4].text == "dense (Linear): not finite, in d"
    assert "no tensor of its own" in plot.dots[3].text


def test_the_span_is_marked_and_named() -> None:
    plot = layer_plot("row", FOUND)
    assert plot is not None
    assert plot.band is not None
    left, width = map(float, plot.band)
    assert left < float(plot.dots[2].x) < left + width
    assert plot.label.text == "first: conv2"
    assert plot.summary == "4 of 5 layers seen; the first that differs is conv2"
    right = layer_plot("row", replace(FOUND, first_layers=()))
    assert right is not None
    assert (right.band, right.label.text) == (None, "no layer differs")


def test_a_deep_network_has_a_name_now_and_then_and_those_of_the_span() -> None:
    plot = layer_plot("row", sample.explanation())
    assert plot is not None
    shown = [name.text for name in plot.names]
    assert len(shown) <= plots.NAMES
    assert "features.21" in shown
    assert "features.22" not in shown
    assert max(map(len, shown)) <= plots.LONGEST_NAME
    assert all(plots.TOP <= float(dot.y) <= plots.HEIGHT - plots.BOTTOM for dot in plot.dots)


def test_nothing_compared_is_no_picture() -> None:
    assert layer_plot("row", Explanation(notes=("no framework",))) is None
