"""A TensorFlow function as one GraphDef without variables, and the same graph computing in float64.

TensorFlow has no switch for float64: here every float32 type and constant of the frozen graph is widened. Operators
without a float64 kernel are written as others that have one, or the graph is refused by their names. It serves Keras,
tf_keras and SavedModels alike. Everything here runs in a TensorFlow child.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from runtimes.base import Array
from runtimes.errors import ConversionError, UnavailableError

Node = Any


@dataclass(frozen=True)
class Frozen:
    """A GraphDef, and the tensors of its inputs and outputs by the names that callers know, in the caller's order."""

    graph_def: Any
    inputs: dict[str, str]
    outputs: dict[str, str]

    def function(self) -> Callable[..., Any]:
        """The graph as a function from the inputs, positionally, to the list of outputs."""
        import tensorflow as tf

        wrapped = tf.compat.v1.wrap_function(
            lambda: tf.graph_util.import_graph_def(self.graph_def, name=""), []
        )
        graph = wrapped.graph
        pruned: Callable[..., Any] = wrapped.prune(
            [graph.get_tensor_by_name(name) for name in self.inputs.values()],
            [graph.get_tensor_by_name(name) for name in self.outputs.values()],
        )
        return pruned


def freeze(function: Any, *, lower_control_flow: bool = True) -> Frozen:
    """``function``, a ConcreteFunction of a signature (keywords to a dict), with its variables as constants.

    Loops become Enter, Exit, Switch and Merge unless ``lower_control_flow`` is False. Raises ConversionError where
    something other than variables is left, such as a lookup table.
    """
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    frozen = convert_variables_to_constants_v2(function, lower_control_flow=lower_control_flow)
    graph_def = frozen.graph.as_graph_def()
    held = sorted(
        node.name for node in graph_def.node if node.op == "Placeholder" and node.attr["dtype"].type == 20
    )
    if held:
        raise ConversionError(
            f"the graph needs resources that a file of constants cannot hold (tables, assets, iterators): "
            f"{', '.join(held)}. Export the network without its lookups, and do them before it."
        )
    # Both are dictionaries, which TensorFlow flattens in the order of their sorted keys.
    inputs = dict(
        zip(sorted(function.structured_input_signature[1]), (t.name for t in frozen.inputs), strict=True)
    )
    outputs = dict(zip(sorted(function.structured_outputs), (t.name for t in frozen.outputs), strict=True))
    return Frozen(
        graph_def,
        {name: inputs[name] for name in function.structured_input_signature[1]},
        {name: outputs[name] for name in function.structured_outputs},
    )


def as_float64(frozen: Frozen) -> Frozen:
    """The same graph and weights in float64; half-precision types are widened too.

    Raises UnavailableError that names every operator for which TensorFlow has no float64 kernel.
    """
    import tensorflow as tf

    with tf.Graph().as_default() as shapes:
        tf.graph_util.import_graph_def(frozen.graph_def, name="")
    wide = type(frozen.graph_def)()
    wide.versions.CopyFrom(frozen.graph_def.versions)
    wide.library.CopyFrom(frozen.graph_def.library)
    for node in frozen.graph_def.node:
        rewrite = _REWRITES.get(node.op)
        replaced = rewrite(node, shapes) if rewrite else None
        wide.node.extend(replaced or [node])
    for node in wide.node:
        _widen(node)
    for function in wide.library.function:
        for argument in (*function.signature.input_arg, *function.signature.output_arg):
            argument.type = _wider(argument.type)
        for node in function.node_def:
            _widen(node)
    missing = _without_kernel([*wide.node, *(n for f in wide.library.function for n in f.node_def)])
    if missing:
        raise UnavailableError(
            f"TensorFlow cannot compute {', '.join(missing)} in float64, so there is no exact reference"
        )
    return Frozen(wide, frozen.inputs, frozen.outputs)


def _wider(type_: int) -> int:
    """The DataType's number for float64 where it is float32, float16 or bfloat16, possibly as a reference type."""
    base, reference = (type_ - 100, 100) if type_ > 100 else (type_, 0)
    return reference + (2 if base in (1, 14, 19) else base)


