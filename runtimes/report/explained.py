"""The section on what ``verify --explain`` found: a sentence each, and the error by layer as a picture."""

from __future__ import annotations

from collections.abc import Iterator

from runtimes.explanation import in_words
from runtimes.report.blocks import Block, Point, Points, Words
from runtimes.report.inputs import Inputs
from runtimes.report.layer_plot import layer_plot

LEGEND = (
    "Each layer of the source in the order of computation, beside the tensor of the artifact that shows it; e/n as above, "
    "by the noise of that layer. Circles are within the limit, squares beyond it; a ring on the axis is a layer that "
    "the artifact computes together with the next one."
)


def blocks(inputs: Inputs) -> Iterator[Block]:
    """Nothing where no row was explained."""
    explained = [
        (bundle.name(row), row.explanation)
        for bundle in inputs.bundles
        if bundle.verify
        for row in bundle.verify.rows
        if row.explanation is not None
    ]
    points = [
        Point(name, "", f"{'. '.join(in_words(found))}.") for name, found in explained if in_words(found)
    ]
    if points:
        yield Points("What differs first, and the likely cause", tuple(points))
    plots = [plot for name, found in explained if (plot := layer_plot(name, found))]
    if plots:
        yield Words(LEGEND, "legend")
    yield from plots
