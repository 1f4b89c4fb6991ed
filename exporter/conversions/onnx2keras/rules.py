"""The layout rules: how an operator treats the order of axes. Pure; one is named where each operator is registered."""

from __future__ import annotations

from collections import Counter

from exporter.conversions.onnx2keras.graph import Graph, Node
from exporter.conversions.onnx2keras.layout import Assignment, Layout, Layouts, carry, channels_last, plain


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


def elementwise(node: Node, graph: Graph, have: Layouts) -> Assignment:
    """Several tensors that broadcast: all in the layout that most of them have. Constants are moved for free.

    A tensor of lower rank broadcasts from the right, so then all stay in ONNX's order.
    """
    rank = graph.rank(node.outputs[0])
    tensors = [(layout, graph.shape(name)) for layout, name in zip(have, node.inputs, strict=True) if layout]
    if any(0 < len(shape) < rank for _, shape in tensors):
        common = plain(rank)
    else:
        common = _most_common([layout for layout, shape in tensors if len(shape) == rank], rank)
    flats = {layout.flat for layout, shape in tensors if len(shape) == rank and shape[-1] != 1}
    if len(flats) != 1:
        common = common.without_features()
    elif rank == 2:
        common = Layout(common.order, flats.pop())

    def wanted(layout: Layout | None, name: str) -> Layout | None:
        if layout is None:
            return None
        shape = graph.shape(name)
        if len(shape) < rank:
            return plain(len(shape))
        return common.without_features() if shape[-1] == 1 else common

    wants = tuple(wanted(layout, name) for layout, name in zip(have, node.inputs, strict=True))
    return Assignment(wants, (common,) * len(node.outputs))


def concat(node: Node, graph: Graph, have: Layouts) -> Assignment:
    """Several tensors of one rank, axes in one order, features in ONNX's."""
    rank = graph.rank(node.outputs[0])
    layout = _most_common([layout for layout in have if layout], rank).without_features()
    return Assignment(tuple(h and layout for h in have), (layout,))


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
    """In place where the axes that are merged or split are neighbours; else from ONNX's order to ONNX's order."""
    before, after = graph.shape(node.inputs[0]), graph.shape(node.outputs[0])
    layout = have[0] or plain(len(before))
    rest = [None] * (len(have) - 1)
    carried = carry(before, after, layout)
    if carried is None:
        return Assignment((plain(len(before)), *rest), (plain(len(after)),))
    return Assignment((layout, *rest), (carried,))


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
    constant = graph.constant(node, 1)
    given = node.attributes.get("axes", ()) if constant is None else tuple(int(a) for a in constant.ravel())
    if given or node.attributes.get("noop_with_empty_axes", 0):
        return tuple(given)
    return tuple(range(graph.rank(node.inputs[0])))


def _most_common(layouts: list[Layout], rank: int) -> Layout:
    """The layout that most have; channels last wins a tie, then the first."""
    if not layouts:
        return plain(rank)
    counted = Counter(layouts)
    most = max(counted.values())
    winners = [layout for layout, count in counted.items() if count == most]
    return channels_last(rank) if channels_last(rank) in winners else winners[0]