def _widen(node: Node) -> None:
    from tensorflow.python.framework.tensor_util import MakeNdarray, make_tensor_proto

    for key, attr in node.attr.items():
        kind = attr.WhichOneof("value")
        if kind == "type":
            attr.type = _wider(attr.type)
        elif kind == "list" and attr.list.type:
            attr.list.type[:] = [_wider(type_) for type_ in attr.list.type]
        elif kind == "tensor" and _wider(attr.tensor.dtype) != attr.tensor.dtype:
            attr.tensor.CopyFrom(make_tensor_proto(MakeNdarray(attr.tensor).astype(np.float64)))
        if key.startswith("_output_shapes"):
            continue


def _without_kernel(nodes: Iterable[Node]) -> list[str]:
    """Operators that have no CPU kernel for their types, or that compute in float32 whatever their types are."""
    from tensorflow.python.framework import kernels, op_def_registry

    missing = set()
    for node in nodes:
        definition = op_def_registry.get(node.op)
        if definition is None:  # a function of the graph's own library
            continue
        fixed = any(
            argument.type in (1, 14, 19) for argument in (*definition.input_arg, *definition.output_arg)
        )
        registered = [
            kernel
            for kernel in kernels.get_registered_kernels_for_op(node.op).kernel
            if kernel.device_type == "CPU"
        ]
        fits = not registered or any(_fits(node, kernel) for kernel in registered)
        if fixed or not fits:
            missing.add(node.op)
    return sorted(missing)


def _fits(node: Node, kernel: Any) -> bool:
    return all(
        node.attr[rule.name].type in rule.allowed_values.list.type
        for rule in kernel.constraint
        if node.attr[rule.name].WhichOneof("value") == "type"
    )


def _node(op: str, name: str, inputs: Iterable[str], **attrs: int) -> Node:
    from tensorflow.core.framework import node_def_pb2

    node = node_def_pb2.NodeDef(op=op, name=name, input=inputs)
    for key, type_ in {"T": 2, **attrs}.items():
        node.attr[key].type = type_
    return node


def _constant(name: str, value: Array) -> Node:
    from tensorflow.core.framework import node_def_pb2
    from tensorflow.python.framework.tensor_util import make_tensor_proto

    node = node_def_pb2.NodeDef(op="Const", name=name)
    node.attr["value"].tensor.CopyFrom(make_tensor_proto(value))
    node.attr["dtype"].type = node.attr["value"].tensor.dtype
    return node


def _batch_norm(node: Node, shapes: Any) -> list[Node] | None:
    """``(x - mean) * (scale * rsqrt(variance + epsilon)) + offset``; None when it computes the statistics itself."""
    if node.attr["is_training"].b:
        return None
    name = f"{node.name}/float64"
    x, scale, offset, mean, variance = node.input[:5]
    nodes = [
        _constant(f"{name}/epsilon", np.array(node.attr["epsilon"].f, np.float64)),
        _node("AddV2", f"{name}/variance", [variance, f"{name}/epsilon"]),
        _node("Rsqrt", f"{name}/rsqrt", [f"{name}/variance"]),
        _node("Mul", f"{name}/factor", [scale, f"{name}/rsqrt"]),
    ]
    factor = f"{name}/factor"
    if node.attr["data_format"].s == b"NCHW":
        nodes.append(_constant(f"{name}/shape", np.array([-1, 1, 1], np.int32)))
        for what, tensor in (("mean", mean), ("factor", factor), ("offset", offset)):
            nodes.append(_node("Reshape", f"{name}/{what}_chw", [tensor, f"{name}/shape"], Tshape=3))
        mean, factor, offset = f"{name}/mean_chw", f"{name}/factor_chw", f"{name}/offset_chw"
    return [
        *nodes,
        _node("Sub", f"{name}/centred", [x, mean]),
        _node("Mul", f"{name}/scaled", [f"{name}/centred", factor]),
        _node("AddV2", node.name, [f"{name}/scaled", offset]),
    ]


