"""Elements put back by their indices."""

from __future__ import annotations

import numpy as np

from exporter.conversions.onnx2keras import rules
from exporter.conversions.onnx2keras.graph import Graph, Node
from exporter.conversions.onnx2keras.layout import Assignment, Layouts
from exporter.conversions.onnx2keras.lower import Call
from exporter.conversions.onnx2keras.ops.gather import alike, between, elements
from exporter.conversions.onnx2keras.registry import Tensor, lowers

_REDUCTIONS = {"none": None, "add": "add", "max": "max", "min": "min", "mul": "mul"}


def _refuse_scatter(node: Node, graph: Graph) -> str | None:
    shape, depth = graph.shape(node.inputs[0]), graph.shape(node.inputs[1])[-1]
    run = _run(node, graph)
    if run is not None:
        return None
    if None in shape or None in graph.shape(node.inputs[1]) or depth is None:
        return "a dynamic axis"
    return None


def _run(node: Node, graph: Graph) -> tuple[int, int] | None:
    """The first and the end of the rows of axis 0 that are replaced, when they are a run."""
    indices = graph.constant(node, 1)
    size = graph.shape(node.inputs[0])[0]
    if (
        indices is None
        or size is None
        or indices.shape[1:] != (1,)
        or node.attributes.get("reduction", "none") != "none"
    ):
        return None
    rows = indices[:, 0] % size
    return (int(rows[0]), int(rows[-1]) + 1) if np.array_equal(rows, np.arange(rows.size) + rows[0]) else None


def _scatter_nd_rule(node: Node, graph: Graph, have: Layouts) -> Assignment:
    """A run of rows may be replaced in any order of axes."""
    return (
        alike(node, graph, have) if _run(node, graph) is not None else rules.in_onnx_order(node, graph, have)
    )


@lowers("ScatterND", layout=_scatter_nd_rule, refuse=_refuse_scatter)
def scatter_nd(call: Call) -> Tensor:
    """Rows that follow each other are replaced by cutting and joining."""
    run, data, updates = _run(call.node, call.graph), call.constant(0), call.constant(2)
    if run is None:
        shape = tuple(size or 0 for size in call.shape())
        tensor = call.tensor() if data is None else data
        limits = np.array(shape[: call.shape(1)[-1]], np.int64)
        constant = call.constant(1)
        if constant is None:
            indices = call.cast(call.tensor(1), "int64")
            indices = call.ops.where(call.ops.less(indices, 0), call.add(indices, limits), indices)
        else:
            indices = constant % limits
        flat, depth = (-1, len(limits)), len(limits)
        indices = call.ops.reshape(indices, flat)
        values = call.ops.reshape(call.tensor(2) if updates is None else updates, (-1, *shape[depth:]))
        reduction = _REDUCTIONS[call.attr("reduction", "none")]
        return call.op(call.ops.scatter_update, tensor, indices, values, reduction=reduction)
    axis, size = call.output_layout.axis(0), call.shape()[0] or 0
    tensor, rows = elements(call, 0), elements(call, 2)
    if data is not None:
        tensor = call.ops.convert_to_tensor(tensor)
    parts = [] if run[0] == 0 else [between(tensor, axis, 0, run[0])]
    parts += [rows] if run[1] == size else [rows, between(tensor, axis, run[1], size)]
    return call.op(call.ops.concatenate, parts, axis=axis) if len(parts) > 1 else rows


def _refuse_scatter_elements(node: Node, graph: Graph) -> str | None:
    shapes = [graph.shape(name) for name in node.inputs]
    return "a dynamic axis" if any(None in shape for shape in shapes) else None


@lowers("ScatterElements", layout=rules.in_onnx_order, refuse=_refuse_scatter_elements)
def scatter_elements(call: Call) -> Tensor:
    """Each element knows its own place: the index along the axis, and where it lies itself along the others."""
    shape, picked, axis = call.shape(), call.shape(1), call.attr("axis", 0) % len(call.shape())
    grid = np.stack(np.meshgrid(*(np.arange(size or 0) for size in picked), indexing="ij"), -1).reshape(
        -1, len(shape)
    )
    constant, updates, data, ops = call.constant(1), call.constant(2), call.constant(0), call.ops
    if constant is not None:
        grid[:, axis] = constant.ravel() % (shape[axis] or 1)
        indices = grid
    else:
        along = ops.reshape(call.cast(call.tensor(1), "int64"), (-1,))
        along = ops.where(ops.less(along, 0), ops.add(along, shape[axis]), along)
        columns = [along if i == axis else grid[:, i] for i in range(len(shape))]
        indices = ops.stack(columns, axis=-1)
    values = ops.reshape(call.tensor(2) if updates is None else updates, (-1,))
    tensor = call.tensor() if data is None else data
    reduction = _REDUCTIONS[call.attr("reduction", "none")]
    return call.op(ops.scatter_update, tensor, indices, values, reduction=reduction)
