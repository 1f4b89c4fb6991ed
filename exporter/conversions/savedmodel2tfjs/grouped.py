"""Grouped convolutions, for which TF.js has no kernel: each becomes a depthwise convolution, or one for each group."""

from __future__ import annotations

from typing import Any

# Keras has grouped convolutions compiled by XLA; a call with these attributes is never inlined.
_COMPILED = ("_XlaMustCompile", "_noinline")
_CONV_ATTRIBUTES = ("T", "strides", "padding", "dilations", "data_format")


def without_compiled_calls(graph_def: Any) -> Any:
    """The GraphDef with its XLA-compiled calls as plain ones, which the optimiser's ``function`` pass inlines."""
    plain = type(graph_def)()
    plain.CopyFrom(graph_def)
    for node in plain.node:
        if "_XlaMustCompile" in node.attr:
            node.op = "PartitionedCall"
            _forget(node)
    for function in plain.library.function:
        _forget(function)
    return plain


def without_groups(graph_def: Any) -> Any:
    """The GraphDef with every grouped Conv2D, NHWC, in a form that TF.js runs; its name stays on the result."""
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
    ungrouped = type(graph_def)()
    ungrouped.CopyFrom(graph_def)
    del ungrouped.node[:]
    for node in graph_def.node:
        groups = _groups(graph, node)
        if groups == 1:
            ungrouped.node.append(node)
        else:
            _, kernel = graph.get_operation_by_name(node.name).inputs
            made = _depthwise if kernel.shape[2] == 1 and _is_even(node) else _by_group
            ungrouped.node.extend(made(node, groups, kernel.shape.as_list()))
    return ungrouped


def _forget(holder: Any) -> None:
    for name in _COMPILED:
        holder.attr.pop(name, None)


def _groups(graph: Any, node: Any) -> int:
    if node.op != "Conv2D" or node.attr["data_format"].s not in (b"", b"NHWC"):
        return 1
    images, kernel = graph.get_operation_by_name(node.name).inputs
    channels, each = images.shape[-1], kernel.shape[2]
    return int(channels // each) if channels and each else 1


def _is_even(node: Any) -> bool:
    """Whether a depthwise convolution can have these strides and dilations."""
    _, *strides, _ = node.attr["strides"].list.i or (1, 1, 1, 1)
    _, *dilations, _ = node.attr["dilations"].list.i or (1, 1, 1, 1)
    explicit = node.attr["padding"].s == b"EXPLICIT"
    return strides[0] == strides[1] and (max(strides) == 1 or max(dilations) == 1) and not explicit


def _depthwise(node: Any, groups: int, kernel: list[int]) -> list[Any]:
    """A kernel (h, w, 1, groups * m) is a depthwise one of (h, w, groups, m): outputs come in the same order."""
    height, width, _, out = kernel
    shape = _constant(node, "depthwise_shape", [height, width, groups, out // groups])
    reshaped = _node(node, "Reshape", "depthwise_kernel", node.input[1], shape.name)
    reshaped.attr["T"].CopyFrom(node.attr["T"])
    reshaped.attr["Tshape"].type = shape.attr["dtype"].type
    convolution = _node(node, "DepthwiseConv2dNative", "", node.input[0], reshaped.name)
    for name in _CONV_ATTRIBUTES:
        convolution.attr[name].CopyFrom(node.attr[name])
    return [shape, reshaped, convolution]


def _by_group(node: Any, groups: int, kernel: list[int]) -> list[Any]:
    axis = _constant(node, "axis", 3)
    split = []
    for name, source in (("images", node.input[0]), ("kernels", node.input[1])):
        split.append(_node(node, "Split", name, axis.name, source))
        split[-1].attr["num_split"].i = groups
        split[-1].attr["T"].CopyFrom(node.attr["T"])
    convolutions = []
    for group in range(groups):
        inputs = [f"{each.name}:{group}" if group else each.name for each in split]
        convolutions.append(_node(node, "Conv2D", f"group{group}", *inputs))
        for name, value in node.attr.items():
            convolutions[-1].attr[name].CopyFrom(value)
    whole = _node(node, "ConcatV2", "", *(each.name for each in convolutions), axis.name)
    whole.attr["N"].i = groups
    whole.attr["T"].CopyFrom(node.attr["T"])
    whole.attr["Tidx"].type = axis.attr["dtype"].type
    return [axis, *split, *convolutions, whole]


def _node(near: Any, op: str, name: str, *inputs: str) -> Any:
    made = type(near)()
    made.op, made.name = op, f"{near.name}/{name}" if name else near.name
    made.input.extend(inputs)
    return made


def _constant(near: Any, name: str, value: Any) -> Any:
    import tensorflow as tf

    made = _node(near, "Const", name)
    made.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value, tf.int32))
    made.attr["dtype"].type = tf.int32.as_datatype_enum
    return made
