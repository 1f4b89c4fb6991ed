"""Types and shapes of all values, by ONNX's own inference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Shape = tuple[int | None, ...]

# Larger constants tell shape inference nothing but their shape.
_SMALL_BYTES = 4096
# ONNX infers nothing for these; their output is as their first input.
_AS_INPUT = {"GroupNormalization", "Swish"}


@dataclass(frozen=True)
class Value:
    """What is known of a tensor. ``shape`` has None for a dynamic axis, and is None when the rank is unknown.

    ``symbols`` holds the name of each dynamic axis, where it has one. What is no tensor has its ONNX kind for a
    type (``sequence``, ``optional``, ``map``).
    """

    dtype: str
    shape: Shape | None
    symbols: tuple[str, ...] = ()


def of_constant(array: Array) -> Value:
    """What is known of a constant: all."""
    return Value(array.dtype.name, array.shape, ("",) * array.ndim)


def infer(model: Any, nodes: Iterable[Any], constants: Mapping[str, Array]) -> dict[str, Value]:
    """Every value of ``model`` whose nodes are ``nodes`` by now, the constants among them.

    The inference runs on a copy that leaves large constants out.
    """
    import onnx
    from onnx import helper, numpy_helper, shape_inference

    # Before version 4 an initialiser had to be an input as well.
    light = onnx.ModelProto(ir_version=max(model.ir_version, 4), opset_import=model.opset_import)
    light.graph.name = "shapes"
    light.graph.node.extend(
        helper.make_node("Identity", node.input[:1], node.output) if node.op_type in _AS_INPUT else node
        for node in nodes
    )
    light.graph.input.extend(i for i in model.graph.input if i.name not in constants)
    light.graph.output.extend(model.graph.output)
    light.graph.value_info.extend(v for v in model.graph.value_info if v.name not in constants)
    for name, array in constants.items():
        if array.nbytes <= _SMALL_BYTES:
            light.graph.initializer.append(numpy_helper.from_array(array, name))
        else:
            kind = helper.np_dtype_to_tensor_dtype(array.dtype)
            light.graph.input.append(helper.make_tensor_value_info(name, kind, array.shape))
    inferred = shape_inference.infer_shapes(light, data_prop=True).graph
    known = [*inferred.value_info, *inferred.input, *inferred.output]
    values = {value.name: _value(value.type) for value in known}
    return values | {name: of_constant(array) for name, array in constants.items()}


def _value(kind: Any) -> Value:
    from onnx import helper

    if not kind.HasField("tensor_type"):
        return Value((kind.WhichOneof("value") or "unknown").removesuffix("_type"), None)
    tensor = kind.tensor_type
    dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type).name if tensor.elem_type else "unknown"
    dtype = "string" if dtype == "object" else dtype
    if not tensor.HasField("shape"):
        return Value(dtype, None)
    dims = tensor.shape.dim
    return Value(
        dtype,
        tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in dims),
        tuple(dim.dim_param for dim in dims),
    )
