"""Einsum as one matrix product: TF.js's WebAssembly has no kernel for it, and the others multiply first and sum then."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np


def einsum(operation: Any) -> Any:
    """Of two tensors with each label once in both or in the result; None otherwise, and where sizes are unknown."""
    import tensorflow as tf

    terms, arrow, result = operation.get_attr("equation").decode().replace(" ", "").partition("->")
    labels = terms.split(",")
    if (
        not arrow
        or len(labels) != 2
        or "." in terms
        or any(len({*term}) < len(term) for term in (*labels, result))
    ):
        return None
    left, right = labels
    if ({*left} ^ {*right}) - {*result}:
        return None
    sizes = {
        label: size
        for term, tensor in zip(labels, operation.inputs, strict=True)
        for label, size in zip(term, tensor.shape, strict=True)
        if size is not None
    }
    batch = [label for label in left if label in right and label in result]
    summed = [label for label in left if label in right and label not in result]
    rows = [label for label in left if label not in right]
    columns = [label for label in right if label not in left]
    made = [*batch, *rows, *columns]
    shapes = [
        [*_sizes(batch, sizes), _size(rows, sizes), _size(summed, sizes)],
        [*_sizes(batch, sizes), _size(summed, sizes), _size(columns, sizes)],
        _sizes(made, sizes),
    ]
    if any(shape.count(-1) > 1 for shape in shapes):
        return None
    a = _arranged(operation.inputs[0], left, [*batch, *rows, *summed], shapes[0])
    b = _arranged(operation.inputs[1], right, [*batch, *summed, *columns], shapes[1])
    product = tf.matmul(a, b)
    return _arranged(
        product if len(rows) == len(columns) == 1 else tf.reshape(product, shapes[2]), made, result
    )


def _sizes(labels: Sequence[str], sizes: dict[str, int]) -> list[int]:
    """Of each, -1 where it is unknown."""
    return [sizes.get(label, -1) for label in labels]


def _size(labels: Sequence[str], sizes: dict[str, int]) -> int:
    """Of all as one axis."""
    known = _sizes(labels, sizes)
    return -1 if -1 in known else math.prod(known)


def _arranged(tensor: Any, labels: Sequence[str], wanted: Sequence[str], shape: Sequence[int] = ()) -> Any:
    """``tensor`` with its axes in the order of ``wanted``, in this shape if any; a constant stays one."""
    import tensorflow as tf

    order = [labels.index(label) for label in wanted]
    value = tf.get_static_value(tensor)
    if value is not None:
        return tf.constant(np.transpose(value, order).reshape(shape or [value.shape[axis] for axis in order]))
    if order != sorted(order):
        tensor = tf.transpose(tensor, order)
    return tf.reshape(tensor, shape) if shape and len(shape) != len(order) else tensor
