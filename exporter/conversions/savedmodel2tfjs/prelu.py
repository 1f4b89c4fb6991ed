"""PReLU: TF.js has an operator for what TensorFlow writes as ``relu(x) + (-alpha) * relu(-x)``."""

from __future__ import annotations

from typing import Any


def fuse(graph_def: Any) -> Any:
    """The GraphDef with ``Prelu`` in the place of each such sum whose alpha is one number for each channel."""
    from tensorflow.compat.v1.graph_util import extract_sub_graph
    from tensorflow.python.framework.tensor_util import MakeNdarray, make_tensor_proto

    by_name = {node.name: node for node in graph_def.node}
    read = {name.partition(":")[0].lstrip("^") for node in graph_def.node for name in node.input}
    ends = [node.name for node in graph_def.node if node.name not in read or node.op == "Placeholder"]
    alphas = []
    for node in graph_def.node:
        found = _parts(node, by_name)
        if found is None:
            continue
        x, negated = found
        value = -MakeNdarray(negated.attr["value"].tensor)
        if value.ndim and value.size == value.shape[-1]:
            alpha = type(node)(op="Const", name=f"{node.name}/alpha")
            alpha.attr["dtype"].CopyFrom(negated.attr["dtype"])
            alpha.attr["value"].tensor.CopyFrom(make_tensor_proto(value.reshape(-1)))
            alphas.append(alpha)
            node.op = "Prelu"
            node.input[:] = [x, alpha.name]
    graph_def.node.extend(alphas)
    return extract_sub_graph(graph_def, ends) if alphas else graph_def


def _parts(node: Any, by_name: dict[str, Any]) -> tuple[str, Any] | None:
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
