"""The raw times of every row, in one compressed file beside ``bench.json``: no sample is ever left out.

Two arrays for each name: the nanoseconds one after another, and the number of them in each round of each process, of
shape (processes, rounds). A zip archive reads one member at a time, so a row costs what it has.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from runtimes.base import Array
from runtimes.files import write_npz
from runtimes.rows import BenchRow, bench_name

TIMES = "times.npz"

Rounds = Sequence[Sequence[Array]]

_COUNTS = "/rounds"
# What NumPy raises for a file that is cut short or is none of its own.
_DAMAGED = (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


def name(row: BenchRow, end_to_end: bool = False) -> str:
    """The name of a row's times in the file."""
    return f"{bench_name(row)}/end_to_end" if end_to_end else bench_name(row)


def save(path: Path, fresh: Mapping[str, Rounds], keep: Collection[str] = ()) -> None:
    """Write the fresh times, by name, and those that the file has already of the names in ``keep``."""
    arrays: dict[str, Array] = {}
    for each in keep:
        kept = load(path, each)
        if kept is not None:
            arrays |= _packed(each, kept)
    for each, rounds in fresh.items():
        arrays |= _packed(each, rounds)
    write_npz(path, arrays)


def load(path: Path, name: str) -> list[list[Array]] | None:
    """``[process][round]`` arrays of nanoseconds, int64, or None when the file is not there or damaged, or lacks the name."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            if name not in file.files:
                return None
            flat, counts = file[name].astype(np.int64), file[name + _COUNTS]
    except (FileNotFoundError, *_DAMAGED):
        return None
    ends = np.cumsum(counts.ravel())
    parts = np.split(flat, ends[:-1])
    rounds = counts.shape[1]
    return [parts[start : start + rounds] for start in range(0, len(parts), rounds)]


def _packed(name: str, rounds: Rounds) -> dict[str, Array]:
    flat = np.concatenate([times for process in rounds for times in process])
    counts = np.array([[len(times) for times in process] for process in rounds], np.int32)
    fits = flat.max(initial=0) <= np.iinfo(np.uint32).max
    return {name: flat.astype(np.uint32 if fits else np.uint64), name + _COUNTS: counts}
