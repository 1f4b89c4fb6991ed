"""SavedModel in TensorFlow, on the CPU or a GPU, by its signature ``serving_default``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Literal

import msgspec

from runtimes.base import Array, Feeds, Inspection, Session, SessionOptions
from runtimes.bundle import TensorSpec
from runtimes.errors import NotAModelError
from runtimes.frameworks.tensorflow_device import (
    check,
    device_name,
    keep_graphs,
    versions,
)
from runtimes.frameworks.tensorflow_session import TensorFlowSession
from runtimes.frameworks.tensorflow_trace import computed

__all__ = ["DEVICES", "FORMATS", "PRECISIONS", "THREADS", "check", "inspect", "load", "trace", "versions"]

FORMATS = ("savedmodel",)
DEVICES = {"cpu": ("tensorflow",), "gpu": ("tensorflow",)}
PRECISIONS = ("float32", "tf32")
THREADS: Literal["session", "process"] = "process"
IN_BROWSER = False
FIXED_BATCH: tuple[str, ...] = ()

SIGNATURE = "serving_default"


def inspect(path: Path) -> Inspection:
    """Tensors of ``serving_default``, operators of its graph, and the metadata in ``assets.extra``."""
    version, loaded, function = _read(path)
    del loaded
    ops: Counter[str] = Counter()
    graph = function.graph.as_graph_def()
    ops.update(node.op for node in graph.node)
    for body in graph.library.function:
        ops.update(node.op for node in body.node_def)
    for plumbing in (
        "Placeholder",
        "NoOp",
        "Const",
        "Identity",
        "ReadVariableOp",
        "PartitionedCall",
        "StatefulPartitionedCall",
    ):
        ops.pop(plumbing, None)
    return Inspection(*_specs(function), dict(sorted(ops.items())), _metadata(version))


def load(path: Path, device: str, options: SessionOptions) -> Session:
    """The signature on exactly this device."""
    return _Session(path, device, options)


def trace(path: Path, device: str, options: SessionOptions, feeds: Feeds) -> dict[str, Array]:
    """Every tensor of the signature's graph, its calls inlined."""
    del options
    _, loaded, function = _read(path)
    found = computed(function, feeds, device_name(device))
    del loaded
    return found


class _Session(TensorFlowSession):
    def __init__(self, path: Path, device: str, options: SessionOptions) -> None:
        import tensorflow as tf

        super().__init__(device, options)
        with tf.device(self.where):
            version, self._loaded, self._function = _read(path)
        self.inputs, self.outputs = _specs(self._function)
        self.metadata = _metadata(version)
        self._names = [spec.name for spec in self.outputs]
        keep_graphs(device)

    def tensors(self, feeds: Feeds) -> dict[str, Any]:
        import tensorflow as tf

        return {name: tf.constant(array) for name, array in feeds.items()}

    def compute(self, tensors: dict[str, Any]) -> list[Any]:
        result = self._function(**tensors)
        return [result[name] for name in self._names]


def _read(path: Path) -> tuple[Path, Any, Any]:
    """The version folder, the loaded object (which must outlive its function) and the signature's function."""
    import tensorflow as tf

    version = path if (path / "saved_model.pb").exists() else _latest(path)
    try:
        loaded = tf.saved_model.load(str(version))
        return version, loaded, loaded.signatures[SIGNATURE]
    except KeyError:
        raise NotAModelError(f"{version} has no signature {SIGNATURE!r}") from None
    except Exception as error:
        raise NotAModelError(f"{version} is no SavedModel that TensorFlow can load: {error}") from error


def _metadata(version: Path) -> dict[str, str]:
    extra = version / "assets.extra" / "fwexport.json"
    return msgspec.json.decode(extra.read_bytes(), type=dict[str, str]) if extra.exists() else {}


def _latest(path: Path) -> Path:
    versions = [p for p in path.glob("*") if p.name.isdigit() and (p / "saved_model.pb").exists()]
    if not versions:
        raise NotAModelError(
            f"{path} is no SavedModel: neither it nor a version folder in it has saved_model.pb"
        )
    return max(versions, key=lambda p: int(p.name))


def _specs(function: Any) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    def spec(name: str, tensor: Any) -> TensorSpec:
        shape = () if tensor.shape.rank is None else tuple(tensor.shape.as_list())
        return TensorSpec(name, tensor.dtype.name, shape)

    given = function.structured_input_signature[1]
    return (
        tuple(spec(name, given[name]) for name in given),
        tuple(spec(name, tensor) for name, tensor in function.structured_outputs.items()),
    )
