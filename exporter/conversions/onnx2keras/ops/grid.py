"""Images read at computed places."""

from __future__ import annotations

import itertools
import math

from exporter.conversions.onnx2keras.graph import Graph, Node
from exporter.conversions.onnx2keras.layout import Assignment, Layouts, channels_last, plain
from exporter.conversions.onnx2keras.lower import Call
from exporter.conversions.onnx2keras.registry import Tensor, lowers

Tap = tuple[Tensor, Tensor]  # where on one axis, and with which weight


def _rule(node: Node, graph: Graph, have: Layouts) -> Assignment:
    rank = graph.rank(node.inputs[0])
    return Assignment((have[0] and channels_last(rank), have[1] and plain(rank)), (channels_last(rank),))


def _refuse(node: Node, graph: Graph) -> str | None:
    image, grid = graph.shape(node.inputs[0]), graph.shape(node.inputs[1])
    if any(name in graph.constants for name in node.inputs):
        return "a constant image or grid"
    return "a dynamic size" if None in (*image[1:], *grid[1:]) else None


@lowers("GridSample", layout=_rule, refuse=_refuse)
def grid_sample(call: Call) -> Tensor:
    """The sum of the pixels around each place; the grid has the last axis of the image first."""
    ops, grid, (_, channels, *sizes) = call.ops, call.tensor(1), (size or 1 for size in call.shape())
    places = [size or 0 for size in call.shape(1)[1:-1]]
    image, count = call.tensor(), math.prod(sizes)
    flat = ops.reshape(image, (-1, channels))
    line = image[(slice(None), *[0] * (len(sizes) + 1))]
    samples = ops.subtract(ops.cumsum(ops.ones_like(line, "int32")), 1)
    starts = ops.reshape(ops.multiply(samples, count), (-1, 1))
    axes = [_taps(call, grid[..., len(sizes) - 1 - axis], size) for axis, size in enumerate(sizes)]
    total = None
    for taps in itertools.product(*axes):
        (place, weight), *others = taps
        for size, (along, share) in zip(sizes[1:], others, strict=True):
            place = ops.add(ops.multiply(place, size), along)
            weight = ops.multiply(weight, share)
        within = ops.reshape(ops.cast(place, "int32"), (-1, math.prod(places)))
        index = ops.reshape(call.add(within, starts, suffix="_index"), (-1,))
        pixels = ops.reshape(ops.take(flat, index, axis=0), (-1, *places, channels))
        part = ops.multiply(pixels, ops.expand_dims(weight, -1))
        total = part if total is None else ops.add(total, part)
    return total


def _taps(call: Call, places: Tensor, size: int) -> list[Tap]:
    """The pixels on an axis that a place between -1 and 1 reads, as whole numbers in the image's type."""
    ops, aligned, mode = call.ops, call.attr("align_corners", 0), call.attr("mode", "linear")
    if aligned:
        found = ops.multiply(ops.add(places, 1.0), (size - 1) / 2)
    else:
        found = ops.divide(ops.subtract(ops.multiply(ops.add(places, 1.0), size), 1.0), 2.0)
    if mode == "nearest":
        taps = [(ops.round(found), ops.ones_like(found))]
    else:
        first = ops.floor(found)
        after = ops.subtract(found, first)
        if mode in ("linear", "bilinear"):
            taps = [(first, ops.subtract(1.0, after)), (ops.add(first, 1.0), after)]
        else:
            steps = (-1, 0, 1, 2)
            taps = [(ops.add(first, float(s)), _cubic(call, ops.subtract(after, float(s)))) for s in steps]
    return [_inside(call, place, weight, size) for place, weight in taps]


def _cubic(call: Call, distance: Tensor, a: float = -0.75) -> Tensor:
    """Keys's kernel, as ``interpolation`` has it for constants."""
    ops, x = call.ops, call.ops.absolute(distance)
    near = ops.add(ops.multiply(ops.multiply(x, x), ops.subtract(ops.multiply(x, a + 2), a + 3)), 1.0)
    far = ops.subtract(
        ops.multiply(ops.add(ops.multiply(ops.subtract(ops.multiply(x, a), 5 * a), x), 8 * a), x), 4 * a
    )
    return ops.where(ops.less_equal(x, 1.0), near, far)


def _inside(call: Call, place: Tensor, weight: Tensor, size: int) -> Tap:
    """A pixel of the image in place of one beyond it, by ``padding_mode``."""
    ops, mode, last = call.ops, call.attr("padding_mode", "zeros"), float(size - 1)
    if mode == "reflection":
        period = 2.0 * last if call.attr("align_corners", 0) else 2.0 * size
        if period == 0:
            return ops.zeros_like(place), weight
        turned = ops.mod(place, period)
        back = period if call.attr("align_corners", 0) else period - 1
        return ops.minimum(turned, ops.subtract(back, turned)), weight
    if mode == "zeros":
        within = ops.logical_and(ops.greater_equal(place, 0.0), ops.less_equal(place, last))
        weight = ops.where(within, weight, ops.zeros_like(weight))
    return ops.clip(place, 0.0, last), weight
