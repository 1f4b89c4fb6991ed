"""Preprocessing as data: a closed list of operations that the manifest names and that run anywhere with numpy.

An image enters as (n, H, W, C) uint8, as it was decoded. Operations, each a dict with ``op``:

    {"op": "scale", "factor": f}                 float32(x) * float32(f)
    {"op": "normalize", "mean": [..], "std": [..]}   (x - mean) / std, per channel, in float32
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from runtimes.base import Array
from runtimes.errors import UsageError

Operation = Mapping[str, Any]


def apply(images: Array, operations: Sequence[Operation]) -> Array:
    """The model's input from decoded images, both (n, H, W, C). Raises UsageError for an unknown operation."""
    for operation in operations:
        name = operation.get("op")
        if name not in _OPERATIONS:
            raise UsageError(f"preprocessing names {name!r}; known are {', '.join(_OPERATIONS)}")
        images = _OPERATIONS[name](images, operation)
    return images


def to_layout(array: Array, have: str, want: str) -> Array:
    """Permute axes by their letters; a layout that is empty on either side leaves the array as it is."""
    if not have or not want or have == want:
        return array
    if sorted(have) != sorted(want):
        raise UsageError(f"a tensor laid out {have} cannot be brought to {want}")
    return np.ascontiguousarray(array.transpose([have.index(letter) for letter in want]))


def _scale(images: Array, operation: Operation) -> Array:
    return images.astype(np.float32) * np.float32(operation["factor"])


def _normalize(images: Array, operation: Operation) -> Array:
    mean, std = np.float32(operation["mean"]), np.float32(operation["std"])
    normalized: Array = (images.astype(np.float32) - mean) / std
    return normalized


_OPERATIONS: dict[str, Callable[[Array, Operation], Array]] = {"scale": _scale, "normalize": _normalize}
