"""``model.json`` and its weight shards, as TF.js 4.22 reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from runtimes.base import Array

FILE = "model.json"
SHARD_BYTES = 4 * 1024 * 1024

# TF.js has one type of float and one of integer: a wider or narrower one is stored as that.
_STORED = {"f": "float32", "i": "int32", "u": "int32", "b": "bool"}
# The same for the types that the signature tells to the caller.
_SIGNATURE_DTYPES = {
    "DT_DOUBLE": "DT_FLOAT",
    "DT_HALF": "DT_FLOAT",
    "DT_BFLOAT16": "DT_FLOAT",
    "DT_INT64": "DT_INT32",
    "DT_INT16": "DT_INT32",
    "DT_INT8": "DT_INT32",
    "DT_UINT8": "DT_INT32",
}


@dataclass(frozen=True)
class Weight:
    """A constant of the graph, little-endian, in a type that TF.js has. A scalar's shape is ``()``."""

    name: str
    data: Array


def take_weights(graph_def: Any) -> list[Weight]:
    """Move the values of all constants out of the graph. Raises ValueError for one that TF.js cannot hold."""
    from tensorflow.python.framework.tensor_util import MakeNdarray

    weights = []
    for node in graph_def.node:
        if node.op == "Const":
            tensor = node.attr["value"].tensor
            weights.append(Weight(node.name, stored(node.name, MakeNdarray(tensor))))
            header = type(tensor)(dtype=tensor.dtype, tensor_shape=tensor.tensor_shape)
            tensor.CopyFrom(header)
    return weights


def stored(name: str, value: Array) -> Array:
    """``value`` as float32, int32 or bool, shape kept. Raises ValueError when it does not fit."""
    kind = "f" if value.dtype.name == "bfloat16" else value.dtype.kind
    if kind not in _STORED:
        raise ValueError(f"{name} is a constant of type {value.dtype}")
    if kind in "iu" and value.size:
        limits = np.iinfo(np.int32)
        if value.min() < limits.min or value.max() > limits.max:
            raise ValueError(f"{name} holds {value.min()} to {value.max()}, and TF.js has only int32")
    return value.astype(np.dtype(_STORED[kind]).newbyteorder("<"), copy=False)


def shards(weights: Sequence[Weight], size: int = SHARD_BYTES) -> dict[str, bytes]:
    """File name to content: the weights one after another, cut every ``size`` bytes."""
    data = b"".join(weight.data.tobytes() for weight in weights)
    count = -(-len(data) // size)
    return {f"group1-shard{i + 1}of{count}.bin": data[i * size : (i + 1) * size] for i in range(count)}


def manifest(weights: Sequence[Weight], paths: Sequence[str]) -> list[dict[str, Any]]:
    """``weightsManifest``: one group."""
    described = [
        {"name": weight.name, "shape": list(weight.data.shape), "dtype": weight.data.dtype.name}
        for weight in weights
    ]
    return [{"paths": list(paths), "weights": described}]


def document(
    graph_def: Any,
    signature: Any,
    inputs: Sequence[str],
    outputs: Sequence[str],
    weights_manifest: list[dict[str, Any]],
    *,
    generated_by: str,
    converted_by: str,
    metadata: Mapping[str, str],
) -> bytes:
    """The text of ``model.json``; ``inputs`` and ``outputs`` give the order of the signature's names."""
    from google.protobuf.json_format import MessageToDict

    found = MessageToDict(signature)
    return msgspec.json.encode(
        {
            "format": "graph-model",
            "generatedBy": generated_by,
            "convertedBy": converted_by,
            "signature": {
                "inputs": {name: _tensor(found["inputs"][name]) for name in inputs},
                "outputs": {name: _tensor(found["outputs"][name]) for name in outputs},
            },
            "userDefinedMetadata": dict(metadata),
            "modelTopology": MessageToDict(graph_def),
            "weightsManifest": weights_manifest,
        }
    )


def _tensor(info: dict[str, Any]) -> dict[str, Any]:
    return {**info, "dtype": _SIGNATURE_DTYPES.get(info["dtype"], info["dtype"])}
