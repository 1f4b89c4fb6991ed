"""ONNX file -> Graph: a small, frozen picture of the model, which every later pass reads and none changes."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from runtimes.errors import ConversionError, NotAModelError

Array = np.ndarray[Any, np.dtype[Any]]
Shape = tuple[int | None, ...]

OLDEST_OPSET = 7

# Larger initialisers tell shape inference nothing but their shape.
_SMALL_BYTES = 4096
_SCOPES = "pkg.torch.onnx.name_scopes"
_NOT_FOLDED = {
    "Bernoulli",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
}


@dataclass(frozen=True)
class Value:
    """What is known of a tensor. ``shape`` has None for a dynamic axis, and is None when the rank is unknown."""

    dtype: str
    shape: Shape | None


@dataclass(frozen=True)
class Node:
    """One operator. An absent optional input is ``""``; ``op`` has its domain in front unless it is ONNX's own.

    ``module`` is the dotted path of the source module that the node came from and ``call`` what was called
    there, as ``torch.onnx`` notes them; both are empty when nobody noted them.
    """

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    module: str = ""
    call: str = ""

    def has(self, index: int) -> bool:
        """Whether the input at ``index`` is present."""
        return index < len(self.inputs) and self.inputs[index] != ""

    def __str__(self) -> str:
        return f"{self.op} node {self.name!r}" + (f" (module {self.module})" if self.module else "")


@dataclass(frozen=True)
class Graph:
    """A model: nodes in an order that can be executed, constants by name, and what is known of each value.

    ``parameters`` are the constants that the file stores; the others were computed while it was read.
    """

    nodes: tuple[Node, ...]
    constants: Mapping[str, Array]
    values: Mapping[str, Value]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    opset: int
    parameters: frozenset[str] = frozenset()

    def shape(self, name: str) -> Shape:
        """The shape of a value. Raises ConversionError when not even its rank is known."""
        value = self.values.get(name)
        if value is None or value.shape is None:
            raise ConversionError(
                f"the shape of {name!r} is not in the ONNX file and cannot be inferred. Export the model with "
                "static axes beyond the batch, or run onnx.shape_inference on it."
            )
        return value.shape

    def rank(self, name: str) -> int:
        """The number of axes of a value."""
        return len(self.shape(name))

    def dtype(self, name: str) -> str:
        """The numpy name of a value's type."""
        return self.values[name].dtype

    def constant(self, node: Node, index: int) -> Array | None:
        """The input at ``index`` when it is a constant; None when it is computed or absent."""
        return self.constants.get(node.inputs[index]) if node.has(index) else None

    @cached_property
    def producers(self) -> Mapping[str, Node]:
        """The node that computes each value."""
        return {output: node for node in self.nodes for output in node.outputs if output}


def read(path: Path) -> Graph:
    """The graph of an ONNX file, with what can be computed now computed.

    Raises NotAModelError when the file cannot be read, ConversionError when it is older than opset 7.
    """
    import onnx
    import onnx.inliner

    try:
        model = onnx.load(str(path))
    except OSError:
        raise
    except Exception as error:
        raise NotAModelError(f"{path} is not an ONNX model that can be read: {error}") from error
    if not model.graph.output:
        raise NotAModelError(f"{path} is not an ONNX model: it has no outputs.")
    if len(model.functions):
        model = onnx.inliner.inline_local_functions(model)
    return parse(model)


def parse(model: Any) -> Graph:
    """The graph of an ``onnx.ModelProto``."""
    from onnx import numpy_helper

    opset = max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=0)
    if opset < OLDEST_OPSET:
        raise ConversionError(f"the model has ONNX opset {opset}; onnx2keras reads {OLDEST_OPSET} and later.")
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    values = {name: Value(array.dtype.name, array.shape) for name, array in constants.items()}
    values |= _infer(model, constants)

    nodes: list[Node] = []
    for proto in model.graph.node:
        node = _node(proto, len(nodes))
        if node.op == "CastLike" and node.inputs[1] in values:
            node, proto = _as_cast(node, values[node.inputs[1]].dtype)
        results = None
        if node.op not in _NOT_FOLDED and all(name in constants or not name for name in node.inputs):
            results = _evaluate(proto, constants, opset)
        if results is not None:
            constants |= results
            values |= {name: Value(array.dtype.name, array.shape) for name, array in results.items()}
        else:
            nodes.append(node)
    return Graph(
        nodes=tuple(nodes),
        constants=constants,
        values=values,
        inputs=tuple(i.name for i in model.graph.input if i.name not in constants),
        outputs=tuple(o.name for o in model.graph.output),
        opset=opset,
        parameters=frozenset(tensor.name for tensor in model.graph.initializer),
    )


