"""Elements picked by their indices."""

from __future__ import annotations

import numpy as np

from exporter.conversions.onnx2keras import rules
from exporter.conversions.onnx2keras.graph import Array, Graph, Node
from exporter.conversions.onnx2keras.layout import Assignment, Layout, Layouts, plain
from exporter.conversions.onnx2keras.lower import Call, reshape_target
from exporter.conversions.onnx2keras.registry import Tensor, lowers


def _gather_rule(node: Node, graph: Graph, have: Layouts) -> Assignment:
    """The data in any order; the axes of the indices take the place of the one that they pick from."""
    rank, picked = graph.rank(node.inputs[0]), graph.rank(node.inputs[1])
    axis = node.attributes.get("axis", 0) % rank
    data = have[0].without_features() if have[0] else plain(rank)
    order: list[int] = []
    for a in data.order:
        order += range(axis, axis + picked) if a == axis else [a if a < axis else a + picked - 1]
    return Assignment((have[0] and data, have[1] and plain(picked)), (Layout(tuple(order)),))


def _refuse_gather(node: Node, graph: Graph) -> str | None:
    axis = node.attributes.get("axis", 0)
    negative = (indices := graph.constant(node, 1)) is not None and indices.size and indices.min() < 0
    dynamic = graph.shape(node.inputs[0])[axis] is None
    many = negative and dynamic and indices is not None and indices.size > 1
    return "negative indices into a dynamic axis" if many else None


@lowers("Gather", layout=_gather_rule, refuse=_refuse_gather)
def gather(call: Call) -> Tensor:
    """Rows of a constant table are an Embedding; one index, or a run of them, is a slice."""
    axis, indices, data = call.attr("axis", 0), call.constant(1), call.constant(0)
    size = call.shape()[axis]
    if data is not None:
        if data.ndim == 2 and axis % 2 == 0 and "float" in call.dtype:
            table = call.layer(call.layers.Embedding, data, input_dim=data.shape[0], output_dim=data.shape[1])
            return table(_not_negative(call, call.tensor(1), data.shape[0]))
        return call.op(call.ops.take, data, _not_negative(call, call.tensor(1), size), axis=axis)
    where = call.axis(axis)
    if indices is None:
        return call.op(call.ops.take, call.tensor(), _not_negative(call, call.tensor(1), size), axis=where)
    if indices.ndim == 0:
        return call.op(_at, call.tensor(), where, int(indices))
    indices = indices if size is None else indices % size
    if indices.ndim == 1 and indices.size and np.array_equal(indices, np.arange(indices.size) + indices[0]):
        return call.op(between, call.tensor(), where, int(indices[0]), int(indices[-1]) + 1)
    return call.op(call.ops.take, call.tensor(), indices.astype(np.int32), axis=where)


def _not_negative(call: Call, indices: Tensor, size: int | None) -> Tensor:
    """Indices that count from the end, counted from the start; what an argmax or a modulus gave is so already."""
    if size is None or call.graph.dtype(call.node.inputs[1]).startswith("uint"):
        return indices
    ops = call.ops
    return ops.where(ops.less(indices, 0), ops.add(indices, size), indices)


def _at(tensor: Tensor, axis: int, index: int) -> Tensor:
    return tensor[(slice(None),) * axis + (index,)]


def between(tensor: Tensor, axis: int, start: int, end: int) -> Tensor:
    return tensor[(slice(None),) * axis + (slice(start, end),)]


def alike(node: Node, graph: Graph, have: Layouts) -> Assignment:
    """Several tensors of one rank, their axes in one order."""
    layout = next((h for h in have if h), plain(graph.rank(node.inputs[0]))).without_features()
    return Assignment(tuple(h and layout for h in have), (layout,))


def _refuse_elements(node: Node, graph: Graph) -> str | None:
    axis = node.attributes.get("axis", 0) % graph.rank(node.inputs[0])
    pairs = zip(graph.shape(node.inputs[0]), graph.shape(node.inputs[1]), strict=True)
    unlike = [a != b for i, (a, b) in enumerate(pairs) if i != axis]
    if any(unlike) and (graph.constant(node, 0) is not None or None in graph.shape(node.inputs[1])):
        return "indices of another shape than the data"
    return None


def elements(call: Call, index: int) -> Tensor | Array:
    constant = call.constant(index)
    layout = call.output_layout
    return call.tensor(index) if constant is None else constant.transpose(layout.order)


@lowers("GatherElements", layout=alike, refuse=_refuse_elements)
def gatherelements(call: Call) -> Tensor:
    layout, axis = call.output_layout, call.output_layout.axis(call.attr("axis", 0))
    data, indices, picked = elements(call, 0), elements(call, 1), layout.permute(call.shape(1))
    if any(a != b for i, (a, b) in enumerate(zip(data.shape, picked, strict=True)) if i != axis):
        cut = tuple(slice(None) if i == axis else slice(size) for i, size in enumerate(picked))
        data = call.op(lambda tensor: tensor[cut], data, suffix="_cut")
    return call.op(call.ops.take_along_axis, data, indices, axis=axis)


def _refuse_nd(node: Node, graph: Graph) -> str | None:
    shape, depth = graph.shape(node.inputs[0]), graph.shape(node.inputs[1])[-1]
    batch = node.attributes.get("batch_dims", 0)
    if depth is None or None in shape[: batch + depth]:
        return "indices into a dynamic axis"
    dynamic = (
        shape.count(None),
        graph.shape(node.inputs[1]).count(None),
        graph.shape(node.outputs[0]).count(None),
    )
    return "more than one dynamic axis" if max(dynamic) > 1 else None


@lowers("GatherND", layout=rules.in_onnx_order, refuse=_refuse_nd)
def gather_nd(call: Call) -> Tensor:
    """The axes that are picked from are merged into one, and the indices into places on it."""
    shape, picked, batch = call.shape(), call.shape(1), call.attr("batch_dims", 0)
    depth, ops = picked[-1] or 0, call.ops
    sizes = [size or 0 for size in shape[: batch + depth]]
    strides = np.array([np.prod(sizes[axis + 1 :], dtype=np.int64) for axis in range(batch + depth)])
    offsets = np.zeros((1,) * len(picked[:-1]), np.int64)
    for axis in range(batch):
        along = [1] * len(picked[:-1])
        along[axis] = sizes[axis]
        offsets = offsets + (np.arange(sizes[axis]) * strides[axis]).reshape(along)
    constant = call.constant(1)
    limits = np.array(sizes[batch:], np.int64)
    if constant is not None:
        places = (constant % limits @ strides[batch:] + offsets).astype(np.int32)
    else:
        indices = call.cast(call.tensor(1), "int64")
        within = ops.where(ops.less(indices, 0), call.add(indices, limits), indices)
        places = call.add(ops.sum(ops.multiply(within, strides[batch:]), axis=-1), offsets)
    target = reshape_target((int(np.prod(sizes)), *shape[batch + depth :]))
    data = call.constant(0)
    data = (
        data.reshape(target)
        if data is not None
        else call.op(ops.reshape, call.tensor(), target, suffix="_merge")
    )
    return call.op(ops.take, data, places, axis=0)
