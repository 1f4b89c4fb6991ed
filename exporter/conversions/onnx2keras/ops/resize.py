"""Images of another size, and depth traded for space."""

from __future__ import annotations

from typing import Any

import numpy as np

from exporter.conversions.onnx2keras import rules
from exporter.conversions.onnx2keras.graph import Array, Graph, Node
from exporter.conversions.onnx2keras.interpolation import Axis, matrix, outside
from exporter.conversions.onnx2keras.lower import Call
from exporter.conversions.onnx2keras.registry import Tensor, lowers

# What Upsample, and Resize before opset 11, always do.
_BEFORE_11 = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
# What Keras's own image resizing does.
_KERAS: dict[str, dict[str, Any]] = {
    "nearest": {"mode": "nearest", "coordinate_transformation_mode": "tf_half_pixel_for_nn", "nearest_mode": "floor"},
    "bilinear": {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
}  # fmt: skip


def _attributes(node: Node, graph: Graph) -> dict[str, Any]:
    given = {"mode": "nearest", **node.attributes}
    return given | _BEFORE_11 if node.op == "Upsample" or graph.opset < 11 else given


def _axes(node: Node, graph: Graph) -> dict[int, Axis] | str:
    """The ONNX axes that are resized, or why that is not known."""
    shape, results = graph.shape(node.inputs[0]), graph.shape(node.outputs[0])
    axes = [axis % len(shape) for axis in node.attributes.get("axes", range(len(shape)))]
    before_11 = node.op == "Upsample" or graph.opset < 11
    scales = graph.constant(node, 1 if before_11 else 2)
    if scales is None:
        scales = node.attributes.get("scales")
    if scales is None and node.has(1 if before_11 else 2):
        return "scales that are computed"
    crops = node.attributes.get("coordinate_transformation_mode") == "tf_crop_and_resize"
    if crops and graph.constant(node, 1) is None:
        return "a region that is computed"
    roi = None if before_11 else graph.constant(node, 1)
    if roi is None or not roi.size:
        roi = np.array([0.0] * len(axes) + [1.0] * len(axes))
    policy = node.attributes.get("keep_aspect_ratio_policy", "stretch")
    sizes = graph.constant(node, 3)
    found = {}
    for place, axis in enumerate(axes):
        size, outputs = shape[axis], results[axis]
        if scales is not None and len(scales):
            scale = float(scales[place])
        elif size is None and outputs is None:
            continue
        elif size is None or outputs is None:
            return f"sizes for the dynamic axis {axis}"
        elif policy != "stretch":
            if sizes is None:
                return "sizes that are computed"
            ratios = [float(wanted) / (shape[a] or 1) for wanted, a in zip(sizes, axes, strict=True)]
            scale = min(ratios) if policy == "not_larger" else max(ratios)
        else:
            scale = outputs / size
        part = (float(roi[place]), float(roi[len(axes) + place]))
        if scale == 1 and part == (0, 1) and size == outputs:
            continue
        if size is None:
            if not scale.is_integer() or not _repeats(_attributes(node, graph)):
                return f"a scale of {scale:g} for the dynamic axis {axis}"
            size, outputs = 0, 0
        found[axis] = Axis(size, outputs or int(size * scale), scale, part)
    return found


def _refuse_resize(node: Node, graph: Graph) -> str | None:
    axes = _axes(node, graph)
    if isinstance(axes, str):
        return axes
    mode = _attributes(node, graph)["mode"]
    if mode != "nearest" and "float" not in graph.dtype(node.inputs[0]):
        return f"mode={mode} on {graph.dtype(node.inputs[0])}"
    return None


@lowers("Resize", "Upsample", layout=rules.follow_axes, refuse=_refuse_resize)
def resize(call: Call) -> Tensor:
    """By Keras's own resizing where that reads the same positions with the same weights, else axis by axis."""
    axes, given = _axes(call.node, call.graph), _attributes(call.node, call.graph)
    assert not isinstance(axes, str)
    here = {call.axis(axis): found for axis, found in axes.items()}
    if any(axis.size == 0 for axis in here.values()):
        return _repeated(call, here)
    native = _native(call, here, given)
    if native is not None:
        return native
    tensor, rest = call.tensor(), len(here)
    for axis, found in here.items():
        rest -= 1
        weights = matrix(found, given)
        suffix = f"_axis_{axis}" if rest else ""
        if given["mode"] == "nearest":
            places = weights.argmax(axis=1).astype(np.int32)
            tensor = call.op(call.ops.take, tensor, places, axis=axis, suffix=suffix)
        else:
            tensor = _product(call, weights.astype(call.dtype), tensor, axis, suffix)
    if given.get("coordinate_transformation_mode") == "tf_crop_and_resize":
        return _extrapolated(call, tensor, here, given.get("extrapolation_value", 0.0))
    return tensor


def _repeats(given: dict[str, Any]) -> bool:
    """Whether a whole scale copies each position that often, whatever their number."""
    mode, rounding = (
        given.get("coordinate_transformation_mode", "half_pixel"),
        given.get("nearest_mode", "round"),
    )
    half = mode in ("half_pixel", "pytorch_half_pixel") and rounding.startswith("round")
    return bool(given["mode"] == "nearest" and (half or (mode == "asymmetric" and rounding == "floor")))


def _repeated(call: Call, axes: dict[int, Axis]) -> Tensor:
    tensor = call.tensor()
    for axis, found in axes.items():
        tensor = call.op(call.ops.repeat, tensor, int(found.scale), axis=axis, suffix=f"_axis_{axis}")
    return tensor


def _native(call: Call, axes: dict[int, Axis], given: dict[str, Any]) -> Tensor | None:
    """The layer or function of Keras that does the same to an image, or None."""
    if len(call.shape()) != 4 or not set(axes) <= {1, 2} or "float" not in call.dtype:
        return None
    for name, attributes in _KERAS.items():
        stretched = {axis: Axis(a.size, a.outputs, a.outputs / a.size) for axis, a in axes.items()}
        if all(
            np.allclose(matrix(axes[a], given), matrix(stretched[a], attributes), atol=1e-6) for a in axes
        ):
            sizes = call.output_shape[1:3]
            factors = [axes[axis].outputs / axes[axis].size if axis in axes else 1 for axis in (1, 2)]
            if name == "bilinear" and all(float(factor).is_integer() for factor in factors):
                factor = tuple(int(f) for f in factors)
                layer = call.layer(call.layers.UpSampling2D, size=factor, interpolation=name)
                return layer(call.tensor())
            result = call.op(call.ops.image.resize, call.tensor(), sizes, name, data_format="channels_last")
            return call.cast(result, call.dtype)
    return None


def _product(call: Call, weights: Array, tensor: Tensor, axis: int, suffix: str) -> Tensor:
    """Every position of the axis as the sum of those before it, in ``weights``; shape (outputs, size)."""
    ops, shape = call.ops, tuple(tensor.shape)
    after = int(np.prod(shape[axis + 1 :]))
    if after == 1:
        folded = call.op(ops.reshape, tensor, (-1, shape[axis]), suffix=f"{suffix}_fold")
        product = call.op(ops.matmul, folded, weights.T.copy(), suffix=f"{suffix}_product")
    else:
        folded = call.op(ops.reshape, tensor, (-1, shape[axis], after), suffix=f"{suffix}_fold")
        product = call.op(ops.matmul, weights[None], folded, suffix=f"{suffix}_product")
    target = (*(-1 if size is None else size for size in shape[:axis]), len(weights), *shape[axis + 1 :])
    return call.op(ops.reshape, product, target, suffix=suffix)


def _extrapolated(call: Call, tensor: Tensor, axes: dict[int, Axis], value: float) -> Tensor:
    """The value beyond the image."""
    mask = np.zeros((1,) * len(call.shape()), bool)
    for axis, found in axes.items():
        along = [1] * len(call.shape())
        along[axis] = found.outputs
        mask = mask | outside(found).reshape(along)
    if not mask.any():
        return tensor
    return call.cast(call.op(call.ops.where, mask, value, tensor, suffix="_outside"), call.dtype)


def _refuse_depth(node: Node, graph: Graph) -> str | None:
    return None if graph.shape(node.inputs[0])[1] is not None else "a dynamic number of channels"


@lowers("DepthToSpace", layout=rules.spatial, refuse=_refuse_depth)
def depth_to_space(call: Call) -> Tensor:
    """TensorFlow's order of channels is DCR; CRD (PyTorch's pixel shuffle) has them the other way round."""
    block, channels, tensor = call.attr("blocksize", 1), call.shape()[1] or 0, call.tensor()
    if call.attr("mode", "DCR") == "CRD":
        order = np.arange(channels).reshape(-1, block * block).T.ravel().astype(np.int32)
        tensor = call.op(call.ops.take, tensor, order, axis=-1, suffix="_order")
    return call.op(call.ops.depth_to_space, tensor, block, data_format="channels_last")


@lowers("SpaceToDepth", layout=rules.spatial, refuse=_refuse_depth)
def space_to_depth(call: Call) -> Tensor:
    block, channels = call.attr("blocksize", 1), call.shape()[1] or 0
    result = call.op(call.ops.space_to_depth, call.tensor(), block, data_format="channels_last")
    if call.attr("mode", "DCR") == "DCR":
        return result
    order = np.arange(channels * block * block).reshape(-1, channels).T.ravel().astype(np.int32)
    return call.op(call.ops.take, result, order, axis=-1, suffix="_order")
