"""The geometry of sliding windows: what ONNX's pads, strides and rounding come to on an image of this size. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from exporter.conversions.onnx2keras.graph import Node, Shape

Pair = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """How windows lie on one axis.

    ``before`` and ``after`` are the pads that the windows really reach, ``declared`` those that the node asked for
    (``after`` is larger where ceil_mode adds a window). ``outputs`` is None on a dynamic axis.
    """

    size: int
    stride: int
    dilation: int
    before: int
    after: int
    declared: Pair
    inputs: int | None
    outputs: int | None

    @property
    def reach(self) -> int:
        """How many positions a window spans."""
        return (self.size - 1) * self.dilation + 1

    @property
    def is_same(self) -> bool:
        """Whether Keras's ``padding="same"`` puts the windows at the same places."""
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
    if not any(window.before or window.after for window in found):
        return "valid"
    return "same" if all(window.is_same for window in found) else "explicit"


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
        if declared is None or (ceil and inputs is None):
            return f"auto_pad={auto}, ceil_mode={int(ceil)} over a dynamic axis"
        if inputs is None:
            found.append(Window(size, stride, dilation, *declared, declared, None, None))
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
