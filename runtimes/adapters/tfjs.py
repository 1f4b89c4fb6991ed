"""TF.js graph models in Node: the WebAssembly backend and the plain JavaScript one (``js``), on one thread."""

from __future__ import annotations

import json
import math
import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, cast

import msgspec
import numpy as np

from runtimes.base import Array, Feeds, Inspection, Session, SessionOptions
from runtimes.bundle import METADATA, ModelSpec, TensorSpec
from runtimes.errors import NotAModelError, UnavailableError
from runtimes.frameworks import node

FORMATS = ("tfjs",)
DEVICES = {"cpu": ("wasm", "js")}
PRECISIONS = ("float32",)
THREADS: Literal["session", "process"] = "session"
IN_BROWSER = False
FIXED_BATCH: tuple[str, ...] = ()

SCRIPT = "node_session.mjs"
MODEL = "model.json"
# Each backend's name in TF.js.
_BACKENDS = {"wasm": "wasm", "js": "cpu"}
_PACKAGES = tuple(f"@tensorflow/tfjs-{part}" for part in ("core", "converter", "backend-cpu", "backend-wasm"))

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


def check(device: str) -> str | None:
    """None, or what is missing."""
    del device
    return node.check(*_PACKAGES)


def versions() -> dict[str, str]:
    """Node's and TF.js's."""
    found = node.find_node()
    packages = {name: node.package_version(name) for name in _PACKAGES}
    return {
        **({"node": found.version} if found else {}),
        **{name: version for name, version in packages.items() if version is not None},
    }


def inspect(path: Path) -> Inspection:
    """The signature, the operators and the metadata of ``model.json``; its shards must be there, whole."""
    document = _read(path)
    signature = document["signature"]
    ops = Counter(op["op"] for op in document["modelTopology"].get("node", ()) if op["op"] not in _PLUMBING)
    texts = {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in (document.get("userDefinedMetadata") or {}).items()
    }
    known = _known(texts)
    return Inspection(
        _specs(signature.get("inputs", {}), known.inputs if known else ()),
        _specs(signature.get("outputs", {}), known.outputs if known else ()),
        dict(sorted(ops.items())),
        texts,
        ", ".join(sorted(_stored_types(document) - set(_FULL))),
    )


def load(path: Path, device: str, options: SessionOptions) -> Session:
    """The model in a Node process of its own, which has one thread and no GPU."""
    if options.threads not in (None, 1):
        raise UnavailableError(
            f"TF.js in Node computes on one thread; {options.threads} were asked for. Ask for 1, or for none."
        )
    backend = options.backend or DEVICES["cpu"][0]
    if device != "cpu" or backend not in DEVICES["cpu"]:
        raise UnavailableError(
            f"TF.js in Node has {', '.join(_BACKENDS)} on the CPU, and no {backend} on {device}."
        )
    return TfjsSession(path, backend)


def trace(path: Path, device: str, options: SessionOptions, feeds: Feeds) -> dict[str, Array]:
    """The first output of every node of the graph that computes, by the node's name."""
    session = TfjsSession(path, options.backend or DEVICES[device][0])
    try:
        return session.trace(feeds)
    finally:
        session.close()


class TfjsSession(Session):
    """A graph model in Node. The clock of ``sample`` runs there."""

    def __init__(self, path: Path, backend: str) -> None:
        found = inspect(path)
        self.inputs, self.outputs, self.metadata = found.inputs, found.outputs, found.metadata
        self._released: list[int] = []
        self.node = node.NodeProcess(SCRIPT)
        try:
            opened, _ = self.node.ask("load", model=str(path.resolve()), backend=_BACKENDS[backend])
        except BaseException as error:
            self.node.close()
            if isinstance(error, NotAModelError):
                raise NotAModelError(f"{path} is no graph model that TF.js can load: {error}") from error
            raise
        self._proof, self.threads = str(opened["proof"]), 1
        self.pids = (self.node.pid,)
        self.library_s, self.library_rss_bytes = opened["library_ms"] / 1e3, int(opened["library_rss_bytes"])
        self.settings = {"backend": _BACKENDS[backend]}

    def run(self, feeds: Feeds) -> dict[str, Array]:
        described, blobs = _pack(feeds)
        outputs, content = self.node.ask("run", blobs, feeds=described)
        return _unpack(outputs, content)

    def prove(self) -> str:
        return self._proof

    def trace(self, feeds: Feeds) -> dict[str, Array]:
        """What every node that computes gives for these inputs."""
        described, blobs = _pack(feeds)
        values, content = self.node.ask("trace", blobs, feeds=described)
        return _unpack(values, content)

    def bind(self, feeds: Feeds) -> Callable[[], None]:
        """Inputs in the backend's memory, until the result is dropped; a call includes the way to Node and back."""
        if self._released:
            released, self._released = self._released, []
            self.node.ask("release", ids=released)
        described, blobs = _pack(feeds)
        bound, _ = self.node.ask("bind", blobs, feeds=described)
        call = _Bound(self, int(bound))
        weakref.finalize(call, self._released.append, call.id)
        return call

    def sample(
        self, calls: Sequence[Callable[[], object]], seconds: float, at_least: int, at_most: int
    ) -> Array:
        """Nanoseconds of single runs, until the outputs are in JavaScript; by Node's own clock."""
        ids = [cast(_Bound, call).id for call in calls]
        _, content = self.node.ask("sample", ids=ids, seconds=seconds, at_least=at_least, at_most=at_most)
        times: Array = np.rint(np.frombuffer(content, "<f8")).astype(np.int64)
        return times

    def close(self) -> None:
        """End Node."""
        self.node.close()


class _Bound:
    """Inputs that Node holds, by their number."""

    def __init__(self, session: TfjsSession, id: int) -> None:
        self._session = session
        self.id = id

    def __call__(self) -> None:
        self._session.sample([self], 0.0, 1, 1)


def _pack(feeds: Feeds) -> tuple[list[dict[str, Any]], list[bytes]]:
    described = [
        {"name": name, "dtype": array.dtype.name, "shape": list(array.shape)} for name, array in feeds.items()
    ]
    return described, [array.astype(array.dtype.newbyteorder("<")).tobytes() for array in feeds.values()]


def _unpack(described: Sequence[dict[str, Any]], content: memoryview) -> dict[str, Array]:
    arrays, at = {}, 0
    for tensor in described:
        dtype = np.dtype(tensor["dtype"]).newbyteorder("<")
        count = math.prod(tensor["shape"])
        arrays[tensor["name"]] = np.frombuffer(content, dtype, count, at).reshape(tensor["shape"]).copy()
        at += count * dtype.itemsize
    return arrays


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
