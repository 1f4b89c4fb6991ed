"""What tf2onnx leaves to the optimiser of a runtime, done in the file: not every provider has one.

Weights that are only moved are stored as they are read, what scales or shifts the channels of a convolution, as a batch
norm does, ends in it, computed in float64, zeros around its input become its padding, and shapes that stay are not set
again. All are identities of real numbers on standard operators.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np

from runtimes.base import Array

Graph = Any
Node = Any

MOVES = ("Cast", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
SCALES = ("Add", "Mul", "Sub")


def lean(model: Any) -> None:
    """Change an ONNX model in place."""
    graph = _Constants(model.graph)
    graph.store_moved()
    graph.fold_scales()
    graph.fold_pads()
    graph.write()
    graph.drop_reshapes(model)
    graph.write()


class _Constants:
    """A graph and the values of its initializers."""

    def __init__(self, graph: Graph) -> None:
        from onnx import numpy_helper

        self._graph = graph
        self._values: dict[str, Array] = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
        self._outputs = {output.name for output in graph.output}

    def store_moved(self) -> None:
        """Nodes that only move a constant, into constants."""
        from onnx.reference import ReferenceEvaluator

        for node in list(self._graph.node):
            if node.op_type in MOVES and not node.domain and all(name in self._values for name in node.input):
                feeds = {name: self._values[name] for name in node.input}
                if node.output[0] not in self._outputs:
                    [self._values[node.output[0]]] = ReferenceEvaluator(node).run(None, feeds)
                    self._graph.node.remove(node)

    def fold_scales(self) -> None:
        """Additions to and products with the channels of a convolution, into its weights and its bias."""
        readers = _readers(self._graph)
        for node in list(self._graph.node):
            if node.op_type != "Conv" or not all(name in self._values for name in node.input[1:]):
                continue
            weight = self._values[node.input[1]]
            scale, shift = np.ones(len(weight)), np.zeros(len(weight))
            last = node
            while last.output[0] not in self._outputs and len(readers[last.output[0]]) == 1:
                [reader] = readers[last.output[0]]
                found = self._scale_and_shift(reader, last.output[0], weight)
                if found is None:
                    break
                scale, shift = scale * found[0], shift * found[0] + found[1]
                if last is not node:
                    self._graph.node.remove(last)
                last = reader
            if last is not node:
                self._scale(node, scale, shift)
                node.output[0] = last.output[0]
                self._graph.node.remove(last)

    def fold_pads(self) -> None:
        """Zeros around the images that one convolution alone reads, into its padding."""
        from onnx import helper

        readers = _readers(self._graph)
        for pad in [node for node in self._graph.node if node.op_type == "Pad" and not node.domain]:
            [given], [result] = pad.input[:1], pad.output
            conv = readers[result][0] if len(readers[result]) == 1 else None
            mode = next((one.s for one in pad.attribute if one.name == "mode"), b"constant")
            sizes = self._values.get(pad.input[1])
            zero = all(
                not name or (name in self._values and not self._values[name].any()) for name in pad.input[2:3]
            )
            if conv is None or conv.op_type != "Conv" or sizes is None or mode != b"constant" or not zero:
                continue
            own = {one.name: helper.get_attribute_value(one) for one in conv.attribute}
            rank = len(sizes) // 2
            outside = [*sizes[:2], *sizes[rank : rank + 2]]
            if own.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID") or any(outside) or sizes.min() < 0:
                continue
            if result in self._outputs or len(pad.input) > 3:
                continue
            before = own.get("pads", [0] * (2 * (rank - 2)))
            added = [*sizes[2:rank], *sizes[rank + 2 :]]
            kept = [one for one in conv.attribute if one.name not in ("pads", "auto_pad")]
            pads = helper.make_attribute("pads", [int(a + b) for a, b in zip(before, added, strict=True)])
            del conv.attribute[:]
            conv.attribute.extend([*kept, pads])
            conv.input[0] = given
            self._graph.node.remove(pad)

    def drop_reshapes(self, model: Any) -> None:
        """A Reshape to the shape that its input has, all of it known but the batch."""
        import onnx

        values = onnx.shape_inference.infer_shapes(model).graph.value_info
        known = {
            one.name: [dim.dim_value or None for dim in one.type.tensor_type.shape.dim] for one in values
        }
        readers = _readers(self._graph)
        for node in [node for node in self._graph.node if node.op_type == "Reshape" and not node.attribute]:
            target = [size if size > 0 else None for size in self._values.get(node.input[1], ())]
            if (
                known.get(node.input[0]) != target
                or target.count(None) > 1
                or node.output[0] in self._outputs
            ):
                continue
            if any(node.output[0] not in reader.input for reader in readers[node.output[0]]):
                continue  # a graph inside it reads the name
            known[node.output[0]] = target
            for reader in readers[node.output[0]]:
                names = [node.input[0] if name == node.output[0] else name for name in reader.input]
                del reader.input[:]
                reader.input.extend(names)
                readers[node.input[0]].append(reader)
            self._graph.node.remove(node)

    def write(self) -> None:
        """The constants that a node reads, as the graph's initializers."""
        from onnx import numpy_helper

        read = {name for node in self._graph.node for name in read_names(node)} | self._outputs
        old = {one.name: one for one in self._graph.initializer}
        kept = [
            old.get(name) or numpy_helper.from_array(np.asarray(value), name)
            for name, value in self._values.items()
            if name in read
        ]
        del self._graph.initializer[:]
        self._graph.initializer.extend(kept)

    def _scale_and_shift(self, node: Node, source: str, weight: Array) -> tuple[Array, Array] | None:
        """``(scale, shift)`` by channel where ``node`` computes ``source * scale + shift``."""
        if node.op_type not in SCALES or node.domain:
            return None
        value = self._values.get(next((name for name in node.input if name != source), ""))
        if (
            value is None
            or weight.dtype != np.float32
            or value.dtype != np.float32
            or (node.op_type == "Sub" and node.input[0] != source)
        ):
            return None
        # Along the channels alone: (C, 1, 1) or (1, C, 1, 1) for images, or one number.
        spatial = weight.ndim - 2
        shape = (1,) * (weight.ndim - value.ndim) + value.shape
        if value.ndim > weight.ndim or shape not in ((1, len(weight)) + (1,) * spatial, (1,) * weight.ndim):
            return None
        vector = np.broadcast_to(value.astype(np.float64).reshape(-1), (len(weight),))
        if node.op_type == "Mul":
            return vector, np.zeros(len(weight))
        return np.ones(len(weight)), vector if node.op_type == "Add" else -vector

    def _scale(self, node: Node, scale: Array, shift: Array) -> None:
        weight = self._values[node.input[1]].astype(np.float64)
        bias = self._values[node.input[2]].astype(np.float64) if len(node.input) > 2 else 0.0
        name = node.output[0]
        self._values[f"{name}/weights"] = (weight * scale.reshape(-1, *(1,) * (weight.ndim - 1))).astype(
            np.float32
        )
        self._values[f"{name}/bias"] = (bias * scale + shift).astype(np.float32)
        del node.input[1:]
        node.input.extend([f"{name}/weights", f"{name}/bias"])


def _readers(graph: Graph) -> dict[str, list[Node]]:
    """The nodes that read each value."""
    found: dict[str, list[Node]] = defaultdict(list)
    for node in graph.node:
        for name in read_names(node):
            found[name].append(node)
    return found


def read_names(node: Node) -> Iterator[str]:
    """The names that a node reads, also those that the graphs inside it do."""
    yield from node.input
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for inner in graph.node:
                yield from read_names(inner)
            yield from (output.name for output in graph.output)
