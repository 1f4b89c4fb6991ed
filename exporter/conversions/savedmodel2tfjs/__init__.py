"""SavedModel to a TF.js graph model: a folder with ``model.json`` and ``group1-shardNofM.bin``.

TensorFlow's own optimiser folds the graph, in the pass order of the official converter (tensorflowjs 4.22, Apache-2.0,
https://github.com/tensorflow/tfjs), which cannot be installed beside the TensorFlow used here. What TF.js has no kernel
for, or a wrong one, is said otherwise (``substitutes``), what follows a convolution or dense layer is folded into it
(``folding``), and what TF.js has fused kernels for becomes one operator (``fuse``).
"""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from importlib import metadata as distributions
from pathlib import Path

from exporter.conversions.savedmodel2tfjs import graph, model_json
from exporter.frameworks.keras_export import MAX_UNROLLED_STEPS
from exporter.metadata import metadata
from runtimes.bundle import ModelSpec, TensorSpec
from runtimes.errors import ConversionError
from runtimes.files import writing_to

SOURCE = "savedmodel"
TARGET = "tfjs"
PROCESS = "tensorflow"
FIXES_BATCH = False
# TF.js has one type of float and one of integer.
_DTYPES = {"float64": "float32", "float16": "float32"} | dict.fromkeys(
    ("int64", "int16", "int8", "uint8"), "int32"
)

VERSION = "1"


def artifact_spec(spec: ModelSpec) -> ModelSpec:
    """The same tensors in the types that TF.js has."""
    return replace(spec, inputs=_stored(spec.inputs), outputs=_stored(spec.outputs))


def _stored(tensors: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
    return tuple(replace(tensor, dtype=_DTYPES.get(tensor.dtype, tensor.dtype)) for tensor in tensors)


def check() -> str | None:
    """None, or how to get what is missing."""
    if importlib.util.find_spec("tensorflow") is None:
        return "TensorFlow is missing: pip install 'fwexport[tensorflow]'"
    return None


def convert(src: Path, out: Path, spec: ModelSpec) -> None:
    """Create the folder ``out`` from the SavedModel ``src``, or from the version folder in it.

    The signature in ``model.json`` has the names of ``spec``. Raises ConversionError for a SavedModel without
    them, and for an operator that TF.js does not have, by its name.
    """
    import tensorflow as tf

    version = src if (src / "saved_model.pb").exists() else src / VERSION
    frozen = graph.freeze(version, spec)
    if graph.has_loops(frozen.graph_def):
        raise ConversionError(
            f"{spec.name} has loops, which are not exported to TF.js: it does not run them as TensorFlow writes them. "
            f"Recurrent layers of up to {MAX_UNROLLED_STEPS} steps are written out where the source has layers (a .keras "
            "file, PyTorch, ONNX); shorten the sequence, or leave out the format tfjs."
        )
    topology = graph.optimise(frozen)
    unsupported = graph.unsupported(topology)
    if unsupported:
        raise ConversionError(
            f"TF.js cannot run {spec.name}: it has no operator for {', '.join(unsupported)}. "
            "Replace the layers that use it, or leave out the format tfjs."
        )
    try:
        weights = model_json.take_weights(topology)
    except ValueError as error:
        raise ConversionError(f"TF.js cannot hold the weights of {spec.name}: {error}") from error
    shards = model_json.shards(weights)
    document = model_json.document(
        topology,
        frozen.signature,
        [tensor.name for tensor in spec.inputs],
        [tensor.name for tensor in spec.outputs],
        model_json.manifest(weights, list(shards)),
        generated_by=tf.__version__,
        converted_by=f"fwexport {distributions.version('fwexport')}",
        metadata=metadata(artifact_spec(spec)),
    )
    with writing_to(out):
        out.mkdir(parents=True)
        for name, content in shards.items():
            (out / name).write_bytes(content)
        (out / model_json.FILE).write_bytes(document)
