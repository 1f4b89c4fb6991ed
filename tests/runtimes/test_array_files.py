"""Arrays read a few rows at a time: the same numbers as numpy reads, in a memory that does not grow."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtimes.array_files import open_arrays
from runtimes.errors import UsageError

ARRAYS: dict[str, np.ndarray[Any, Any]] = {
    "floats": np.random.default_rng(0).standard_normal((23, 3, 4)).astype(np.float32),
    "bytes": np.arange(23 * 5, dtype=np.uint8).reshape(23, 5),
    "labels": np.arange(23),
    "fortran": np.asfortranarray(np.arange(46.0).reshape(23, 2)),
    "big_endian": np.arange(23, dtype=">i4"),
    "none": np.zeros((0, 3)),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("rows", [1, 7, 23, 100])
def test_chunks_are_what_numpy_reads(tmp_path: Path, save: Any, rows: int) -> None:
    save(tmp_path / "a.npz", **ARRAYS)
    found = open_arrays(tmp_path / "a.npz")
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert (found[name].shape, found[name].dtype) == (array.shape, array.dtype)
        chunks = list(found[name].chunks(rows))
        assert [len(chunk) for chunk in chunks[:-1]] == [rows] * max(0, len(chunks) - 1)
        np.testing.assert_array_equal(np.concatenate(chunks or [array]), array)


def test_a_npy_is_one_array_without_a_name(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", ARRAYS["floats"])
    [(name, array)] = open_arrays(tmp_path / "a.npy").items()
    assert name == ""
    np.testing.assert_array_equal(np.concatenate(list(array.chunks(5))), ARRAYS["floats"])


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_the_memory_is_that_of_a_chunk(tmp_path: Path, save: Any) -> None:
    peaks = []
    for count in (5_000, 50_000):
        save(tmp_path / "a.npz", x=np.random.default_rng(0).random((count, 64), np.float32))
        tracemalloc.start()
        total = sum(float(chunk.sum()) for chunk in open_arrays(tmp_path / "a.npz")["x"].chunks(1000))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert total == pytest.approx(count * 32, rel=0.01)
    assert peaks[1] < peaks[0] + 200_000, peaks


@pytest.mark.parametrize("content", [b"no array", b"", b"PK\x03\x04 cut", b"\x93NUMPY\x01\x00v\x00{'descr"])
def test_what_is_no_array_is_said(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(UsageError, match=r"a\.npz cannot be read"):
        open_arrays(tmp_path / "a.npz")
    with pytest.raises(UsageError, match="does not exist"):
        open_arrays(tmp_path / "b.npz")


def test_objects_and_short_files_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "objects.npz", x=np.array([{}, {}]))
    with pytest.raises(UsageError, match="Python objects"):
        open_arrays(tmp_path / "objects.npz")
    np.save(tmp_path / "a.npy", ARRAYS["floats"])
    content = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(content[:-40])
    with pytest.raises(UsageError, match="ends early"):
        list(open_arrays(tmp_path / "a.npy")[""].chunks(5))
