"""Which rows of one matrix are which of another, and a permutation of classes said in words. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from runtimes.base import Array

# Above this many pairs of rows the search would take seconds and gigabytes.
MOST_PAIRS = 4_000_000


def nearest(rows: Array, others: Array) -> Array:
    """For each of ``rows`` (a, d) the index of the closest of ``others`` (b, d), in L2."""
    nearest: Array = np.argmin(_squares(rows, others), axis=1)
    return nearest


def assignment(rows: Array, others: Array) -> Array:
    """Indices into ``rows`` (k, d), one for each of ``others`` (k, d): the closest pairs first, each row once.

    Rows that are equal may be exchanged, which changes nothing that is computed from them.
    """
    distances = _squares(others, rows)
    best: Array = np.argmin(distances, axis=1)
    if len(set(best.tolist())) == len(best):
        return best
    order = np.argsort(distances, axis=None, kind="stable")
    taken: Array = np.full(len(others), -1)
    free = np.ones(len(rows), bool)
    for other, row in zip(*np.unravel_index(order, distances.shape), strict=True):
        if taken[other] < 0 and free[row]:
            taken[other], free[row] = row, False
    return taken


def in_words(order: Array, labels: Sequence[str] = ()) -> str:
    """``order[k]`` is the place at which class k is found; the simplest description of that."""
    count = len(order)
    identity = np.arange(count)
    moved = np.flatnonzero(order != identity)

    def called(index: int) -> str:
        return f"{index} ({labels[index]})" if len(labels) == count else str(index)

    if len(moved) == 2:
        return f"classes {called(moved[0])} and {called(moved[1])} are swapped"
    if np.array_equal(order, identity[::-1]):
        return "the classes are in reverse order"
    if np.array_equal(order, (identity + order[0]) % count):
        return f"every class is moved by {order[0]} place{'s' if order[0] > 1 else ''}, the last to the front"
    if np.array_equal(order, np.argsort(np.argsort(identity.astype(str)))):
        return f"the class numbers are sorted as text ({', '.join(sorted(map(str, identity))[:4])}, ...)"
    if len(labels) == count and np.array_equal(order, np.argsort(np.argsort(np.array(labels)))):
        return f"the labels are sorted alphabetically ({', '.join(sorted(labels)[:4])}, ...)"
    places = ", ".join(f"class {called(index)} at place {order[index]}" for index in moved[:4])
    return f"{len(moved)} of {count} classes are at other places: {places}{', ...' if len(moved) > 4 else ''}"


def _squares(rows: Array, others: Array) -> Array:
    """Squared distances, shape (a, b); good enough to find the closest, not to judge it."""
    squares: Array = (
        (rows**2).sum(axis=1)[:, None] + (others**2).sum(axis=1)[None, :] - 2.0 * (rows @ others.T)
    )
    return squares
