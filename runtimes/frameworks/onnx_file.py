"""An ONNX file as it lies on the disk: its inputs, outputs, operators and metadata, read without a library.

The numbers of the fields are those of ``onnx.proto``; the encoding is protobuf's.
"""

from __future__ import annotations

import mmap
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from runtimes.base import Inspection
from runtimes.bundle import TensorSpec
from runtimes.errors import NotAModelError

# TensorProto.DataType, from 0 on, by NumPy's names.
_DTYPES = (
    *("undefined", "float32", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool"),
    *("float16", "float64", "uint32", "uint64", "complex64", "complex128", "bfloat16"),
)
_HALVES = ("float16", "bfloat16")
# Operators that quantise or compute with quantised numbers begin so; the others end in Integer.
_QUANTIZED = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantize", "QLinear", "QGemm", "QAttention")

# A message: the values of each field, in their order. A value is an integer, or the bytes of anything longer.
Message = dict[int, list[Any]]


def inspect(path: Path) -> Inspection:
    """What the file says of itself. Raises NotAModelError."""
    return _read(path, _inspection)


def beside(path: Path) -> dict[str, Path]:
    """The files that hold weights of this one, by the names that it has for them. Raises NotAModelError."""
    found = {name: path.parent / name for name in _read(path, _locations)}
    folder = path.parent.resolve()
    for name, file in found.items():
        if not file.is_file() or folder not in file.resolve().parents:
            raise NotAModelError(f"{path} keeps weights in {name}, which is not beside it. Copy both.")
    return found


T = TypeVar("T")


def _read(path: Path, reading: Callable[[memoryview], T]) -> T:
    try:
        with path.open("rb") as file:
            return reading(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
    except OSError as error:
        raise NotAModelError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, IndexError, KeyError, TypeError) as error:
        raise NotAModelError(f"{path} is no ONNX file, or a damaged one: {error!r}.") from None


def _locations(content: memoryview) -> list[str]:
    """The files of a graph's initializers whose data lie elsewhere (data_location is EXTERNAL), each once."""
    graph = _message(_message(content)[7][0])
    tensors = [tensor for tensor in map(_message, graph.get(5, ())) if tensor.get(14) == [1]]
    entries = [_message(entry) for tensor in tensors for entry in tensor.get(13, ())]
    return list(dict.fromkeys(_text(entry, 2) for entry in entries if _text(entry, 1) == "location"))


def _inspection(content: memoryview) -> Inspection:
    model = _message(content)
    graph = _message(model[7][0])
    stored = {_text(tensor, 8): _dtype(tensor, 2) for tensor in map(_message, graph.get(5, ()))}
    ops = Counter(_text(_message(node), 4) for node in graph.get(1, ()))
    entries = map(_message, model.get(14, ()))
    return Inspection(
        tuple(spec for spec in map(_spec, graph.get(11, ())) if spec.name not in stored),
        tuple(map(_spec, graph.get(12, ()))),
        dict(sorted(ops.items())),
        {_text(entry, 1): _text(entry, 2) for entry in entries},
        ", ".join(sorted(_quantized(ops, set(stored.values())))),
    )


def _quantized(ops: Counter[str], stored: set[str]) -> set[str]:
    """The types below float32 of the weights, and of what is quantised."""
    found = stored & set(_HALVES)
    if any(op.startswith(_QUANTIZED) or op.endswith("Integer") for op in ops):
        found |= stored & {"int8", "uint8"} or {"int8"}
    return found


def _spec(content: memoryview) -> TensorSpec:
    """A ValueInfoProto. An axis without a number is dynamic."""
    value = _message(content)
    kind = _message(value[2][0]) if 2 in value else {}
    tensor = _message(kind[1][0]) if 1 in kind else {}  # no type, which is inferred; or a sequence or a map
    axes = [_message(axis) for shape in tensor.get(2, ()) for axis in _message(shape).get(1, ())]
    return TensorSpec(
        _text(value, 1), _dtype(tensor, 1), tuple(axis[1][0] if 1 in axis else None for axis in axes)
    )


def _dtype(message: Message, field: int) -> str:
    number = message.get(field, [0])[0]
    return _DTYPES[number] if number < len(_DTYPES) else f"type {number}"


def _text(message: Message, field: int) -> str:
    return bytes(message[field][0]).decode() if field in message else ""


def _message(content: memoryview) -> Message:
    found: Message = {}
    for field, value in _fields(content):
        found.setdefault(field, []).append(value)
    return found


def _fields(content: memoryview) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        field, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(content, at)
            yield field, value
            continue
        if kind == 2:
            size, at = _varint(content, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"wire type {kind} at byte {at}")
        if at + size > len(content):
            raise ValueError(f"a field of {size} bytes at byte {at} of {len(content)}")
        yield field, content[at : at + size]
        at += size


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
