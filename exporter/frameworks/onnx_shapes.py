"""What an ONNX graph computes of shapes that are known, as constants."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from exporter.frameworks.onnx_lean import read_names
from runtimes.base import Array
from runtimes.bundle import TensorSpec

Model = Any
Node = Any

# Shapes are short. What grows out of one, such as a tensor of zeros, is left to the runtime.
LONGEST = 1024


def fold(model: Model) -> None:
    """Replace shape arithmetic by what it gives, in place, and infer the shapes again.

    A node is one of it when it asks for the sizes of a tensor that has them all, or computes from such sizes and other
    constants alone.
    """
    import onnx

    folding = _Folding(model)
    while folding.one_pass():
        del model.graph.value_info[:]
        model.CopyFrom(onnx.shape_inference.infer_shapes(model, data_prop=True))


def set_sizes(values: Iterable[Any], specs: Sequence[TensorSpec]) -> None:
    """Write the sizes of the specs into a graph's inputs or outputs of their names."""
    by_name = {spec.name: spec for spec in specs}
    for value in values:
        dims = value.type.tensor_type.shape.dim
        del dims[:]
        for size in by_name[value.name].shape:
            dims.add(**({} if size is None else {"dim_value": size}))


class _Folding:
    """A model with its constants, and those of them that come from a shape."""

    def __init__(self, model: Model) -> None:
        from onnx import numpy_helper

        self._model = model
        self._constants: dict[str, Array] = {
            one.name: numpy_helper.to_array(one) for one in model.graph.initializer
        }
        self._from_shapes: set[str] = set()

    def one_pass(self) -> bool:
        """Fold what can be, in the order of the graph; whether that was anything."""
        from onnx import numpy_helper

        graph = self._model.graph
        values = (*graph.input, *graph.value_info, *graph.output)
        sizes = {value.name: known for value in values if (known := _sizes(value)) is not None}
        sizes |= {name: list(array.shape) for name, array in self._constants.items()}
        outputs = {value.name for value in graph.output}
        folded: list[str] = []
        left = []
        for node in graph.node:
            found = None if node.domain or outputs.intersection(node.output) else self._value(node, sizes)
            if found is None:
                left.append(node)
                continue
            [name] = node.output
            folded.append(name)
            self._constants[name] = found
            if node.op_type != "Constant":
                self._from_shapes.add(name)
        read = {name for node in left for name in read_names(node)} | outputs
        del graph.node[:]
        graph.node.extend(left)
        kept = [one for one in graph.initializer if one.name in read]
        del graph.initializer[:]
        graph.initializer.extend(kept)
        made = [name for name in folded if name in read]
        graph.initializer.extend(numpy_helper.from_array(self._constants[name], name) for name in made)
        return bool(folded)

    def _value(self, node: Node, sizes: dict[str, list[int]]) -> Array | None:
        """What the node gives, where it is shape arithmetic on what is known."""
        from onnx import helper

        if node.op_type == "Constant":
            return self._evaluated(node)
        if node.op_type in ("Shape", "Size"):
            if node.input[0] not in sizes:
                return None
            known = np.array(sizes[node.input[0]], np.int64)
            if node.op_type == "Size":
                return np.array(known.prod(), np.int64)
            bounds = {one.name: helper.get_attribute_value(one) for one in node.attribute}
            return known[bounds.get("start", 0) : bounds.get("end", len(known))]
        given = [name for name in node.input if name]
        if not self._from_shapes.intersection(given) or not all(name in self._constants for name in given):
            return None
        if any(self._constants[name].size > LONGEST for name in given):
            return None
        found = self._evaluated(node)
        return found if found is not None and found.size <= LONGEST else None

    def _evaluated(self, node: Node) -> Array | None:
        """The one output of a node of constants, by ONNX's reference implementation; None where it has none."""
        from onnx import helper
        from onnx.reference import ReferenceEvaluator

        if len(node.output) != 1 or any(one.HasField("g") for one in node.attribute):
            return None
        values = [
            helper.make_tensor_value_info(
                name,
                helper.np_dtype_to_tensor_dtype(self._constants[name].dtype),
                self._constants[name].shape,
            )
            for name in dict.fromkeys(filter(None, node.input))
        ]
        result = [helper.make_empty_tensor_value_info(node.output[0])]
        alone = helper.make_model(
            helper.make_graph([node], "one", values, result), opset_imports=self._model.opset_import
        )
        try:
            [found] = ReferenceEvaluator(alone).run(
                None, {value.name: self._constants[value.name] for value in values}
            )
        except Exception:  # it is a runtime's, then
            return None
        return np.asarray(found)


def _sizes(value: Any) -> list[int] | None:
    """The shape, where every axis has a size."""
    tensor = value.type.tensor_type
    if not tensor.HasField("shape") or not all(dim.HasField("dim_value") for dim in tensor.shape.dim):
        return None
    return [dim.dim_value for dim in tensor.shape.dim]
