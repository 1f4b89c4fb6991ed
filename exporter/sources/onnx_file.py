"""An ``.onnx`` file of any exporter, weights inside or in files beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from exporter import describe
from exporter.conversions.onnx2keras.graph import OLDEST_OPSET
from exporter.frameworks import onnx_model
from exporter.metadata import metadata
from exporter.source_kind import Brought, Given, missing
from runtimes.base import Session
from runtimes.bundle import ModelSpec
from runtimes.errors import NotAModelError
from runtimes.formats import recognised
from runtimes.machine import versions_of
from runtimes.reference import Variant

FRAMEWORK = "onnx"
PROCESS = "onnx"
OPTIONS: tuple[str, ...] = ()
UNREACHABLE: dict[str, str] = {}

WEIGHTS = "model.onnx"


def recognises(given: Given) -> bool:
    """Whether it reads as a ModelProto."""
    return recognised(given.path) == "onnx"


def check() -> str | None:
    """None, or how to get onnx."""
    return missing("onnx", "onnx")


def bring(given: Given, folder: Path) -> Brought:
    """Keep the model as one file, with the sizes of its inputs and what fwexport knows of it inside."""
    import onnx

    model = onnx_model.read(given.path)
    opset = max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=0)
    if opset < OLDEST_OPSET:
        raise NotAModelError(
            f"{given.source} has ONNX opset {opset}; fwexport reads {OLDEST_OPSET} and later."
        )
    inputs = describe.inputs(given, onnx_model.inputs(model), "")
    onnx_model.with_shapes(model, inputs)
    run = onnx_model.evaluator(model)
    fixed = inputs[0].shape[0]
    runs = []
    for batch in (fixed,) if fixed else describe.PROBE_BATCHES:
        arrays = describe.probe(inputs, batch)
        try:
            runs.append(run({spec.name: array for spec, array in zip(inputs, arrays, strict=True)}))
        except Exception as error:
            shapes = ", ".join(str(list(array.shape)) for array in arrays)
            raise NotAModelError(
                f"{given.source} does not run on inputs of shape {shapes}: {error}"
            ) from error
    names = [output.name for output in model.graph.output]
    outputs = describe.outputs(names, runs, inputs, given.output_kind)
    spec = describe.checked(ModelSpec(given.name, inputs, outputs, given.labels, given.preprocessing or ()))
    onnx.helper.set_model_props(model, {**{p.key: p.value for p in model.metadata_props}, **metadata(spec)})
    onnx.save(model, str(folder / WEIGHTS))
    return Brought(
        weights=WEIGHTS,
        model=spec,
        parameters=sum(int(np.prod(tensor.dims)) for tensor in model.graph.initializer),
        versions=versions_of("onnx"),
    )


def open_session(folder: Path, variant: Variant) -> Session:
    """The graph in the variant's precision, by ONNX's reference implementation."""
    return onnx_model.OnnxSession(folder, variant)
