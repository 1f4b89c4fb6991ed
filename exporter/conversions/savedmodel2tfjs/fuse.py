"""Contractions with their bias and activation as one node, PReLU as one operator: what TF.js has kernels for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import Any

# The operators that take a bias and an activation along, and their names then.
CONTRACTIONS = {
    "Conv2D": "_FusedConv2D",
    "DepthwiseConv2dNative": "FusedDepthwiseConv2dNative",
    "MatMul": "_FusedMatMul",
}
# The activations that come with each. Every backend's fused kernels know all six, but TF.js does not read the slope of
# a depthwise convolution's LeakyRelu from the file.
_ACTIVATIONS = ("Relu", "Relu6", "Elu", "Sigmoid", "Prelu")
ACTIVATIONS = {
    "Conv2D": (*_ACTIVATIONS, "LeakyRelu"),
    "DepthwiseConv2dNative": _ACTIVATIONS,
    "MatMul": (*_ACTIVATIONS, "LeakyRelu"),
}


def fuse(graph_def: Any, outputs: Collection[str]) -> Any:
    """The GraphDef with ``Prelu`` and fused contractions, where nothing else reads what is in between.

    ``outputs`` are the names of the nodes that callers read. A fused node has the name of the last one that went into
    it. Operators that TensorFlow does not know come in here, so its optimiser cannot follow.
    """
    made = type(graph_def)()
    made.CopyFrom(graph_def)
    for rewrite in (_fuse_prelu, _fuse_contractions):
        rewrite(made, outputs)
        _remove_dead(made, outputs)
    return made


def wrongly_fused(node: Any) -> str:
    """The node's fusion, as ``_FusedConv2D[BiasAdd+Tanh]``, where it is one that TF.js cannot run; else empty."""
    for contraction, name in CONTRACTIONS.items():
        if node.op == name:
            fused = [part.decode() for part in node.attr["fused_ops"].list.s]
            first, *rest = fused or [""]
            if (
                first not in ("BiasAdd", "NoOp")
                or len(rest) > 1
                or not {*rest} <= {*ACTIVATIONS[contraction]}
            ):
                return f"{node.op}[{'+'.join(fused)}]"
    return ""


def _fuse_contractions(graph_def: Any, outputs: Collection[str]) -> None:
    by_name = {node.name: node for node in graph_def.node}
    readers = defaultdict(list)
    for node in graph_def.node:
        for name in map(_node_name, node.input):
            readers[name].append(node)

    def next_node(node: Any, *ops: str) -> Any:
        """What alone reads ``node``, as its first input, where it is one of ``ops``."""
        found = readers[node.name]
        if len(found) != 1 or node.name in outputs or found[0].op not in ops:
            return None
        return found[0] if found[0].input[0] == node.name else None

    def one_for_each_channel(slopes: str) -> bool:
        return len(by_name[slopes].attr["value"].tensor.tensor_shape.dim) == 1

    for node in graph_def.node:
        if node.op not in CONTRACTIONS or _is_turned(node):
            continue
        bias = next_node(node, "BiasAdd")
        if bias is not None and bias.attr["data_format"].s not in (b"", b"NHWC"):
            continue
        activation = next_node(node if bias is None else bias, *ACTIVATIONS[node.op])
        if activation is not None and activation.op == "Prelu":
            # TF.js takes the slopes of a dense layer without a bias for its bias.
            is_read = bias is not None or node.op != "MatMul"
            activation = activation if is_read and one_for_each_channel(activation.input[1]) else None
        if bias is not None or activation is not None:
            _become_fused(node, bias, activation)


def _is_turned(node: Any) -> bool:
    """Whether it multiplies a transposed matrix: the kernel on WebAssembly then adds the bias wrongly."""
    return any(name in node.attr and node.attr[name].b for name in ("transpose_a", "transpose_b"))


