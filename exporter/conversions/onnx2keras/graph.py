"""ONNX file -> Graph: a small, frozen picture of the model, which every later pass reads and none changes."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from exporter.conversions.onnx2keras import shapes
from exporter.conversions.onnx2keras.fold import Folding, Size
from exporter.conversions.onnx2keras.shapes import Array, Shape, Value
from runtimes.errors import ConversionError, NotAModelError

__all__ = ["Array", "Graph", "Node", "Shape", "Size", "Value", "parse", "read"]

OLDEST_OPSET = 7

_SCOPES = "pkg.torch.onnx.name_scopes"


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

    ``parameters`` are the constants that the file stores; the others were computed while it was read. ``sizes``
    has the elements of the shapes that are known but for the sizes of dynamic axes.
    """

    nodes: tuple[Node, ...]
    constants: Mapping[str, Array]
    values: Mapping[str, Value]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    opset: int
    parameters: frozenset[str] = frozenset()
    sizes: Mapping[str, tuple[int | Size | None, ...]] = field(default_factory=dict)

    def shape(self, name: str) -> Shape:
        """The shape of a value. Raises ConversionError when not even its rank is known."""
        value = self.values.get(name)
        if value is None or value.shape is None:
            raise ConversionError(
                f"the shape of {name!r} is not in the ONNX file and cannot be inferred. Export the model with "
                "static axes beyond the batch, or run onnx.shape_inference on it."
            )
        return value.shape

    def knows(self, name: str) -> bool:
        """Whether at least the rank of a value is known."""
        value = self.values.get(name)
        return value is not None and value.shape is not None

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


def read(path: Path, known: Collection[str] = ()) -> Graph:
    """The graph of an ONNX file, with what can be computed now computed, and functions inlined as ``parse`` does.

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
    return parse(model, known)


def parse(model: Any, known: Collection[str] = ()) -> Graph:
    """The graph of an ``onnx.ModelProto``.

    Operators that are not ``known`` are replaced by ONNX's own definition of them, where it has one.
    """
    from onnx import numpy_helper

    opsets = [o.version for o in model.opset_import if o.domain in ("", "ai.onnx")]
    opset = max(opsets, default=OLDEST_OPSET)
    if opset < OLDEST_OPSET:
        raise ConversionError(f"the model has ONNX opset {opset}; onnx2keras reads {OLDEST_OPSET} and later.")
    if known:
        model = _with_functions(model, known, opset)
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    nodes, again = list(model.graph.node), True
    while again:
        folding = Folding(constants, shapes.infer(model, nodes, constants), opset)
        folding.run(nodes)
        nodes, constants, again = folding.nodes, folding.constants, folding.again
    return Graph(
        nodes=tuple(_node(proto, number) for number, proto in enumerate(nodes)),
        constants=constants,
        values={**folding.values, **{name: shapes.of_constant(array) for name, array in constants.items()}},
        inputs=tuple(i.name for i in model.graph.input if i.name not in constants),
        outputs=tuple(o.name for o in model.graph.output),
        opset=opset,
        parameters=frozenset(tensor.name for tensor in model.graph.initializer),
        sizes=folding.sizes,
    )


def _with_functions(model: Any, known: Collection[str], opset: int) -> Any:
    """The model with every operator inlined that has a definition in ONNX and is not known."""
    import onnx
    import onnx.inliner

    kept = {*known, "CastLike", "Range"}  # these are computed while reading, or refused
    if all(node.op_type in kept for node in model.graph.node):
        return model
    typed = onnx.ModelProto()
    typed.CopyFrom(model)
    declared = {value.name for value in model.graph.input}
    for node in typed.graph.node:
        if node.op_type not in kept:
            _write_defaults(node, opset)
    typed.graph.input.extend(  # the inliner asks for the types of a call's inputs, and knows none of initialisers
        onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        for tensor in model.graph.initializer
        if tensor.name not in declared
    )
    try:
        return onnx.inliner.inline_selected_functions(
            typed, [("", op) for op in kept], exclude=True, inline_schema_functions=True
        )
    except RuntimeError:  # its own failed assertions; the operators stay, and are refused by name
        return model


def _write_defaults(node: Any, opset: int) -> None:
    """Give a node the default values of its attributes: the inliner leaves what refers to them undefined."""
    import onnx.defs

    if not onnx.defs.has(node.op_type, node.domain):
        return
    schema = onnx.defs.get_schema(node.op_type, opset, node.domain)
    given = {attribute.name for attribute in node.attribute}
    node.attribute.extend(
        attribute.default_value
        for name, attribute in schema.attributes.items()
        if name not in given and attribute.default_value.name
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
