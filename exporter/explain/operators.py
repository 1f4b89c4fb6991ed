"""The operators in which faults are planted, in NumPy: what a layer of any framework computes, with its numbers at hand.

Tensors have channels first, (n, C, ...); kernels are (out, in / groups, ...). The frameworks' modules translate their
layers into these and the results back, so that each fault is written once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from math import ceil, erf
from typing import Any, Literal

import numpy as np

from runtimes.base import Array

OpKind = Literal[
    "convolution",
    "dense",
    "batch norm",
    "layer norm",
    "group norm",
    "activation",
    "pool",
    "pad",
    "resize",
    "flatten",
    "concat",
    "add",
    "softmax",
]


@dataclass(frozen=True)
class Op:
    """One operator at one place. ``values`` by kind, with their defaults in ``compute``'s functions:

    convolution  weight, bias, strides, pads ((low, high) per axis), dilations, groups
    dense        weight (out, in), bias; x is (..., in)
    batch norm   mean, variance, scale, offset, epsilon, training, outside; ``convolution`` is the Op that feeds it
    layer norm   axes, scale, offset, epsilon, outside          group norm  groups, scale, offset, epsilon, outside
    pad          pads          activation  function, parameter
    pool         mode (max, average), size, strides, pads, ceil, count_pads
    resize       mode (linear, nearest), coordinates (half_pixel, align_corners, asymmetric), size
    flatten      order, the axes in the order in which they are read          concat, softmax  axis
    """

    layer: str
    kind: OpKind
    x: tuple[Array, ...]
    values: Mapping[str, Any] = field(default_factory=dict)

    def but(self, *x: Array, **changes: Any) -> Op:
        """The same with other values, and other inputs where some are given."""
        return replace(self, x=x or self.x, values={**self.values, **changes})


def compute(op: Op) -> Array:
    """What the operator gives, in float64. Raises ValueError where the shapes do not fit."""
    wide = (x.astype(np.float64) if x.dtype.kind == "f" else x for x in op.x)
    result: Array = _COMPUTE[op.kind](*wide, **op.values)
    return result


def _convolution(
    x: Array,
    *,
    weight: Array,
    bias: Array | None = None,
    strides: tuple[int, ...],
    pads: tuple[tuple[int, int], ...],
    dilations: tuple[int, ...],
    groups: int = 1,
) -> Array:
    """A sum over the places of the kernel, each a matrix product over channels."""
    x = padded(x, pads, 0.0)
    count, kernel = len(x), weight.shape[2:]
    size = tuple(
        (have - (k - 1) * d - 1) // s + 1
        for have, k, d, s in zip(x.shape[2:], kernel, dilations, strides, strict=True)
    )
    if min(size) < 1:
        raise ValueError(f"a kernel of {kernel} does not fit into {x.shape[2:]}")
    matrices = weight.astype(np.float64).reshape(groups, len(weight) // groups, weight.shape[1], *kernel)
    out = np.zeros((count, groups, len(weight) // groups, int(np.prod(size))))
    for place in product(*map(range, kernel)):
        part = x[_strided(place, dilations, strides, size)].reshape(count, groups, weight.shape[1], -1)
        at: tuple[Any, ...] = (..., *place)
        matrix = matrices[at]
        out += matrix[None] * part if weight.shape[1] == 1 else matrix[None] @ part
    out = out.reshape(count, len(weight), *size)
    return out if bias is None else out + _channelwise(bias, out.ndim)


def _dense(x: Array, *, weight: Array, bias: Array | None = None) -> Array:
    out: Array = x @ weight.T.astype(np.float64)
    return out if bias is None else out + bias


def _batch_norm(
    x: Array,
    *,
    mean: Array,
    variance: Array,
    scale: Array | None = None,
    offset: Array | None = None,
    epsilon: float,
    training: bool = False,
    outside: bool = False,
    convolution: Op | None = None,
) -> Array:
    if training:
        over = (0, *range(2, x.ndim))
        mean, variance = x.mean(axis=over), x.var(axis=over)
    mean, variance = (_channelwise(each, x.ndim) for each in (mean, variance))
    out: Array = (x - mean) / _deviation(variance, epsilon, outside)
    out = out if scale is None else out * _channelwise(scale, x.ndim)
    return out if offset is None else out + _channelwise(offset, x.ndim)


def _layer_norm(
    x: Array,
    *,
    axes: tuple[int, ...],
    scale: Array | None = None,
    offset: Array | None = None,
    epsilon: float,
    outside: bool = False,
) -> Array:
    mean, variance = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)
    out: Array = (x - mean) / _deviation(variance, epsilon, outside)
    out = out if scale is None else out * scale
    return out if offset is None else out + offset


def _group_norm(
    x: Array,
    *,
    groups: int,
    scale: Array | None = None,
    offset: Array | None = None,
    epsilon: float,
    outside: bool = False,
) -> Array:
    parts = x.reshape(len(x), groups, -1)
    mean, variance = parts.mean(axis=2, keepdims=True), parts.var(axis=2, keepdims=True)
    out: Array = ((parts - mean) / _deviation(variance, epsilon, outside)).reshape(x.shape)
    out = out if scale is None else out * _channelwise(scale, x.ndim)
    return out if offset is None else out + _channelwise(offset, x.ndim)


def _activation(x: Array, *, function: str, parameter: float = 0.0) -> Array:
    return ACTIVATIONS[function](x, parameter)


def _pool(
    x: Array,
    *,
    mode: str,
    size: tuple[int, ...],
    strides: tuple[int, ...],
    pads: tuple[tuple[int, int], ...],
    ceil: bool = False,
    count_pads: bool = False,
) -> Array:
    out = tuple(
        _windows(have, k, s, pad, ceil)
        for have, k, s, pad in zip(x.shape[2:], size, strides, pads, strict=True)
    )
    more = tuple(
        (0, max(0, (count - 1) * s + k - have - sum(pad)))
        for count, s, k, have, pad in zip(out, strides, size, x.shape[2:], pads, strict=True)
    )
    ones = (1,) * len(size)
    places = [_strided(place, ones, strides, out) for place in product(*map(range, size))]
    if mode == "max":
        x = padded(padded(x, pads, -np.inf), more, -np.inf)
        return np.asarray(np.maximum.reduce([x[place] for place in places]))
    counted = padded(padded(np.ones((1, 1, *x.shape[2:])), pads, float(count_pads)), more, 0.0)
    x = padded(padded(x, pads, 0.0), more, 0.0)
    total: Array = sum(x[place] for place in places) / sum(counted[place] for place in places)
    return total


def _pad(x: Array, *, pads: tuple[tuple[int, int], ...]) -> Array:
    return padded(x, pads, 0.0)


def _resize(x: Array, *, mode: str, coordinates: str, size: tuple[int, ...]) -> Array:
    out = x
    for axis, after in enumerate(size, start=2):
        matrix = interpolation(x.shape[axis], after, mode, coordinates)
        out = np.moveaxis(np.tensordot(out, matrix, axes=(axis, 1)), -1, axis)
    return out


def _flatten(x: Array, *, order: tuple[int, ...]) -> Array:
    flat: Array = x.transpose(0, *order).reshape(len(x), -1)
    return flat


def _concat(*x: Array, axis: int) -> Array:
    return np.concatenate(x, axis=axis)


def _add(*x: Array) -> Array:
    total: Array = sum(x[1:], x[0])
    return total


def _softmax(x: Array, *, axis: int) -> Array:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    p: Array = e / e.sum(axis=axis, keepdims=True)
    return p


_COMPUTE: dict[str, Callable[..., Array]] = {
    "convolution": _convolution,
    "dense": _dense,
    "batch norm": _batch_norm,
    "layer norm": _layer_norm,
    "group norm": _group_norm,
    "activation": _activation,
    "pool": _pool,
    "pad": _pad,
    "resize": _resize,
    "flatten": _flatten,
    "concat": _concat,
    "add": _add,
    "softmax": _softmax,
}


def padded(x: Array, pads: tuple[tuple[int, int], ...], value: float) -> Array:
    """The last axes with this many values more at each end, or fewer where the number is negative."""
    lead = [(0, 0)] * (x.ndim - len(pads))
    grown = np.pad(x, [*lead, *((max(0, low), max(0, high)) for low, high in pads)], constant_values=value)
    cut = tuple(slice(max(0, -low), -max(0, -high) or None) for low, high in pads)
    return np.asarray(grown[(..., *cut)])


def interpolation(before: int, after: int, mode: str, coordinates: str) -> Array:
    """The matrix (after, before) of a resize along one axis. ``nearest`` takes the floor, where the corners are
    aligned the closest."""
    index = np.arange(after, dtype=np.float64)
    if coordinates == "align_corners" and after > 1:
        at = index * ((before - 1) / (after - 1))
    elif coordinates == "half_pixel":
        at = (index + 0.5) * (before / after) - (0.5 if mode == "linear" else 0.0)
    else:
        at = index * (before / after)
    matrix, rows = np.zeros((after, before)), np.arange(after)
    if mode == "nearest":
        at = np.round(at) if coordinates == "align_corners" else at
        matrix[rows, np.clip(np.floor(at), 0, before - 1).astype(int)] = 1.0
        return matrix
    low = np.floor(at)
    np.add.at(matrix, (rows, np.clip(low, 0, before - 1).astype(int)), 1 - (at - low))
    np.add.at(matrix, (rows, np.clip(low + 1, 0, before - 1).astype(int)), at - low)
    return matrix


def _strided(
    place: tuple[int, ...], dilations: tuple[int, ...], strides: tuple[int, ...], size: tuple[int, ...]
) -> tuple[Any, ...]:
    """Where the values lie that one place of the kernel meets."""
    return (
        ...,
        *(
            slice(p * d, p * d + (n - 1) * s + 1, s)
            for p, d, s, n in zip(place, dilations, strides, size, strict=True)
        ),
    )


def _windows(have: int, size: int, stride: int, pad: tuple[int, int], up: bool) -> int:
    """How many windows a pool has along an axis; rounded up, the last one must begin before the high padding."""
    room = (have + sum(pad) - size) / stride
    count = (ceil(room) if up else int(room // 1)) + 1
    if count < 1:
        raise ValueError(f"a window of {size} does not fit into {have}")
    return count - 1 if up and (count - 1) * stride >= have + pad[0] else count


def _deviation(variance: Array, epsilon: float, outside: bool) -> Array:
    deviation: Array = np.sqrt(variance) + epsilon if outside else np.sqrt(variance + epsilon)
    return deviation


def _channelwise(vector: Array, rank: int) -> Array:
    return np.asarray(vector, np.float64).reshape(1, -1, *(1,) * (rank - 2))


def _sigmoid(x: Array) -> Array:
    p: Array = 0.5 * (1.0 + np.tanh(0.5 * x))
    return p


def _gelu(x: Array) -> Array:
    gelu: Array = 0.5 * x * (1.0 + np.vectorize(erf, otypes=[float])(x / np.sqrt(2.0)))
    return gelu


ACTIVATIONS: dict[str, Callable[[Array, float], Array]] = {
    "nothing": lambda x, _: x,
    "relu": lambda x, _: np.maximum(x, 0.0),
    "relu6": lambda x, _: np.clip(x, 0.0, 6.0),
    "leaky relu": lambda x, slope: np.where(x < 0, slope * x, x),
    "elu": lambda x, alpha: np.where(x < 0, alpha * np.expm1(np.minimum(x, 0.0)), x),
    "gelu": lambda x, _: _gelu(x),
    "gelu by tanh": lambda x, _: 0.5 * x * (1.0 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    "gelu by sigmoid": lambda x, _: x * _sigmoid(1.702 * x),
    "silu": lambda x, _: x * _sigmoid(x),
    "hard swish": lambda x, _: x * np.clip(x + 3.0, 0.0, 6.0) / 6.0,
    "sigmoid": lambda x, _: _sigmoid(x),
    "hard sigmoid": lambda x, _: np.clip(x + 3.0, 0.0, 6.0) / 6.0,
    "hard sigmoid by 0.2": lambda x, _: np.clip(0.2 * x + 0.5, 0.0, 1.0),
    "tanh": lambda x, _: np.tanh(x),
    "softplus": lambda x, _: np.logaddexp(0.0, x),
    "mish": lambda x, _: x * np.tanh(np.logaddexp(0.0, x)),
}