def _infer(model: Any, constants: Mapping[str, Array]) -> dict[str, Value]:
    """Types and shapes of all values, from a copy of the model that leaves the large weights out."""
    import onnx
    from onnx import helper, shape_inference

    light = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    light.graph.name = "shapes"
    light.graph.node.extend(model.graph.node)
    light.graph.input.extend(model.graph.input)
    light.graph.output.extend(model.graph.output)
    light.graph.value_info.extend(v for v in model.graph.value_info if v.name not in constants)
    declared = {i.name for i in model.graph.input}
    for tensor in model.graph.initializer:
        if constants[tensor.name].nbytes <= _SMALL_BYTES:
            light.graph.initializer.append(tensor)
        elif tensor.name not in declared:
            light.graph.input.append(
                helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
            )
    inferred = shape_inference.infer_shapes(light, data_prop=True).graph
    known = [*inferred.value_info, *inferred.input, *inferred.output]
    return {v.name: _value(v.type.tensor_type) for v in known if v.type.HasField("tensor_type")}


def _value(tensor_type: Any) -> Value:
    from onnx import helper

    dtype = (
        helper.tensor_dtype_to_np_dtype(tensor_type.elem_type).name if tensor_type.elem_type else "unknown"
    )
    if not tensor_type.HasField("shape"):
        return Value(dtype, None)
    return Value(
        dtype, tuple(d.dim_value if d.HasField("dim_value") else None for d in tensor_type.shape.dim)
    )


def _node(proto: Any, number: int) -> Node:
    from onnx import helper

    domain = "" if proto.domain in ("", "ai.onnx") else f"{proto.domain}."
    scopes: list[str] = next(
        (ast.literal_eval(p.value) for p in proto.metadata_props if p.key == _SCOPES), []
    )
    return Node(
        op=domain + proto.op_type,
        name=proto.name or f"{proto.op_type}_{number}",
        inputs=tuple(proto.input),
        outputs=tuple(proto.output),
        attributes={a.name: _plain(helper.get_attribute_value(a)) for a in proto.attribute},
        module=scopes[-2] if len(scopes) > 1 else "",
        call=scopes[-1] if scopes else "",
    )


def _plain(attribute: Any) -> Any:
    """An attribute as Python and numpy have it."""
    from onnx import TensorProto, numpy_helper

    if isinstance(attribute, bytes):
        return attribute.decode()
    if isinstance(attribute, TensorProto):
        return numpy_helper.to_array(attribute)
    if isinstance(attribute, (str, int, float)) or not hasattr(attribute, "__iter__"):
        return attribute
    return tuple(_plain(item) for item in attribute)


def _as_cast(node: Node, dtype: str) -> tuple[Node, Any]:
    """CastLike says by a tensor what Cast says by a number."""
    from onnx import helper

    to = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    proto = helper.make_node("Cast", node.inputs[:1], node.outputs, name=node.name, to=to)
    return Node("Cast", node.name, node.inputs[:1], node.outputs, {"to": to}, node.module, node.call), proto


def _evaluate(proto: Any, constants: Mapping[str, Array], opset: int) -> dict[str, Array] | None:
    """The outputs of a node whose inputs are all constant, by ONNX's reference implementation; None where it has none."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    names = [name for name in proto.input if name]
    inputs = [onnx.ValueInfoProto(name=name) for name in names]
    outputs = [onnx.ValueInfoProto(name=name) for name in proto.output if name]
    model = onnx.helper.make_model(
        onnx.helper.make_graph([proto], "constant", inputs, outputs),
        opset_imports=[onnx.helper.make_opsetid(proto.domain, opset)],
    )
    try:
        evaluator = ReferenceEvaluator(model)
    except NotImplementedError:
        return None
    results = evaluator.run(None, {name: constants[name] for name in names})
    return {output.name: np.asarray(result) for output, result in zip(outputs, results, strict=True)}
