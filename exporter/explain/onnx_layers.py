"""Every value of an ONNX graph, by ONNX's own reference implementation. Runs in a child that has onnx."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from exporter.explain.source_layers import Run, Value
from exporter.frameworks import onnx_model
from exporter.source_folder import open_source
from runtimes.base import Feeds
from runtimes.reference import Variant


def open_values(folder: Path, variant: Variant) -> Run:
    """The values of the source's graph, in the variant's precision; those inside loops and branches are not seen."""
    source = open_source(folder)
    model = onnx_model.read(folder / source.weights)
    double = variant.precision == "float64"
    if double:
        model = onnx_model.as_float64(model)
    given = {spec.name for spec in source.model.inputs}
    nodes = _dependent(model.graph, given)
    del model.graph.output[:]
    names = [name for node in nodes for name in node.output if name]
    import onnx

    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    evaluate = onnx_model.evaluator(model)

    def run(feeds: Feeds) -> list[Value]:
        wide = {
            name: array.astype(np.float64) if double and array.dtype == np.float32 else array
            for name, array in feeds.items()
        }
        arrays = dict(zip(names, evaluate(wide), strict=True))
        return [
            Value(name, node.op_type, tuple(node.input), arrays[name])
            for node in nodes
            for name in node.output
            if name and arrays[name].dtype.kind == "f"
        ]

    return run


def _dependent(graph: Any, given: set[str]) -> list[Any]:
    """The nodes whose values depend on the model's inputs."""
    known, found = set(given), []
    for node in graph.node:
        if known.intersection(node.input):
            known.update(node.output)
            found.append(node)
    return found
