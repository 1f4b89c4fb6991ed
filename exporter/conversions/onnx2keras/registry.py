"""The operators that onnx2keras knows: the folder ``ops/`` is the list, one file per family.

A lowering is a function from a ``Call`` to the Keras tensor (or the tensors) of the node's outputs, registered with

    layout    its layout rule (``rules``)
    refuse    node, graph -> None, or which attribute, rank or form of it is not supported, in a few words

Everything here is pure: Keras is imported by the driver, and a lowering reaches it through its call.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from exporter.conversions.onnx2keras.graph import Graph, Node
from exporter.conversions.onnx2keras.layout import Rule
from runtimes.errors import ConversionError

if TYPE_CHECKING:
    from exporter.conversions.onnx2keras.lower import Call

Tensor = Any
Lowering = Callable[["Call"], Tensor]
Refuse = Callable[[Node, Graph], str | None]


@dataclass(frozen=True)
class Operator:
    """How one ONNX operator is planned, checked and lowered."""

    lower: Lowering
    layout: Rule
    refuse: Refuse


_TYPES = {
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("bfloat16", "float16", "float32", "float64"),
}
_OPERATORS: dict[str, Operator] = {}


def _never(node: Node, graph: Graph) -> str | None:
    return None


def lowers(*ops: str, layout: Rule, refuse: Refuse = _never) -> Callable[[Lowering], Lowering]:
    """Register the decorated function as the lowering of these operators."""

    def register(function: Lowering) -> Lowering:
        for op in ops:
            _OPERATORS[op] = Operator(function, layout, refuse)
        return function

    return register


@cache
def operators() -> Mapping[str, Operator]:
    """Every operator by its ONNX name."""
    from exporter.conversions.onnx2keras import ops

    for module in pkgutil.iter_modules(ops.__path__):
        importlib.import_module(f"{ops.__name__}.{module.name}")
    return dict(sorted(_OPERATORS.items()))


def families() -> Mapping[str, list[str]]:
    """The names of the operators by family, which is the file that has their lowering."""
    found: dict[str, list[str]] = {}
    for name, operator in operators().items():
        found.setdefault(operator.lower.__module__.rpartition(".")[2], []).append(name)
    return dict(sorted(found.items()))


def _refused_type(node: Node, graph: Graph) -> str | None:
    """The first type among the node's tensors that Keras has no tensors of."""
    found = (graph.values[name].dtype for name in (*node.inputs, *node.outputs) if name in graph.values)
    return next((dtype for dtype in found if dtype not in (*_TYPES, "unknown")), None)


def check_supported(graph: Graph) -> None:
    """Raise one ConversionError that lists every node that cannot be lowered, and why."""
    problems = [] if graph.inputs else ["it has no inputs, and a Keras model must have one"]
    problems += [
        f"input {name!r}: a value of type {graph.values[name].dtype}"
        for name in graph.inputs
        if graph.values[name].dtype not in _TYPES
    ]
    shapeless = []
    for node in graph.nodes:
        operator = operators().get(node.op)
        unknown = next(
            (name for name in (*node.inputs, *node.outputs) if name and not graph.knows(name)), None
        )
        if operator is None:
            problems.append(f"{node}: unknown operator")
        elif refused := _refused_type(node, graph):
            problems.append(f"{node}: values of type {refused}")
        elif unknown:
            shapeless.append(f"{node}: the shape of {unknown!r} is not in the file and cannot be inferred")
        elif reason := operator.refuse(node, graph):
            problems.append(f"{node}: {reason}")
    # Behind an unknown operator no shape is known: that is its fault, not theirs.
    problems = problems or shapeless
    if problems:
        raise ConversionError(
            f"onnx2keras cannot convert this model of {len(graph.nodes)} nodes, for {len(problems)} reasons:\n  "
            + "\n  ".join(problems)
            + "\n'fwexport list --operators' names those that it knows."
        )
