"""ONNX to Keras: a small compiler from an ONNX graph to a real Keras model, channels last.

    graph      file -> Graph           parse, infer shapes, fold constants
    simplify   Graph -> Graph          leave fewer nodes
    registry   Graph -> None           every node is known, or one error lists those that are not
    plan       Graph -> Plan           the order in which each value's axes live: by ``rules``, with the fewest moves
    lower      Plan -> keras.Model     each node by the lowering of its operator (``ops/``)

A new operator is a function in ``ops/``; nothing else changes.
"""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exporter.frameworks import keras_model
from runtimes.bundle import ModelSpec, TensorSpec
from runtimes.errors import ConversionError

if TYPE_CHECKING:
    from exporter.conversions.onnx2keras.graph import Graph
    from exporter.conversions.onnx2keras.layout import Layout

SOURCE = "onnx"
TARGET = "keras"
PROCESS = "tensorflow"
FIXES_BATCH = False

_NEEDS = {"onnx": "onnx", "keras": "tensorflow", "tensorflow": "tensorflow"}


def check() -> str | None:
    """None, or how to get what is missing."""
    missing = [name for name in _NEEDS if importlib.util.find_spec(name) is None]
    if not missing:
        return None
    extras = ",".join(sorted({_NEEDS[name] for name in missing}))
    return f"{' and '.join(missing)} missing: pip install 'fwexport[{extras}]'"


def convert(src: Path, out: Path, spec: ModelSpec) -> None:
    """Write a ``.keras`` file that predicts what the ONNX file ``src`` predicts.

    Its inputs and outputs are those of ``keras_spec(spec)``. Raises NotAModelError for a file that is no ONNX
    model, ConversionError with every node that cannot be converted.
    """
    keras_model.save(to_keras(src, spec), out, keras_spec(spec))


def to_keras(src: Path, spec: ModelSpec) -> Any:
    """The ``keras.Model`` of an ONNX file. Raises as ``convert`` does."""
    from exporter.conversions.onnx2keras import graph as graphs
    from exporter.conversions.onnx2keras import lower, names, plan, registry, simplify

    graph = simplify.simplify(graphs.read(src, registry.operators()))
    registry.check_supported(graph)
    rules = {op: operator.layout for op, operator in registry.operators().items()}
    inputs = _layouts("input", spec.inputs, graph.inputs, graph)
    outputs = _layouts("output", spec.outputs, graph.outputs, graph)
    planned = plan.plan(graph, rules, inputs, outputs)
    return lower.lower(graph, planned, names.valid(spec.name, "model"))


def keras_spec(spec: ModelSpec) -> ModelSpec:
    """The Keras side of an ONNX model: tensors declared NCHW (NCW, NCDHW) are NHWC, the others as they were."""
    return replace(
        spec,
        inputs=tuple(_keras_tensor(tensor) for tensor in spec.inputs),
        outputs=tuple(_keras_tensor(tensor) for tensor in spec.outputs),
    )


artifact_spec = keras_spec


def keras_order(tensor: TensorSpec) -> tuple[int, ...]:
    """Axis i of the Keras model's input or output is axis ``order[i]`` of ONNX's."""
    rank = len(tensor.shape)
    first = rank > 2 and tensor.layout.startswith("NC")
    return (0, *range(2, rank), 1) if first else tuple(range(rank))


def _keras_tensor(tensor: TensorSpec) -> TensorSpec:
    from exporter.conversions.onnx2keras.names import keras_name

    order = keras_order(tensor)
    return replace(
        tensor,
        name=keras_name(tensor.name),
        shape=tuple(tensor.shape[axis] for axis in order),
        layout="".join(tensor.layout[axis] for axis in order) if tensor.layout else "",
    )


def _layouts(
    what: str, tensors: tuple[TensorSpec, ...], names: tuple[str, ...], graph: Graph
) -> dict[str, Layout]:
    """The layouts of the model's inputs or outputs. Raises ConversionError when the file has others than the spec."""
    from exporter.conversions.onnx2keras.layout import Layout

    declared = {tensor.name: tensor for tensor in tensors}
    if set(declared) != set(names):
        raise ConversionError(
            f"the ONNX file has the {what}s {', '.join(names)}; it was declared with {', '.join(declared)}."
        )
    for name, tensor in declared.items():
        if len(tensor.shape) != graph.rank(name):
            raise ConversionError(
                f"{what} {name!r} has shape {graph.shape(name)}; it was declared {tensor.shape}."
            )
    return {name: Layout(keras_order(declared[name])) for name in names}
