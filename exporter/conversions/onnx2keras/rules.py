"""The layout rules: how an operator treats the order of axes. Pure; one is named where each operator is registered."""

from __future__ import annotations

from exporter.conversions.onnx2keras.graph import Graph, Node
from exporter.conversions.onnx2keras.layout import (
    Assignment,
    Layout,
    Layouts,
    Ways,
    carry,
    channels_last,
    gathered,
    plain,
)


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


def elementwise(node: Node, graph: Graph, have: Layouts) -> Ways:
    """Several tensors that broadcast, all in the layout of one of them. Constants are moved for free.

    A tensor of lower rank gets its axes in the same order; where they are not the last ones, the lowering
    reshapes it.
    """
    return tuple(_meeting(node, graph, have, common) for common in _candidates(node, graph, have))


def _meeting(node: Node, graph: Graph, have: Layouts, common: Layout) -> Assignment:
    """All tensors with their axes in the order of ``common``; features as they are where all agree."""
    rank = graph.rank(node.outputs[0])
    tensors = [(layout, graph.shape(name)) for layout, name in zip(have, node.inputs, strict=True) if layout]
    flats = {layout.flat for layout, shape in tensors if shape and len(shape) == rank and shape[-1] != 1}
    common = Layout(common.order, flats.pop()) if len(flats) == 1 and rank == 2 else common.without_features()

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


def concat(node: Node, graph: Graph, have: Layouts) -> Ways:
    """Several tensors of one rank, axes in the order of one of them, features in ONNX's."""
    return tuple(
        Assignment(tuple(h and layout.without_features() for h in have), (layout.without_features(),))
        for layout in _candidates(node, graph, have)
    )


def dense(node: Node, graph: Graph, have: Layouts) -> Assignment:
    """A product with constant weights over the last axis, which must be last; permuted features go into the weights."""
    rank = graph.rank(node.inputs[0])
    layout = have[0] or plain(rank)
    if layout.order[-1] != rank - 1:
        layout = plain(rank)
    return Assignment((layout, *[None] * (len(have) - 1)), (layout.without_features(),))


def transpose(node: Node, graph: Graph, have: Layouts) -> Ways:
    """Nothing moves, the axes only get other names; or all moves here, once for everything that is cut out of it."""
    rank = graph.rank(node.inputs[0])
    layout = (have[0] or plain(rank)).without_features()
    permutation = tuple(node.attributes.get("perm", reversed(range(rank))))
    renamed = Layout(tuple(permutation.index(axis) for axis in layout.order))
    return Assignment((layout,), (renamed,)), Assignment((Layout(permutation),), (plain(rank),))


def reshape(node: Node, graph: Graph, have: Layouts) -> Ways:
    """In place where the axes that are merged or split are neighbours; else they are made so, or all put in order."""
    before, after = graph.shape(node.inputs[0]), graph.shape(node.outputs[0])
    layout, rest = have[0] or plain(len(before)), [None] * (len(have) - 1)
    ordered = Assignment((plain(len(before)), *rest), (plain(len(after)),))
    if (carried := carry(before, after, layout)) is not None:
        batch_first = layout.order[0] == 0 and carried.order[0] == 0
        in_place = after.count(None) < 2 or node.op != "Reshape" or batch_first
        return (Assignment((layout, *rest), (carried,)),) if in_place else (ordered,)
    nearest = gathered(before, after, layout) if after.count(None) < 2 else ()
    carried_from = [(near, carry(before, after, near)) for near in nearest]
    return ordered, *(Assignment((near, *rest), (there,)) for near, there in carried_from if there)


def keeps_batch(node: Node, graph: Graph) -> bool:
    """Whether a reshape to two dynamic axes leaves the first one, the batch, as it is."""
    before, after = graph.values[node.inputs[0]], graph.values[node.outputs[0]]
    symbols = before.symbols[:1] + after.symbols[:1]
    return (
        after.shape is not None and after.shape.count(None) == 2 and len(set(symbols)) == 1 and all(symbols)
    )


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


def _candidates(node: Node, graph: Graph, have: Layouts) -> list[Layout]:
    """The orders of axes that the tensors of full rank have."""
    rank = graph.rank(node.outputs[0])
    orders = {layout.order: layout for layout in have if layout and len(layout.order) == rank}
    return list(orders.values()) or [plain(rank)]
