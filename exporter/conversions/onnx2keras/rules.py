"""The layout rules: how an operator treats the order of axes. Pure; one is named where each operator is registered."""

from __future__ import annotations

import math

from exporter.conversions.onnx2keras.graph import Graph, Node, Shape
from exporter.conversions.onnx2keras.layout import (
    Assignment,
    Layout,
    Layouts,
    carry,
    channels_last,
    gathered,
    plain,
)

# What a dynamic axis counts as where sizes are weighed.
_DYNAMIC = 64


def spatial(node: Node, graph: Graph, have: Layouts) -> Assignment:
    """Convolution and pooling: channels last, in and out."""
    layout = channels_last(graph.rank(node.inputs[0]))
    return Assignment((layout, *[None] * (len(have) - 1)), (layout,) * len(node.outputs))


def follow(node: Node, graph: Graph, have: Layouts) -> Assignment:
    """One tensor, whatever its layout: each element alone, or parameters and axes that move along."""
    layout = have[0] or plain(graph.rank(node.inputs[0]))
    return Assignment((layout, *[None] * (len(have) - 1)), (layout,) * len(node.outputs))


def follow_axes(node: Node, graph: Graph, have: Layouts) -> Assignment:
    """One tensor, its axes in any order, its features in ONNX's: the operator cuts them."""
    layout = (have[0] or plain(graph.rank(node.inputs[0]))).without_features()
    return Assignment((layout, *[None] * (len(have) - 1)), (layout,) * len(node.outputs))


def follow_samples(node: Node, graph: Graph, have: Layouts) -> Assignment:
    """As ``follow_axes``, with the batch in front: the parameters have no batch axis."""
    layout = have[0].without_features() if have[0] else plain(graph.rank(node.inputs[0]))
    if layout.order[0] != 0:
        layout = plain(len(layout.order))
    return Assignment((layout, *[None] * (len(have) - 1)), (layout,) * len(node.outputs))


def in_onnx_order(node: Node, graph: Graph, have: Layouts) -> Assignment:
    """Every tensor with its axes as ONNX has them."""
    wants = tuple(h and plain(graph.rank(name)) for h, name in zip(have, node.inputs, strict=True))
    return Assignment(wants, tuple(plain(graph.rank(name)) for name in node.outputs if name))


def elementwise(node: Node, graph: Graph, have: Layouts) -> Assignment:
    """Several tensors that broadcast: all in the layout in which the fewest elements have to move.

    Constants are moved for free. A tensor of lower rank gets its axes in the same order; where they are not the
    last ones, the lowering reshapes it.
    """
    rank = graph.rank(node.outputs[0])
    tensors = [(layout, graph.shape(name)) for layout, name in zip(have, node.inputs, strict=True) if layout]
    common = _cheapest(tensors, rank)
    flats = {layout.flat for layout, shape in tensors if shape and len(shape) == rank and shape[-1] != 1}
    if len(flats) != 1:
        common = common.without_features()
    elif rank == 2:
        common = Layout(common.order, flats.pop())

    def wanted(layout: Layout | None, name: str) -> Layout | None:
        if layout is None:
            return None
        shape = graph.shape(name)
        return last_axes(common, len(shape)) if len(shape) < rank or shape[-1:] in ((), (1,)) else common

    wants = tuple(wanted(layout, name) for layout, name in zip(have, node.inputs, strict=True))
    return Assignment(wants, (common,) * len(node.outputs))


def last_axes(layout: Layout, rank: int) -> Layout:
    """The order of the last ``rank`` axes alone, features in ONNX's order."""
    missing = len(layout.order) - rank
    return Layout(tuple(axis - missing for axis in layout.order if axis >= missing))


def concat(node: Node, graph: Graph, have: Layouts) -> Assignment:
    """Several tensors of one rank, axes in one order, features in ONNX's."""
    tensors = [(layout, graph.shape(name)) for layout, name in zip(have, node.inputs, strict=True) if layout]
    layout = _cheapest(tensors, graph.rank(node.outputs[0])).without_features()
    return Assignment(tuple(h and layout for h in have), (layout,) * len(node.outputs))


def dense(node: Node, graph: Graph, have: Layouts) -> Assignment:
    """A product with constant weights over the last axis, which must be last; permuted features go into the weights."""
    rank = graph.rank(node.inputs[0])
    layout = have[0] or plain(rank)
    if layout.order[-1] != rank - 1:
        layout = plain(rank)
    return Assignment((layout, *[None] * (len(have) - 1)), (layout.without_features(),))


def transpose(node: Node, graph: Graph, have: Layouts) -> Assignment:
    """Nothing moves: the axes only get other names."""
    rank = graph.rank(node.inputs[0])
    layout = (have[0] or plain(rank)).without_features()
    permutation = node.attributes.get("perm", tuple(reversed(range(rank))))
    return Assignment((layout,), (Layout(tuple(permutation.index(axis) for axis in layout.order)),))


def reshape(node: Node, graph: Graph, have: Layouts) -> Assignment:
    """In place where the axes that are merged or split are neighbours; else they are made so first."""
    before, after = graph.shape(node.inputs[0]), graph.shape(node.outputs[0])
    layout = have[0] or plain(len(before))
    rest = [None] * (len(have) - 1)
    if (carried := carry(before, after, layout)) is not None:
        return Assignment((layout, *rest), (carried,))
    if (near := gathered(before, after, layout)) and (carried := carry(before, after, near)):
        return Assignment((near, *rest), (carried,))
    return Assignment((plain(len(before)), *rest), (plain(len(after)),))


def reduction(node: Node, graph: Graph, have: Layouts) -> Assignment:
    """Axes in any order; those that are left keep theirs."""
    rank = graph.rank(node.inputs[0])
    layout = (have[0] or plain(rank)).without_features()
    rest = [None] * (len(have) - 1)
    if node.attributes.get("keepdims", 1):
        return Assignment((layout, *rest), (layout,))
    axes = {axis % rank for axis in reduced_axes(node, graph)}
    kept = [axis for axis in layout.order if axis not in axes]
    return Assignment((layout, *rest), (Layout(tuple(sorted(kept).index(axis) for axis in kept)),))


def reduced_axes(node: Node, graph: Graph) -> tuple[int, ...]:
    """The axes of a reduction, from the attribute or (later opsets) from the second input; all when none is given."""
    if node.op in ("ArgMax", "ArgMin"):
        return (node.attributes.get("axis", 0),)
    constant = graph.constant(node, 1)
    given = node.attributes.get("axes", ()) if constant is None else tuple(int(a) for a in constant.ravel())
    if given or node.attributes.get("noop_with_empty_axes", 0):
        return tuple(given)
    return tuple(range(graph.rank(node.inputs[0])))


def _cheapest(tensors: list[tuple[Layout, Shape]], rank: int) -> Layout:
    """The layout, of those that a tensor has, in which the fewest elements move; channels last wins a tie."""
    candidates = {layout.order: layout for layout, shape in tensors if len(shape) == rank}
    if not candidates:
        return plain(rank)

    def cost(candidate: Layout) -> tuple[int, bool]:
        moved = [
            math.prod(size or _DYNAMIC for size in shape)
            for layout, shape in tensors
            if _moves(layout, last_axes(candidate, len(shape)), shape)
        ]
        return sum(moved), candidate.order != channels_last(rank).order

    return min(candidates.values(), key=cost)


def _moves(layout: Layout, wanted: Layout, shape: Shape) -> bool:
    """Whether elements change places between two layouts: axes of size 1 may be anywhere."""
    return [a for a in layout.order if shape[a] != 1] != [a for a in wanted.order if shape[a] != 1]
