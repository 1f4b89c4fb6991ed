"""The geometry of sliding windows: what ONNX's pads, strides and rounding come to on an image of this size. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from exporter.conversions.onnx2keras.graph import Node, Shape

Pair = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """How windows lie on one axis.

    ``before`` and ``after`` are the pads that the windows really reach, ``declared`` those that the node asked for
    (``after`` is larger where ceil_mode adds a window). ``outputs`` is None on a dynamic axis. ``automatic`` is a
    SAME_UPPER whose pads depend on a size that is not known: Keras's "same" finds the same ones at run time.
    """

    size: int
    stride: int
    dilation: int
    before: int
    after: int
    declared: Pair
    inputs: int | None
    outputs: int | None
    automatic: bool = False

    @property
    def reach(self) -> int:
        """How many positions a window spans."""
        return (self.size - 1) * self.dilation + 1

    @property
    def is_same(self) -> bool:
        """Whether Keras's ``padding="same"`` puts the windows at the same places."""
        if self.automatic:
            return True
        if self.stride == 1:
            return (self.before, self.after) == ((self.reach - 1) // 2, self.reach // 2)
        if self.inputs is None or self.outputs is None:
            return False
        outputs = -(-self.inputs // self.stride)
        total = max((outputs - 1) * self.stride + self.reach - self.inputs, 0)
        return outputs == self.outputs and self.before == total // 2

    def real(self, pads_count: bool) -> list[int]:
        """How many positions of each window are counted; length ``outputs``. For averages on a static axis."""
        assert self.inputs is not None and self.outputs is not None
        first, last = (-self.declared[0], self.inputs + self.declared[1]) if pads_count else (0, self.inputs)
        starts = [number * self.stride - self.before for number in range(self.outputs)]
        return [
            sum(first <= start + offset < last for offset in range(0, self.reach, self.dilation))
            for start in starts
        ]


def padding(found: Sequence[Window]) -> Literal["valid", "same", "explicit"]:
    """How Keras can lay these windows: by one of its own words, or over pads made beforehand."""
    if not any(window.before or window.after or window.automatic for window in found):
        return "valid"
    return "same" if all(window.is_same for window in found) else "explicit"


@dataclass(frozen=True)
class Steps:
    """The strides and dilations of a layer, one for each axis, and those of slices before and after it."""

    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]

    @property
    def is_plain(self) -> bool:
        """Whether the layer alone does it."""
        return set(self.before + self.after) == {1}


def steps(found: Sequence[Window], equal: bool) -> Steps:
    """How Keras walks over these windows. It has no strides together with dilations, nor, for ``equal``, unequal ones.

    Where those are asked for, the layer has a stride of 1. A dilation that the stride divides reads only every
    ``stride``-th position, so the others are cut out first; else the results in between are cut out afterwards.
    """
    strides = tuple(window.stride for window in found)
    dilations = tuple(window.dilation if window.size > 1 else 1 for window in found)
    ones = (1,) * len(found)
    if not (max(strides) > 1 and max(dilations) > 1) and not (equal and len(set(strides)) > 1):
        return Steps(strides, dilations, ones, ones)
    first = tuple(
        window.stride if window.size == 1 or window.dilation % window.stride == 0 else 1 for window in found
    )
    left = tuple(1 if cut == stride else stride for cut, stride in zip(first, strides, strict=True))
    return Steps(ones, tuple(max(d // cut, 1) for d, cut in zip(dilations, first, strict=True)), first, left)


@dataclass(frozen=True)
class Spread:
    """How a transposed convolution lies on one axis: each position spreads over a window, ``stride`` apart.

    ``before`` and ``after`` are how much of that is cut off; a negative ``after`` adds positions that nothing reaches.
    """

    size: int
    stride: int
    dilation: int
    before: int
    after: int

    @property
    def reach(self) -> int:
        """How many positions a window spans."""
        return (self.size - 1) * self.dilation + 1

    @property
    def is_same(self) -> bool:
        """Whether Keras's ``padding="same"``, which multiplies the size by the stride, cuts the same."""
        total = self.reach - self.stride
        return self.before + self.after == total and self.before == max(total, 0) // 2


def spreads(node: Node, shape: Shape, kernel: Sequence[int]) -> tuple[Spread, ...] | str:
    """A Spread for each spatial axis of an ONNX (N, C, ...) shape, or why there is none."""
    axes = len(kernel)
    strides = node.attributes.get("strides", (1,) * axes)
    dilations = node.attributes.get("dilations", (1,) * axes)
    pads = node.attributes.get("pads", (0,) * 2 * axes)
    extra = node.attributes.get("output_padding", (0,) * axes)
    wanted = node.attributes.get("output_shape", (None,) * axes)[-axes:]
    auto = node.attributes.get("auto_pad", "NOTSET")
    found = []
    for i, (size, inputs) in enumerate(zip(kernel, shape[2:], strict=True)):
        spread = Spread(size, strides[i], dilations[i], pads[i], pads[axes + i] - extra[i])
        if wanted[i] is not None or auto.startswith("SAME"):
            if wanted[i] is not None and inputs is None:
                return "output_shape over a dynamic axis"
            outputs = wanted[i] - (inputs - 1) * strides[i] if inputs and wanted[i] else strides[i]
            total = spread.reach + extra[i] - outputs
            half = max(total, 0) // 2
            before = half if auto == "SAME_UPPER" else max(total, 0) - half
            spread = replace(spread, before=before, after=spread.reach - outputs - before)
        if -spread.after >= spread.stride:
            return f"output_padding {extra[i]} beyond the stride {spread.stride}"
        found.append(spread)
    return tuple(found)


def windows(node: Node, shape: Shape, kernel: Sequence[int]) -> tuple[Window, ...] | str:
    """A Window for each spatial axis of an ONNX (N, C, ...) shape, or why there is none."""
    axes = len(kernel)
    strides = node.attributes.get("strides", (1,) * axes)
    dilations = node.attributes.get("dilations", (1,) * axes)
    pads = node.attributes.get("pads", (0,) * 2 * axes)
    auto = node.attributes.get("auto_pad", "NOTSET")
    ceil = bool(node.attributes.get("ceil_mode", 0))
    found = []
    for i, (size, inputs) in enumerate(zip(kernel, shape[2:], strict=True)):
        stride, dilation = strides[i], dilations[i]
        reach = (size - 1) * dilation + 1
        declared = _declared(auto, (pads[i], pads[axes + i]), inputs, stride, reach)
        if declared is None and auto == "SAME_UPPER":
            found.append(Window(size, stride, dilation, 0, 0, (0, 0), None, None, automatic=True))
            continue
        # Rounded up, a window may start anywhere before the end of the image, whose place is not known.
        rounds = stride - 1 if ceil else 0
        if declared is None or (inputs is None and rounds and declared[1] + rounds >= reach):
            return f"auto_pad={auto}, ceil_mode={int(ceil)} over a dynamic axis"
        if inputs is None:
            after = declared[1] + rounds
            found.append(Window(size, stride, dilation, declared[0], after, declared, None, None))
            continue
        outputs = _outputs(inputs, declared, stride, reach, ceil and auto == "NOTSET")
        after = max((outputs - 1) * stride + reach - inputs - declared[0], 0)
        found.append(Window(size, stride, dilation, declared[0], after, declared, inputs, outputs))
    return tuple(found)


def _declared(auto: str, pads: Pair, inputs: int | None, stride: int, reach: int) -> Pair | None:
    """The pads before and after; None when they depend on a size that is not known."""
    if auto == "NOTSET":
        return pads
    if auto == "VALID":
        return (0, 0)
    if inputs is None and stride > 1:
        return None
    total = reach - 1 if inputs is None else max((-(-inputs // stride) - 1) * stride + reach - inputs, 0)
    return (total // 2, total - total // 2) if auto == "SAME_UPPER" else (total - total // 2, total // 2)


def _outputs(inputs: int, pads: Pair, stride: int, reach: int, ceil: bool) -> int:
    """How many windows there are. Rounded up, none may start beyond the image and its pad before."""
    free = inputs + sum(pads) - reach
    if not ceil:
        return free // stride + 1
    outputs = -(-free // stride) + 1
    return outputs - 1 if (outputs - 1) * stride >= inputs + pads[0] else outputs
