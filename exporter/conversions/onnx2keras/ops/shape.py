"""Operators that move, cut and name elements without computing."""

from __future__ import annotations

import numpy as np

from exporter.conversions.onnx2keras import rules
from exporter.conversions.onnx2keras.graph import Array, Graph, Node
from exporter.conversions.onnx2keras.lower import Call, reshape_target
from exporter.conversions.onnx2keras.ops.elementwise import is_float
from exporter.conversions.onnx2keras.registry import Tensor, lowers


@lowers("Identity", layout=rules.follow)
def identity(call: Call) -> Tensor:
    return call.tensor()


@lowers("Transpose", layout=rules.transpose)
def transpose(call: Call) -> Tensor:
    return call.tensor()


def _refuse_reshape(node: Node, graph: Graph) -> str | None:
    dynamic = graph.shape(node.outputs[0]).count(None)
    known = dynamic < 2 or node.op in ("Squeeze", "Unsqueeze") or rules.keeps_batch(node, graph)
    return None if known else f"{dynamic} dynamic axes in its result"


@lowers("Reshape", "Flatten", "Squeeze", "Unsqueeze", layout=rules.reshape, refuse=_refuse_reshape)
def reshape(call: Call) -> Tensor:
    """By a target with one unknown axis, or with the batch and one more; axes of size 1 come and go by themselves."""
    tensor, shape = call.tensor(), call.output_shape
    if shape == tuple(tensor.shape) and (shape.count(None) < 2 or call.node.op != "Reshape"):
        return tensor
    if shape.count(None) < 2:
        return call.op(call.ops.reshape, tensor, reshape_target(shape))
    if call.node.op in ("Reshape", "Flatten"):
        return call.layer(call.layers.Reshape, target_shape=reshape_target(shape[1:]))(tensor)
    ones = tuple(axis for axis, size in enumerate(tensor.shape) if size == 1)
    if ones:
        tensor = call.op(call.ops.squeeze, tensor, ones, suffix="_squeeze")
    places = tuple(axis for axis, size in enumerate(shape) if size == 1)
    return call.op(call.ops.expand_dims, tensor, places) if places else tensor


@lowers("Concat", layout=rules.concat)
def concat(call: Call) -> Tensor:
    axis, indices = call.output_layout.axis(call.attr("axis", 1)), range(len(call.node.inputs))
    constants = [call.constant(index) for index in indices]
    parts = [
        call.tensor(index) if constant is None else constant.transpose(call.output_layout.order)
        for index, constant in enumerate(constants)
    ]
    if len(parts) == 1:
        return parts[0]
    if any(constant is not None for constant in constants) or not is_float(call.dtype):
        return call.op(call.ops.concatenate, parts, axis=axis)
    return call.layer(call.layers.Concatenate, axis=axis)(parts)


def _refuse_dropout(node: Node, graph: Graph) -> str | None:
    training = graph.constant(node, 2)
    if node.has(2) and (training is None or training.item()):
        return "training mode"
    return "a ratio that is computed" if node.has(1) and graph.constant(node, 1) is None else None


@lowers("Dropout", layout=rules.follow, refuse=_refuse_dropout)
def dropout(call: Call) -> tuple[Tensor, ...]:
    """Active in ``fit`` only, as in the source; the mask of a prediction keeps all."""
    ratio, tensor = call.constant(1), call.tensor()
    rate = call.attr("ratio", 0.5) if ratio is None else ratio.item()
    dropped = call.layer(call.layers.Dropout, rate=rate)(tensor)
    masks = [
        call.op(call.ops.ones_like, tensor, call.graph.dtype(name), suffix="_mask")
        for name in call.node.outputs[1:]
        if name
    ]
    return (dropped, *masks)


def _pads(node: Node, graph: Graph) -> list[tuple[int, int]]:
    """The pads before and after each ONNX axis, from the inputs or (opset 10 and before) the attribute."""
    rank, given = graph.rank(node.inputs[0]), graph.constant(node, 1)
    flat = list(node.attributes.get("pads", ())) if given is None else [int(pad) for pad in given]
    axes = graph.constant(node, 3)
    order = range(rank) if axes is None else [int(axis) % rank for axis in axes]
    pads = [(0, 0)] * rank
    for place, axis in enumerate(order):
        pads[axis] = (flat[place], flat[len(order) + place])
    return pads


