"""Keras's transposed convolutions as a convolution of phases and depth to space, for export."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Call = Callable[..., Any]
Array = np.ndarray[Any, np.dtype[Any]]


def conv_transpose(cropping: tuple[tuple[int, int], ...]) -> Callable[[Any, Call, Any], Any]:
    """A transposed convolution and the ``cropping`` of its result, as a convolution that gives each phase of the stride
    its own filters, and depth to space.

    TensorFlow's operator takes its output's shape as a tensor. On a dynamic batch that is computed, so no TF Lite
    delegate takes it; and this one is the faster where both are taken.
    """

    def call(layer: Any, original: Call, x: Any) -> Any:
        import tensorflow as tf
        from keras import ops

        sizes, stride, axes = tuple(x.shape[1:-1]), layer.strides[0], len(layer.kernel_size)
        equal = set(layer.strides) == {stride} and set(layer.dilation_rate) == {1}
        if layer.data_format != "channels_last" or None in sizes or not equal:
            return _cropped(original(x), cropping)
        full = layer.compute_output_shape((1, *x.shape[1:]))[1:-1]
        laid = [
            _lay(size, kernel, stride, layer.padding == "same", length, cut)
            for size, kernel, length, cut in zip(sizes, layer.kernel_size, full, cropping, strict=True)
        ]
        if any(axis.pads[0] < 0 for axis in laid):
            return _cropped(original(x), cropping)
        filters = layer.kernel.shape[-2]
        with (
            tf.init_scope()
        ):  # now: the TF Lite converter would leave the kernel's rearrangement in the graph
            kernel, bias = _phases(layer.kernel.numpy(), laid), layer.bias.numpy() if layer.use_bias else None
        same = all(axis.is_same for axis in laid)
        if not same and any(map(any, (axis.pads for axis in laid))):
            x = ops.pad(x, [(0, 0), *(axis.pads for axis in laid), (0, 0)])
        if axes == 1:
            x, kernel = ops.reshape(x, (-1, 1, *x.shape[1:])), kernel[None]
        y = ops.conv(x, kernel, 1, "same" if same else "valid", "channels_last")
        if bias is not None:
            y = ops.add(y, np.tile(bias, stride**axes))
        if axes == 1:
            y = ops.reshape(y, (-1, y.shape[2] * stride, filters))
        elif stride > 1:
            y = tf.nn.depth_to_space(y, stride)
        cut = tuple(slice(axis.start, axis.start + axis.length) for axis in laid)
        if tuple(y.shape[1:-1]) != tuple(axis.length for axis in laid):
            y = y[(slice(None), *cut)]
        return y if layer.activation is None else layer.activation(y)

    return call


def _cropped(y: Any, cropping: tuple[tuple[int, int], ...]) -> Any:
    if not any(map(any, cropping)):
        return y
    cut = (
        slice(before, y.shape[axis] and y.shape[axis] - after)
        for axis, (before, after) in enumerate(cropping, 1)
    )
    return y[(slice(None), *cut)]


@dataclass(frozen=True)
class _Axis:
    """How one axis of a transposed convolution is laid over phases.

    ``index`` has, for each tap and phase, the position in the kernel, whose last one is a zero. Of what comes out,
    ``length`` positions count, from ``start`` on.
    """

    index: np.ndarray[Any, np.dtype[np.int64]]
    pads: tuple[int, int]
    start: int
    length: int
    is_same: bool


def _phases(kernel: Array, laid: Sequence[_Axis]) -> Array:
    """A kernel (size of each axis, filters, channels) as (taps of each axis, channels, phases * filters)."""
    axes = len(laid)
    kernel = np.pad(kernel, [(0, 1)] * axes + [(0, 0)] * 2)
    for number, axis in enumerate(laid):
        kernel = kernel.take(axis.index, axis=2 * number)
    order = (*range(0, 2 * axes, 2), 2 * axes + 1, *range(1, 2 * axes, 2), 2 * axes)
    kernel = kernel.transpose(order)
    return kernel.reshape(*kernel.shape[: axes + 1], -1)


def _lay(size: int, kernel: int, stride: int, same: bool, full: int, cropping: tuple[int, int]) -> _Axis:
    """The layout with the fewest taps; among those, the one that leaves least to cut off in front.

    Position ``o`` of the whole result is the sum over ``i`` of ``x[i] * kernel[o - i * stride]``.
    """
    first = (max(kernel - stride, 0) // 2 if same else 0) + cropping[0]
    length = full - sum(cropping)

    def taps(start: int) -> list[int]:
        """How far each tap lies from the position in ``x`` where a block of phases starts."""
        places = [first - start + phase for phase in range(stride)]
        used = [
            (o // stride - t)
            for o in places
            for t in range(-(-kernel // stride))
            if o % stride + t * stride < kernel
        ]
        return list(range(min(used), max(used) + 1))

    start = min(range(stride), key=lambda start: (len(taps(start)), start))
    far = taps(start)
    places = first - start + np.arange(stride) - stride * np.array(far)[:, None]
    index = np.where((places >= 0) & (places < kernel), places, kernel)
    blocks = -(-(start + length) // stride)
    pads = (-far[0], max(blocks - 1 + far[-1] - (size - 1), 0))
    is_same = pads == ((len(far) - 1) // 2, len(far) // 2)
    return _Axis(index, pads, start, length, is_same)
