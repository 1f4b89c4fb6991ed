"""Faults in an artifact itself. A number is found by its value, which no layout changes, so that one way fits all formats."""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from runtimes.base import Array

# What becomes of the head's kernel, (inputs, classes).
Change = Callable[[Array], Array]


def _with(kernel: Array, value: float) -> Array:
    changed = kernel.copy()
    changed[5, 3] = value
    return changed


def _an_epoch_older(kernel: Array) -> Array:
    older: Array = kernel * (1 + 1e-3 * np.random.default_rng(2).standard_normal(kernel.shape))
    return older.astype(np.float32)


NUMBERS: dict[str, Change] = {
    "NaN in the file": lambda kernel: _with(kernel, np.nan),
    "Inf in the file": lambda kernel: _with(kernel, np.inf),
    "weight changed in the file": lambda kernel: _with(kernel, kernel[5, 3] * (1 + 1e-3)),
    "stale head in the file": _an_epoch_older,
}
# The share of the numbers that must be in a file just once: another weight may have the value of one of them.
UNIQUE = 0.95


def substituted(content: bytes, old: Array, new: Array) -> bytes:
    """``content`` with the float32 numbers of ``old`` that differ written as those of ``new``.

    One that is there more than once is left alone. Raises ValueError unless nearly all are there exactly once.
    """
    bits = np.dtype("<u4")
    wanted = np.ravel(old).astype("<f4").view(bits)
    given = np.ravel(new).astype("<f4").view(bits)
    differ = wanted != given
    wanted, given = wanted[differ], given[differ]
    order = np.argsort(wanted)
    wanted, given = wanted[order], given[order]
    places: list[list[int]] = [[] for _ in wanted]
    for start in range(bits.itemsize):
        numbers = np.frombuffer(content, bits, (len(content) - start) // bits.itemsize, start)
        at = np.searchsorted(wanted, numbers).clip(max=len(wanted) - 1)
        for place in np.flatnonzero(wanted[at] == numbers):
            places[at[place]].append(start + bits.itemsize * int(place))
    once = [number for number, found in enumerate(places) if len(found) == 1]
    if len(once) < UNIQUE * len(wanted):
        raise ValueError(f"of {len(wanted)} numbers {len(once)} are in the file once")
    changed = bytearray(content)
    for number in once:
        [offset] = places[number]
        changed[offset : offset + bits.itemsize] = given[number].tobytes()
    return bytes(changed)


def rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Change the bytes of an artifact, and not their number: of a folder's files, or a zip's members, all together."""
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        parts = _changed([file.read_bytes() for file in files], change)
        for file, part in zip(files, parts, strict=True):
            file.write_bytes(part)
    elif path.suffix in (".keras", ".torchscript"):
        with zipfile.ZipFile(path) as archive:
            names = archive.infolist()
            parts = _changed([archive.read(name) for name in names], change)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for name, part in zip(names, parts, strict=True):
                archive.writestr(name.filename, part)
    else:
        path.write_bytes(change(path.read_bytes()))


def _changed(parts: list[bytes], change: Callable[[bytes], bytes]) -> list[bytes]:
    changed = change(b"".join(parts))
    ends = np.cumsum([len(part) for part in parts])
    return [changed[end - len(part) : end] for part, end in zip(parts, ends, strict=True)]


def other_slope(content: bytes) -> bytes:
    """Another slope for the leaky ReLU, of 0.1: as text, or as the four bytes of a float32. Raises ValueError."""
    changed, count = _SLOPE.subn(rb"\g<1>2", content)
    if count:
        assert count == 1
        return changed
    return substituted(content, np.array([0.1], np.float32), np.array([0.2], np.float32))


# Before the 1 of 0.1: how Keras, TF.js and TorchScript write it, in that order.
_SLOPE = re.compile(rb'("negative_slope": 0\.|"leakyrelu_alpha":{"f":0\.|leaky_relu\(\w+, 0\.)1')


def largest(path: Path) -> Path:
    """The artifact's file that has its weights."""
    return (
        max((file for file in path.rglob("*") if file.is_file()), key=lambda file: file.stat().st_size)
        if path.is_dir()
        else path
    )


def _cut(path: Path) -> None:
    file = largest(path)
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 3 // 5])


def _empty(path: Path) -> None:
    largest(path).write_bytes(b"")


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _touch(path: Path) -> None:
    """One bit, in the middle."""
    file = largest(path)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "file cut short": _cut,
    "file empty": _empty,
    "file missing": remove,
    "file changed after export": _touch,
}
# Those whose artifact is another one's, whole.
FOREIGN = ("file of another model", "file of another architecture")
# Those that leave the manifest as it was.
UNDESCRIBED = ("file missing", "file changed after export")
