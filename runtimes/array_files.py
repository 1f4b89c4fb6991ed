"""Arrays in ``.npz`` and ``.npy`` files, read a few rows at a time: a million samples take no more memory than a thousand."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from runtimes.base import Array
from runtimes.errors import UsageError

_MAGIC = b"\x93NUMPY"
_DAMAGED = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, AttributeError, TypeError)


@dataclass(frozen=True)
class ArrayFile:
    """An array in a file, of which only the head has been read. ``member`` is "" in a ``.npy``."""

    path: Path
    member: str
    shape: tuple[int, ...]
    dtype: np.dtype
    is_fortran: bool

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def __len__(self) -> int:
        """The number of rows."""
        return self.shape[0]

    def chunks(self, rows: int) -> Iterator[Array]:
        """The array from its first row on, ``rows`` at a time, the last chunk with what is left.

        One in Fortran's order has its rows scattered, and is read as a whole. Raises UsageError where the file ends early.
        """
        with _reading(self.path), _stream(self.path, self.member) as stream:
            if self.is_fortran:
                whole = np.lib.format.read_array(stream, allow_pickle=False)
                yield from (whole[at : at + rows] for at in range(0, len(whole), rows))
                return
            _head(stream)
            for at in range(0, len(self), rows):
                count = min(rows, len(self) - at)
                yield self._read(stream, count)

    def _read(self, stream: IO[bytes], rows: int) -> Array:
        shape = (rows, *self.shape[1:])
        size = math.prod(shape) * self.dtype.itemsize
        content = stream.read(size)
        if len(content) != size:
            raise EOFError(f"{self.member or 'it'} ends early")
        return np.frombuffer(content, self.dtype).reshape(shape)


def open_arrays(path: Path) -> dict[str, ArrayFile]:
    """The arrays of a ``.npz`` by name, or the one of a ``.npy`` as "". Raises UsageError for what is neither."""
    with _reading(path):
        with path.open("rb") as file:
            is_npy = file.read(len(_MAGIC)) == _MAGIC
        if is_npy:
            return {"": _open(path, "")}
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".npy")]
        return {name.removesuffix(".npy"): _open(path, name) for name in names}


def _open(path: Path, member: str) -> ArrayFile:
    with _stream(path, member) as stream:
        shape, is_fortran, dtype = _head(stream)
    if dtype.hasobject:
        raise ValueError(f"{member or 'it'} holds Python objects, which are not loaded")
    return ArrayFile(path, member, shape, dtype, is_fortran and len(shape) > 1)


def _head(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, is_fortran, dtype = read(stream)
    return shape, is_fortran, dtype


@contextmanager
def _stream(path: Path, member: str) -> Iterator[IO[bytes]]:
    if not member:
        with path.open("rb") as file:
            yield file
        return
    with zipfile.ZipFile(path) as archive, archive.open(member) as file:
        yield file


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what a missing or damaged file raises into a UsageError."""
    try:
        yield
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist.") from None
    except _DAMAGED as error:
        raise UsageError(f"{path} cannot be read as .npz: {error}") from None
