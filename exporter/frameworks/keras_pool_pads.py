"""Max pooling over explicit pads without the copy of the image that padding makes.

TensorFlow's pooling pads as "same" alone, with the odd pad at the end; a stem from PyTorch pads in front, and so do
Keras's ResNets, on the largest image of the network. Where that image comes from a convolution, the convolution gives
a row and a column more, which put the windows of "same" in the right places; those that reach what was added are cut
off. The pads of a convolution cost nothing: XNNPACK pads while it reads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Pair = tuple[int, int]
Call = Callable[..., Any]
Replacement = Callable[[Any, Call, Any], Any]


@dataclass(frozen=True)
class Stem:
    """Layers that feed each other and nobody else: pads, a convolution, what keeps zero lowest, pads, pooling."""

    conv_pad: Any
    conv: Any
    pool_pad: Any
    pool: Any


def replacements(model: Any) -> list[tuple[Any, Replacement]]:
    """Layers of ``model``, each with a call in place of its own."""
    found: list[tuple[Any, Replacement]] = []
    for layer in model._flatten_layers():
        stem = _stem(layer, model)
        extra = stem and _extras(stem)
        if stem and extra:
            more = tuple(rows * stride for rows, stride in zip(extra, stem.conv.strides, strict=True))
            found += [
                (stem.conv_pad, _padded(more)),
                (stem.pool_pad, lambda layer, original, x: x),
                (stem.pool, _pooled(stem.pool.output.shape[1:3])),
            ]
    return found


def extra(size: int, pads: Pair, window: int, stride: int) -> int | None:
    """How many positions more let "same" put its windows where ``pads`` around ``size`` positions put them.

    None when no number does, or when a window that counts would see what was added.
    """
    outputs = (size + sum(pads) - window) // stride + 1
    unseen = (outputs - 1) * stride + window - pads[0] <= size
    for more in range(stride + 1 if unseen else 1):
        same = -(-(size + more) // stride)
        total = max((same - 1) * stride + window - size - more, 0)
        if total // 2 == pads[0] and same >= outputs:
            return more
    return None


def _stem(pool: Any, model: Any) -> Stem | None:
    from keras import layers

    if not isinstance(pool, layers.MaxPooling2D) or pool.padding != "valid":
        return None
    pool_pad = _feeder(pool, model)
    rectified = _feeder(pool_pad, model)
    # The pads are zeros: they lose against every window only where nothing is negative.
    if not isinstance(pool_pad, layers.ZeroPadding2D) or not _is_rectified(rectified):
        return None
    conv = _feeder(rectified, model)
    if isinstance(conv, layers.BatchNormalization):
        conv = _feeder(conv, model)
    conv_pad = _feeder(conv, model)
    plain = (
        isinstance(conv, layers.Conv2D) and conv.padding == "valid" and conv.activation.__name__ == "linear"
    )
    if not plain or not isinstance(conv_pad, layers.ZeroPadding2D):
        return None
    last = all(layer.data_format == "channels_last" for layer in (pool, pool_pad, conv, conv_pad))
    return Stem(conv_pad, conv, pool_pad, pool) if last else None


def _feeder(layer: Any, model: Any) -> Any:
    """The layer whose result ``layer`` alone reads, or None; both are called once."""
    if layer is None or len(layer._inbound_nodes) != 1:
        return None
    parents = layer._inbound_nodes[0].parent_nodes
    found = parents[0].operation if len(parents) == 1 else None
    if found is None or len(found._inbound_nodes) != 1 or len(found._outbound_nodes) != 1:
        return None
    return None if any(tensor is found.output for tensor in model.outputs) else found


def _is_rectified(layer: Any) -> bool:
    from keras import layers

    if isinstance(layer, layers.ReLU):
        return not layer.negative_slope and not layer.threshold
    return isinstance(layer, layers.Activation) and layer.activation.__name__ in ("relu", "relu6")


def _extras(stem: Stem) -> tuple[int, ...] | None:
    sizes = stem.pool_pad.input.shape[1:3]
    if None in sizes:
        return None
    axes = zip(sizes, stem.pool_pad.padding, stem.pool.pool_size, stem.pool.strides, strict=True)
    found = [extra(size, pads, window, stride) for size, pads, window, stride in axes]
    return None if None in found else tuple(more or 0 for more in found)


def _padded(more: tuple[int, ...]) -> Replacement:
    def call(layer: Any, original: Call, x: Any) -> Any:
        from keras import ops

        pads = [(before, after + rows) for (before, after), rows in zip(layer.padding, more, strict=True)]
        return ops.pad(x, ((0, 0), *pads, (0, 0)))

    return call


def _pooled(sizes: tuple[int, ...]) -> Replacement:
    def call(layer: Any, original: Call, x: Any) -> Any:
        from keras import ops

        y = ops.max_pool(x, layer.pool_size, layer.strides, "same", "channels_last")
        return y[:, : sizes[0], : sizes[1]]

    return call
