"""The ways in which images end up turned between two programs: axes exchanged, mirrored, read in another order. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runtimes.base import Array


def turned(array: Array, layout: str) -> Iterator[tuple[str, str, Array]]:
    """``(name, detail, changed)`` for every such way that changes ``array`` (n, ...) and keeps its shape.

    ``layout`` names the axes, N first. Each way undoes the fault of its name; all but the two of the layout are their
    own inverses.
    """
    if sorted(layout) != sorted("NCHW"):
        return
    rows, columns, channels = (layout.index(letter) for letter in "HWC")
    ways = [
        *_transposed(array, rows, columns),
        (
            "channels reversed (RGB/BGR)",
            "the channels are in the opposite order (RGB for BGR)",
            np.flip(array, channels),
        ),
        *_read_as_other_layout(array, layout),
        ("flipped", "mirrored left to right", np.flip(array, columns)),
        ("flipped", "upside down", np.flip(array, rows)),
        ("flipped", "turned by 180 degrees", np.flip(array, (rows, columns))),
    ]
    for name, detail, changed in ways:
        if changed.shape == array.shape and not np.array_equal(changed, array):
            yield name, detail, np.ascontiguousarray(changed)


def _transposed(array: Array, rows: int, columns: int) -> Iterator[tuple[str, str, Array]]:
    name = "height and width transposed"
    other = array.swapaxes(rows, columns)
    yield name, "rows and columns are exchanged", other
    if array.shape[rows] != array.shape[columns]:
        detail = "rows are read as if they were as long as the columns, and then exchanged"
        yield name, detail, other.reshape(array.shape)
        yield name, detail, array.reshape(other.shape).swapaxes(rows, columns)


def _read_as_other_layout(array: Array, layout: str) -> Iterator[tuple[str, str, Array]]:
    """The same numbers in the same order in memory, taken for the other layout."""
    other = "NHWC" if layout == "NCHW" else "NCHW"
    name = "layout reinterpreted (NCHW/NHWC)"
    shape = [array.shape[layout.index(letter)] for letter in other]
    there = array.transpose([layout.index(letter) for letter in other]).reshape(array.shape)
    back = array.reshape(shape).transpose([other.index(letter) for letter in layout])
    yield name, f"a buffer of {layout} is read as {other} without a transpose", there
    yield name, f"a buffer of {other} is read as {layout} without a transpose", back