def _refuse_pad(node: Node, graph: Graph) -> str | None:
    if any(node.has(index) and graph.constant(node, index) is None for index in (1, 2, 3)):
        return "its pads or their value are computed, not constant"
    mode, shape = node.attributes.get("mode", "constant"), graph.shape(node.inputs[0])
    padded = [size for size, pads in zip(shape, _pads(node, graph), strict=True) if any(pads)]
    if mode != "constant" and None in padded:
        return f"mode={mode} over a dynamic axis"
    return None


@lowers("Pad", layout=rules.follow_axes, refuse=_refuse_pad)
def pad(call: Call) -> Tensor:
    """Negative pads are cut off first; what is no constant is a copy of rows and columns that are there."""
    pads, mode, tensor = _pads(call.node, call.graph), call.attr("mode", "constant"), call.tensor()
    here = tuple(pads[axis] for axis in call.layout.order)
    if any(min(pair) < 0 for pair in here):
        cut = tuple(slice(max(-a, 0), min(b, 0) or None) for a, b in here)
        tensor = call.op(lambda whole: whole[cut], tensor, suffix="_cut")
        here = tuple((max(a, 0), max(b, 0)) for a, b in here)
    if mode != "constant":
        return _copied(call, tensor, here, mode)
    given = call.constant(2)
    value = call.attr("value", 0.0) if given is None or not given.size else given.item()
    if value == 0 and len(here) == 4 and here[0] == here[3] == (0, 0) and is_float(call.dtype):
        return call.layer(call.layers.ZeroPadding2D, padding=here[1:3])(tensor)
    return call.op(call.ops.pad, tensor, here, "constant", value)


def _copied(call: Call, tensor: Tensor, pads: tuple[tuple[int, int], ...], mode: str) -> Tensor:
    small = all(max(pair) < (size or 1) for pair, size in zip(pads, tensor.shape, strict=True) if any(pair))
    if mode == "reflect" and small:
        return call.op(call.ops.pad, tensor, pads, mode)
    for axis, pair in enumerate(pads):
        if any(pair):
            places = np.pad(np.arange(tensor.shape[axis], dtype=np.int32), pair, mode)  # type: ignore[call-overload]
            tensor = call.op(call.ops.take, tensor, places, axis=axis)
    return tensor


def _slices(node: Node, graph: Graph) -> dict[int, slice]:
    """A slice for each ONNX axis that is cut, from the inputs or (opset 9 and before) the attributes."""
    rank = graph.rank(node.inputs[0])

    def numbers(index: int, attribute: str, default: object) -> list[int]:
        given: Array | None = graph.constant(node, index)
        values = node.attributes.get(attribute, default) if given is None else given
        return [int(value) for value in values]

    starts, ends = numbers(1, "starts", ()), numbers(2, "ends", ())
    axes, steps = numbers(3, "axes", range(len(starts))), numbers(4, "steps", [1] * len(starts))
    return {
        axis % rank: slice(start, None if abs(end) >= 2**31 - 1 else end, step)
        for start, end, axis, step in zip(starts, ends, axes, steps, strict=True)
    }


def _refuse_slice(node: Node, graph: Graph) -> str | None:
    if any(node.has(index) and graph.constant(node, index) is None for index in range(1, 5)):
        return "its bounds are computed, not constant"
    return None


@lowers("Slice", layout=rules.follow_axes, refuse=_refuse_slice)
def slice_(call: Call) -> Tensor:
    """Backwards is forwards, turned round."""
    cuts = _slices(call.node, call.graph)
    every = tuple(cuts.get(axis, slice(None)) for axis in call.layout.order)
    if call.shape() and None not in call.output_shape and 0 in call.output_shape:
        every = tuple(slice(0, size) for size in call.output_shape)
    return call.op(lambda tensor: tensor[every], call.tensor())


def _refuse_split(node: Node, graph: Graph) -> str | None:
    if node.has(1) and graph.constant(node, 1) is None:
        return "its sizes are computed, not constant"
    axis = node.attributes.get("axis", 0)
    unknown = any(graph.shape(name)[axis] is None for name in node.outputs)
    return "a dynamic axis" if unknown else None


@lowers("Split", layout=rules.follow_axes, refuse=_refuse_split)
def split(call: Call) -> Tensor:
    axis = call.attr("axis", 0)
    sizes = [call.graph.shape(name)[axis] or 0 for name in call.node.outputs]
    if len(sizes) == 1:
        return call.tensor()
    ends = [sum(sizes[: number + 1]) for number in range(len(sizes) - 1)]
    # TF Lite has an operator for equal parts that delegates take, and another for all others.
    parts = len(sizes) if len(set(sizes)) == 1 else ends
    return call.op(call.ops.split, call.tensor(), parts, axis=call.axis(axis))