def _become_fused(contraction: Any, bias: Any, activation: Any) -> None:
    """Turn the last of the three into all; one of the others may be None. What it was made of is left without a reader."""
    parts = [node for node in (bias, activation) if node is not None]
    last = parts[-1]
    names = [b"NoOp" if bias is None else b"BiasAdd"]
    if activation is not None:
        names.append(activation.op.encode())
    arguments = [node.input[1] for node in parts if node.op in ("BiasAdd", "Prelu")]
    slope = activation.attr["alpha"].f if activation is not None and activation.op == "LeakyRelu" else None
    inputs = [name for name in contraction.input if name[0] != "^"]
    controls = dict.fromkeys(name for node in (contraction, *parts) for name in node.input if name[0] == "^")
    last.op = CONTRACTIONS[contraction.op]
    last.input[:] = [*inputs, *arguments, *controls]
    last.attr.clear()
    for name, value in contraction.attr.items():
        last.attr[name].CopyFrom(value)
    last.attr["fused_ops"].list.s.extend(names)
    last.attr["num_args"].i = len(arguments)
    if slope is not None:
        last.attr["leakyrelu_alpha"].f = slope


def _fuse_prelu(graph_def: Any, outputs: Collection[str]) -> None:
    """``Prelu`` in the place of each sum ``relu(x) + (-alpha) * relu(-x)``, as Keras writes it.

    The kernels on WebAssembly take number i of x with number i of alpha, modulo the size of alpha: that is the
    broadcast where alpha has every axis behind its leading ones whole.
    """
    from tensorflow.python.framework.tensor_util import MakeNdarray, make_tensor_proto

    del outputs  # the sum keeps its name, and what it was made of stays where something reads it
    by_name = {node.name: node for node in graph_def.node}
    alphas = []
    for node in graph_def.node:
        found = _prelu_parts(node, by_name)
        if found is None:
            continue
        x, negated = found
        value = -MakeNdarray(negated.attr["value"].tensor)
        while value.ndim > 1 and len(value) == 1:
            value = value[0]
        if value.ndim and 1 not in value.shape:
            alpha = type(node)(op="Const", name=f"{node.name}/alpha")
            alpha.attr["dtype"].CopyFrom(negated.attr["dtype"])
            alpha.attr["value"].tensor.CopyFrom(make_tensor_proto(value))
            alphas.append(alpha)
            node.op = "Prelu"
            node.input[:] = [x, alpha.name]
    graph_def.node.extend(alphas)


def _prelu_parts(node: Any, by_name: dict[str, Any]) -> tuple[str, Any] | None:
    """``(x, the constant -alpha)`` of a sum of the form above."""
    if node.op not in ("Add", "AddV2"):
        return None
    for positive, negative in (node.input[:2], reversed(node.input[:2])):
        relu, product = by_name.get(positive), by_name.get(negative)
        if relu is None or product is None or (relu.op, product.op) != ("Relu", "Mul"):
            continue
        for factor, rest in (product.input[:2], reversed(product.input[:2])):
            constant, other = by_name.get(factor), by_name.get(rest)
            if constant is None or other is None or (constant.op, other.op) != ("Const", "Relu"):
                continue
            negation = by_name.get(other.input[0])
            if negation is not None and negation.op == "Neg" and negation.input[0] == relu.input[0]:
                return relu.input[0], constant
    return None


def _remove_dead(graph_def: Any, outputs: Collection[str]) -> None:
    """Nodes that no output needs go; inputs stay, read or not."""
    by_name = {node.name: node for node in graph_def.node}
    wanted = [*outputs, *(node.name for node in graph_def.node if node.op == "Placeholder")]
    found: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name not in found:
            found.add(name)
            wanted.extend(map(_node_name, by_name[name].input))
    kept = [node for node in graph_def.node if node.name in found]
    del graph_def.node[:]
    graph_def.node.extend(kept)


def _node_name(tensor: str) -> str:
    """The node that ``tensor``, ``tensor:1`` or ``^control`` comes from."""
    return tensor.lstrip("^").partition(":")[0]
