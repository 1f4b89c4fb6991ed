"""``model.json`` of a TF.js graph model, read without TF.js: its signature, operators, metadata and the sizes of its shards."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from runtimes.base import Inspection
from runtimes.bundle import METADATA, ModelSpec, TensorSpec
from runtimes.errors import NotAModelError

MODEL = "model.json"

# The types of the graph, as TF.js computes them, and those of its weights.
_DTYPES = {
    "DT_FLOAT": "float32",
    "DT_DOUBLE": "float32",
    "DT_HALF": "float32",
    "DT_INT32": "int32",
    "DT_INT64": "int32",
    "DT_INT16": "int32",
    "DT_INT8": "int32",
    "DT_UINT8": "int32",
    "DT_BOOL": "bool",
    "DT_STRING": "string",
    "DT_COMPLEX64": "complex64",
}
_WEIGHT_BYTES = {
    "float32": 4,
    "int32": 4,
    "bool": 1,
    "float16": 2,
    "uint8": 1,
    "uint16": 2,
    "complex64": 8,
}
_FULL = ("float32", "int32", "bool", "string", "complex64")
_PLUMBING = ("Placeholder", "Const", "NoOp", "Identity")


def inspect(path: Path) -> Inspection:
    """The signature, the operators and the metadata of ``model.json``; its shards must be there, whole."""
    return read(path)[0]


def read(path: Path) -> tuple[Inspection, tuple[str, ...]]:
    """The same, and the files that hold the weights, beside ``model.json``. Raises NotAModelError."""
    document = _read(path)
    shards = tuple(name for group in document["weightsManifest"] for name in group["paths"])
    signature = document["signature"]
    ops = Counter(op["op"] for op in document["modelTopology"].get("node", ()) if op["op"] not in _PLUMBING)
    texts = {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in (document.get("userDefinedMetadata") or {}).items()
    }
    known = _known(texts)
    found = Inspection(
        _specs(signature.get("inputs", {}), known.inputs if known else ()),
        _specs(signature.get("outputs", {}), known.outputs if known else ()),
        dict(sorted(ops.items())),
        texts,
        ", ".join(sorted(_stored_types(document) - set(_FULL))),
    )
    return found, shards


def _read(path: Path) -> dict[str, Any]:
    """``model.json``, after a look at the size of its shards. Raises NotAModelError."""
    try:
        document = msgspec.json.decode((path / MODEL).read_bytes(), type=dict[str, Any])
        if document.get("format", "graph-model") != "graph-model":
            raise NotAModelError(
                f"{path / MODEL} is a TF.js {document['format']}; only a graph-model can be run here."
            )
        if not isinstance(document.get("signature"), dict):
            raise NotAModelError(f"{path / MODEL} has no signature, so its inputs and outputs have no names.")
        for group in document["weightsManifest"]:
            _check_shards(path, group)
        document["modelTopology"].get("node")
    except (FileNotFoundError, NotADirectoryError):
        raise NotAModelError(f"{path} is no TF.js model: it has no {MODEL}.") from None
    except OSError as error:
        raise NotAModelError(f"{path} cannot be read: {error.strerror}.") from error
    except msgspec.DecodeError as error:
        raise NotAModelError(f"{path / MODEL} is damaged: {error}.") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise NotAModelError(f"{path / MODEL} is no TF.js graph model: {error!r}.") from None
    return document


def _check_shards(path: Path, group: dict[str, Any]) -> None:
    missing = [name for name in group["paths"] if not (path / name).is_file()]
    if missing:
        raise NotAModelError(
            f"{path} lacks {', '.join(missing)}, which {MODEL} lists. Copy the whole folder."
        )
    if any(weight["dtype"] == "string" for weight in group["weights"]):  # its length is in its data
        return
    needed = sum(_weight_bytes(weight) for weight in group["weights"])
    found = sum((path / name).stat().st_size for name in group["paths"])
    if found != needed:
        raise NotAModelError(
            f"the weights in {path} are {found} bytes, and {MODEL} describes {needed}: "
            f"{', '.join(group['paths'])} cut short or changed. Copy the folder again."
        )


def _stored_types(document: dict[str, Any]) -> set[str]:
    """The types in which the files hold the weights, which TF.js widens as it reads them."""
    weights = [weight for group in document["weightsManifest"] for weight in group["weights"]]
    return {weight.get("quantization", weight)["dtype"] for weight in weights}


def _weight_bytes(weight: dict[str, Any]) -> int:
    stored: str = weight.get("quantization", weight)["dtype"]
    count: int = math.prod(weight["shape"])
    return count * _WEIGHT_BYTES[stored]


def _specs(tensors: dict[str, Any], known: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
    """The signature's tensors; their kind by the metadata where names agree, their layout where shapes do too.

    The metadata is the source's, which may have its axes in another order.
    """
    by_name = {spec.name: spec for spec in known}
    specs = []
    for name, info in tensors.items():
        sizes = [int(dim.get("size", 0)) for dim in info.get("tensorShape", {}).get("dim", ())]
        shape = tuple(None if size < 0 else size for size in sizes)
        spec = TensorSpec(name, _DTYPES.get(info["dtype"], info["dtype"]), shape)
        if name in by_name:
            layout = by_name[name].layout if by_name[name].shape == shape else ""
            spec = replace(spec, layout=layout, kind=by_name[name].kind)
        specs.append(spec)
    return tuple(specs)


def _known(texts: dict[str, str]) -> ModelSpec | None:
    """The ModelSpec that an export of ours carries."""
    try:
        return msgspec.json.decode(texts[METADATA], type=ModelSpec)
    except (KeyError, msgspec.DecodeError):
        return None
