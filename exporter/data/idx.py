"""A folder of MNIST-format files, plain or ``.gz``: ``idx:DIR``. Fashion-MNIST, KMNIST and EMNIST come so too."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from exporter.data import Dataset, as_images, as_labels, need_place
from runtimes.base import Array
from runtimes.errors import UsageError

_PARTS = ("train-images", "train-labels", "t10k-images", "t10k-labels")


def load(where: str) -> Dataset:
    """The four files of MNIST's names in a folder; ``labels.txt``, a name a line, names the classes."""
    folder = Path(need_place("idx", where))
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder. --data idx:DIR needs one with MNIST's four files.")
    images, labels, held_images, held_labels = (read(_find(folder, part)) for part in _PARTS)
    classes = _names(folder / "labels.txt") or tuple(
        str(k) for k in range(max(10, int(labels.max(initial=0)) + 1))
    )
    return Dataset(
        folder.resolve().name,
        as_images(images, str(folder)),
        as_labels(labels, str(folder)),
        as_images(held_images, str(folder)),
        as_labels(held_labels, str(folder)),
        classes,
    )


def read(path: Path) -> Array:
    """One IDX file of unsigned bytes, in the shape that its header gives. Raises UsageError when it is damaged.

    The format: two zero bytes, the type (8 is uint8), the rank, each size as a big-endian uint32, the data.
    """
    try:
        raw = bytearray(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    if raw[:3] != b"\0\0\x08" or len(raw) < 4 or len(raw) < 4 + 4 * raw[3]:
        raise UsageError(f"{path} is no IDX file of unsigned bytes: it starts with {raw[:4].hex(' ')}.")
    rank = raw[3]
    shape = struct.unpack(f">{rank}I", raw[4 : 4 + 4 * rank])
    data = np.frombuffer(raw, np.uint8, offset=4 + 4 * rank)
    if len(data) != math.prod(shape):
        raise UsageError(
            f"{path} is cut off: its header says {math.prod(shape)} bytes of data, it has {len(data)}."
        )
    return data.reshape(shape)


def _find(folder: Path, part: str) -> Path:
    kind = "idx3" if part.endswith("images") else "idx1"
    candidates = [folder / f"{part}{joint}{kind}-ubyte{end}" for joint in "-." for end in ("", ".gz")]
    for path in candidates:
        if path.is_file():
            return path
    raise UsageError(f"{folder} has no {candidates[0].name}[.gz]. --data idx:DIR needs MNIST's four files.")


def _names(path: Path) -> tuple[str, ...]:
    """The lines of ``labels.txt``; none where there is no such file."""
    if not path.exists():
        return ()
    try:
        return tuple(line.strip() for line in path.read_text("utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}. It holds a class name a line, in UTF-8.") from None
