"""Graph -> Graph: operators that an exporter took apart, put together again. Each is pure, and says the same as before."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np

from exporter.conversions.onnx2keras.graph import Array, Graph, Node, Shape
from exporter.conversions.onnx2keras.shapes import Value, of_constant


def with_group_normalization(graph: Graph) -> Graph:
    """Reshape to (N, groups, rest), InstanceNormalization, Reshape back, and often Mul and Add: GroupNormalization."""
    uses = _uses(graph)
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


def with_early_splits(graph: Graph) -> Graph:
    """A Reshape after a Transpose that only splits an axis comes before it, where it meets the Reshape that merged it.

    ``torch.onnx`` writes attention with batch and heads merged into one axis. Once they are apart, each keeps its
    place and none of their tensors has to be moved for the other.
    """
    uses = _uses(graph)
    nodes: list[Node] = []
    values = dict(graph.values)
    producers = dict(graph.producers)
    for node in graph.nodes:
        turned = producers.get(node.inputs[0]) if node.op == "Reshape" and len(node.inputs) == 1 else None
        if turned is None or turned.op != "Transpose" or uses[turned.outputs[0]] != 1:
            nodes.append(node)
            continue
        split = _split(graph.shape(turned.outputs[0]), graph.shape(node.outputs[0]))
        if split is None:
            nodes.append(node)
            continue
        place, sizes = split
        source = turned.inputs[0]
        before = values[source].shape or ()
        permutation = tuple(turned.attributes.get("perm", reversed(range(len(before)))))
        axis = permutation[place]
        apart = (*before[:axis], *sizes, *before[axis + 1 :])
        inner = producers.get(source)
        if inner is not None and inner.op == "Reshape" and len(inner.inputs) == 1 and uses[source] == 1:
            source = inner.inputs[0]
        if values[source].shape != apart or apart.count(None) > 1:
            name = f"{turned.outputs[0]}/apart"
            nodes.append(replace(turned, op="Reshape", inputs=(source,), outputs=(name,), attributes={}))
            values[name], producers[name] = Value(values[source].dtype, apart), nodes[-1]
            source = name
        # Each axis behind the split one moves on; the new ones stay together.
        more = len(sizes) - 1
        moved = [range(a, a + more + 1) if a == axis else (a + more * (a > axis),) for a in permutation]
        attributes = {"perm": tuple(a for axes in moved for a in axes)}
        nodes.append(replace(turned, inputs=(source,), outputs=node.outputs, attributes=attributes))
        producers[node.outputs[0]] = nodes[-1]
    return replace(graph, nodes=tuple(nodes), values=values)


def _split(before: Shape, after: Shape) -> tuple[int, Shape] | None:
    """The one axis that is split between two shapes, and into which sizes; None when it is not that simple."""
    left = right = 0
    while left < min(len(before), len(after)) and before[left] == after[left] is not None:
        left += 1
    while (
        right < len(before) - left and right < len(after) - left and before[-1 - right] == after[-1 - right]
    ):
        if before[-1 - right] is None:
            break
        right += 1
    sizes = after[left : len(after) - right]
    if len(before) - left - right != 1 or len(sizes) < 2:
        return None
    return (left, sizes) if sizes.count(None) == (before[left] is None) else None


def without_flat_products(graph: Graph) -> Graph:
    """A Gemm of constant weights between a Reshape that merges the axes in front and one that splits them again."""
    uses = _uses(graph)
    readers = {name: node for node in graph.nodes for name in node.inputs}
    replaced: dict[str, tuple[Node, ...]] = {}
    values = dict(graph.values)
    for node in graph.nodes:
        flat = graph.producers.get(node.inputs[0]) if node.op == "Gemm" else None
        apart = readers.get(node.outputs[0])
        if flat is None or apart is None or flat.op != "Reshape" or apart.op != "Reshape":
            continue
        alone = uses[node.outputs[0]] == 1 and len(flat.inputs) == len(apart.inputs) == 1
        bias = graph.constant(node, 2)
        row = not node.has(2) or (bias is not None and (bias.ndim < 2 or bias.shape[0] == 1))
        if not alone or graph.constant(node, 1) is None or node.attributes.get("transA", 0) or not row:
            continue
        before, after = graph.shape(flat.inputs[0]), graph.shape(apart.outputs[0])
        front, width = after[:-1], graph.shape(node.inputs[0])[1]
        inner = before[len(front) :]
        if before[: len(front)] != front or None in inner or math.prod(inner) != width:  # type: ignore[arg-type]
            continue
        if after[-1] != graph.shape(node.outputs[0])[1] or front.count(None) > 1:
            continue
        product = replace(node, outputs=apart.outputs)
        if len(inner) == 1:
            replaced[apart.outputs[0]] = (replace(product, inputs=(flat.inputs[0], *node.inputs[1:])),)
            continue
        name = f"{flat.outputs[0]}/rows"
        values[name] = Value(graph.dtype(flat.outputs[0]), (*front, width))
        rows = replace(flat, outputs=(name,))
        replaced[apart.outputs[0]] = (rows, replace(product, inputs=(name, *node.inputs[1:])))
    nodes = tuple(new for node in graph.nodes for new in replaced.get(node.outputs[0], (node,)))
    return replace(graph, nodes=nodes, values=values)


def _uses(graph: Graph) -> Counter[str]:
    """How often each value is read, by nodes and as an output."""
    return Counter([name for node in graph.nodes for name in node.inputs] + list(graph.outputs))
