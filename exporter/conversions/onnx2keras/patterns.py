"""Graph -> Graph: operators that an exporter took apart, put together again. Each is pure, and says the same as before."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np

from exporter.conversions.onnx2keras.graph import Array, Graph, Node
from exporter.conversions.onnx2keras.shapes import of_constant


def with_group_normalization(graph: Graph) -> Graph:
    """Reshape to (N, groups, rest), InstanceNormalization, Reshape back, and often Mul and Add: GroupNormalization."""
    uses = Counter([name for node in graph.nodes for name in node.inputs] + list(graph.outputs))
    readers = {name: node for node in graph.nodes for name in node.inputs}
    constants: dict[str, Array] = dict(graph.constants)
    replaced: dict[str, Node] = {}

    def only_reader(node: Node, op: str) -> Node | None:
        reader = readers.get(node.outputs[0]) if uses[node.outputs[0]] == 1 else None
        return reader if reader is not None and reader.op == op else None

    for node in graph.nodes:
        apart = graph.producers.get(node.inputs[0]) if node.op == "InstanceNormalization" else None
        back = only_reader(node, "Reshape") if node.op == "InstanceNormalization" else None
        if apart is None or back is None or not _groups(apart, node, back, graph):
            continue
        channels = graph.shape(back.outputs[0])[1] or 0
        last = back
        found: dict[str, Array] = {
            "Mul": np.ones(channels, np.float32),
            "Add": np.zeros(channels, np.float32),
        }
        for op in ("Mul", "Add"):
            after = only_reader(last, op)
            vector = _per_channel(after, graph) if after else None
            if after is None or vector is None:
                break
            last, found[op] = after, vector
        name, dtype = last.outputs[0], graph.dtype(last.outputs[0])
        constants |= {f"{name}/scale": found["Mul"].astype(dtype), f"{name}/bias": found["Add"].astype(dtype)}
        attributes = {
            "num_groups": graph.shape(apart.outputs[0])[1],
            "epsilon": node.attributes.get("epsilon", 1e-5),
        }
        inputs = (apart.inputs[0], f"{name}/scale", f"{name}/bias")
        replaced[name] = replace(
            last, op="GroupNormalization", inputs=inputs, attributes=attributes, module=node.module
        )
    nodes = tuple(replaced.get(node.outputs[0], node) for node in graph.nodes)
    values = {name: of_constant(array) for name, array in constants.items() if name not in graph.constants}
    return replace(graph, nodes=nodes, constants=constants, values={**graph.values, **values})


def _groups(apart: Node, norm: Node, back: Node, graph: Graph) -> bool:
    """Whether the three are a plain normalisation of groups of channels."""
    if apart.op != "Reshape":
        return False
    image, grouped = graph.shape(apart.inputs[0]), graph.shape(apart.outputs[0])
    scale, bias = graph.constant(norm, 1), graph.constant(norm, 2)
    if len(image) < 3 or len(grouped) != 3 or None in image[1:] or None in grouped[1:]:
        return False
    same = math.prod(size or 0 for size in image[1:]) == math.prod(size or 0 for size in grouped[1:])
    whole = (image[1] or 0) % (grouped[1] or 1) == 0
    plain = scale is not None and bias is not None and bool(np.all(scale == 1)) and not bias.any()
    return same and whole and plain and graph.shape(back.outputs[0]) == image


def _per_channel(node: Node, graph: Graph) -> Array | None:
    """The constant of a node that has one number for each channel of its result, or None."""
    shape = graph.shape(node.outputs[0])
    constant = next((graph.constants[name] for name in node.inputs if name in graph.constants), None)
    if constant is None or constant.size not in (1, shape[1]):
        return None
    full = (1,) * (len(shape) - constant.ndim) + constant.shape
    if any(size != 1 for axis, size in enumerate(full) if axis != 1):
        return None
    return np.broadcast_to(constant.ravel(), (shape[1] or 0,))