def _resize_bilinear(node: Node, shapes: Any) -> list[Node] | None:
    """Two multiplications by interpolation matrices; None when the sizes are not known before the run."""
    from tensorflow.python.framework.tensor_util import constant_value

    operation = shapes.get_operation_by_name(node.name)
    size = constant_value(operation.inputs[1])
    before: Any = operation.inputs[0].shape.as_list() if operation.inputs[0].shape.rank == 4 else [None] * 4
    if size is None or None in before[1:3]:
        return None
    centres, corners = node.attr["half_pixel_centers"].b, node.attr["align_corners"].b
    nodes, x = [], node.input[0]
    for axis, (equation, target) in enumerate(
        (("hi,biwc->bhwc", f"{node.name}/float64"), ("wj,bhjc->bhwc", node.name))
    ):
        matrix = interpolation(
            before[axis + 1], int(size[axis]), half_pixel_centers=centres, align_corners=corners
        )
        nodes.append(_constant(f"{node.name}/float64/matrix{axis}", matrix))
        einsum = _node("Einsum", target, [f"{node.name}/float64/matrix{axis}", x])
        einsum.attr["N"].i, einsum.attr["equation"].s = 2, equation.encode()
        nodes.append(einsum)
        x = target
    return nodes


def _max_pool_3d(node: Node, shapes: Any) -> list[Node] | None:
    """Over height and width with the depth in the batch, then over depth; None when the sizes are not known."""
    operation = shapes.get_operation_by_name(node.name)
    before, after = operation.inputs[0].shape, operation.outputs[0].shape
    if before.rank != 5 or None in [*before[1:], *after[1:]] or node.attr["data_format"].s == b"NCDHW":
        return None
    _, depth, height, width, channels = before.as_list()
    _, deep, high, wide, _ = after.as_list()
    kernel, strides = node.attr["ksize"].list.i, node.attr["strides"].list.i
    name = f"{node.name}/float64"
    nodes: list[Node] = []

    def reshape(to: str, x: str, shape: list[int]) -> None:
        sizes = f"{name}/shape{len(nodes)}"
        nodes.append(_constant(sizes, np.array([-1, *shape], np.int32)))
        nodes.append(_node("Reshape", to, [x, sizes], Tshape=3))

    def pool(to: str, x: str, axes: tuple[int, ...]) -> None:
        pooled = _node("MaxPool", to, [x])
        pooled.attr["padding"].s = node.attr["padding"].s
        for key, sizes in (("ksize", kernel), ("strides", strides)):
            over = [sizes[axis] for axis in axes]
            pooled.attr[key].list.i.extend([1, *over, *[1] * (3 - len(over))])
        nodes.append(pooled)

    reshape(f"{name}/planes", node.input[0], [height, width, channels])
    pool(f"{name}/in_planes", f"{name}/planes", (2, 3))
    reshape(f"{name}/columns", f"{name}/in_planes", [depth, high * wide, channels])
    pool(f"{name}/in_depth", f"{name}/columns", (1,))
    reshape(node.name, f"{name}/in_depth", [deep, high, wide, channels])
    return nodes


def interpolation(before: int, after: int, *, half_pixel_centers: bool, align_corners: bool) -> Array:
    """The matrix, shape (after, before), of TensorFlow's linear resize along one axis."""
    index = np.arange(after, dtype=np.float64)
    if align_corners and after > 1:
        at = index * ((before - 1) / (after - 1))
    elif half_pixel_centers:
        at = (index + 0.5) * (before / after) - 0.5
    else:
        at = index * (before / after)
    low = np.floor(at)
    weight = at - low
    matrix = np.zeros((after, before))
    rows = np.arange(after)
    np.add.at(matrix, (rows, np.clip(low, 0, before - 1).astype(int)), 1 - weight)
    np.add.at(matrix, (rows, np.clip(low + 1, 0, before - 1).astype(int)), weight)
    return matrix


_REWRITES: dict[str, Callable[[Node, Any], list[Node] | None]] = {
    "FusedBatchNorm": _batch_norm,
    "FusedBatchNormV2": _batch_norm,
    "FusedBatchNormV3": _batch_norm,
    "MaxPool3D": _max_pool_3d,
    "ResizeBilinear": _resize_bilinear,
}
