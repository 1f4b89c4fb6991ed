"""Decide, for every value, the order in which its axes live in the Keras model. Pure: shapes in, a plan out.

ONNX computes on NCHW, Keras on NHWC. A value's ``Layout`` says how its Keras tensor relates to the ONNX one. Each
operator has a rule (``rules``) that takes the layouts in which its inputs live and says in which it wants them and
in which its outputs then live. A rule that follows its input costs nothing; a transpose is only made where what is
wanted differs from what there is. A Transpose node itself only renames the axes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from exporter.conversions.onnx2keras.graph import Array, Graph, Node, Shape

Order = tuple[int, ...]


@dataclass(frozen=True)
class Flat:
    """Features (axis 1 of a rank-2 value) that came from merging axes in another order than ONNX's.

    ``sizes`` are the merged axes in ONNX's order, ``order`` is the order in which they were merged here.
    """

    sizes: tuple[int, ...]
    order: Order

    def index(self) -> Array:
        """Feature j here is ONNX's feature ``index[j]``; shape (prod(sizes),)."""
        return np.arange(math.prod(self.sizes)).reshape(self.sizes).transpose(self.order).ravel()


@dataclass(frozen=True)
class Layout:
    """Axis i of the Keras tensor is ONNX's axis ``order[i]``; ``flat`` says how its features are permuted."""

    order: Order
    flat: Flat | None = None

    def axis(self, axis: int) -> int:
        """Where ONNX's axis, which may be negative, lies in the Keras tensor."""
        return self.order.index(axis % len(self.order))

    def permute(self, shape: Shape) -> Shape:
        """ONNX's shape as the Keras tensor has it."""
        return tuple(shape[axis] for axis in self.order)

    def without_features(self) -> Layout:
        """The same order of axes, features in ONNX's order."""
        return Layout(self.order)


Layouts = tuple[Layout | None, ...]


def plain(rank: int) -> Layout:
    """The axes as ONNX has them."""
    return Layout(tuple(range(rank)))


def channels_last(rank: int) -> Layout:
    """NCHW as NHWC, for any number of spatial axes."""
    return Layout((0, *range(2, rank), 1)) if rank > 2 else plain(rank)


@dataclass(frozen=True)
class Assignment:
    """What a rule decides: a layout for each input (None: constant or absent) and for each output."""

    wants: Layouts
    gives: tuple[Layout, ...]


# One way, or several, of which ``plan`` finds the cheapest.
Ways = Assignment | tuple[Assignment, ...]
Rule = Callable[[Node, Graph, Layouts], Ways]


@dataclass(frozen=True)
class Step:
    """A node with the layouts of its inputs and outputs."""

    node: Node
    wants: Layouts
    gives: tuple[Layout, ...]


@dataclass(frozen=True)
class Plan:
    """The whole graph with its layouts; ``inputs`` and ``outputs`` are those of the model."""

    steps: tuple[Step, ...]
    inputs: Mapping[str, Layout]
    outputs: Mapping[str, Layout]


def carry(before: Shape, after: Shape, layout: Layout) -> Layout | None:
    """The layout of ``reshape(x, after)`` when x is merged and split where it lies, or None when it must move.

    Axes pair up in runs of equal size. A run that is merged or split keeps its place if its axes are neighbours
    in ONNX's order. Axes of size 1 may appear anywhere. When only the features of an (N, features) result come
    out permuted, the permutation is part of the layout.
    """
    runs = _runs(before, after)
    if layout.flat or runs is None:
        return None
    lying = [axis for axis in layout.order if before[axis] != 1]
    carried: list[int] = []
    flat = None
    while lying:
        sources, targets = next(run for run in runs if lying[0] in run[0])
        here, lying = lying[: len(sources)], lying[len(sources) :]
        if here != sources:
            if set(here) != set(sources) or len(after) != 2 or targets != [1]:
                return None
            sizes = tuple(before[axis] or 0 for axis in sources)
            flat = Flat(sizes, tuple(sources.index(axis) for axis in here))
        carried += targets
    if flat and carried != [axis for axis in range(len(after)) if after[axis] != 1]:
        return None
    return Layout(_with_ones(carried, after), flat)


def gathered(before: Shape, after: Shape, layout: Layout) -> tuple[Layout, ...]:
    """The layouts nearest to ``layout`` in which ``carry`` succeeds: the axes of each run side by side, in ONNX's order.

    A run stands where its first axis stood, or where its last one did; there is none when the axes do not pair up in runs.
    """
    runs = _runs(before, after)
    if runs is None:
        return ()
    ones = [axis for axis in layout.order if before[axis] == 1]
    lying = [axis for axis in layout.order if before[axis] != 1]
    run_of = {axis: tuple(sources) for sources, _ in runs for axis in sources}
    first = dict.fromkeys(run_of[axis] for axis in lying)
    last = reversed(dict.fromkeys(run_of[axis] for axis in reversed(lying)))
    orders = dict.fromkeys(tuple(axis for run in order for axis in run) for order in (first, last))
    return tuple(Layout((*order, *ones)) for order in orders)


def _runs(before: Shape, after: Shape) -> list[tuple[list[int], list[int]]] | None:
    """The shortest runs of axes with equal products, axes of size 1 left out; None when there is no such pairing."""
    left = [axis for axis, size in enumerate(before) if size != 1]
    right = [axis for axis, size in enumerate(after) if size != 1]
    runs = []
    while left and right:
        sources, targets = [left.pop(0)], [right.pop(0)]
        while (a := _product(before, sources)) != (b := _product(after, targets)):
            if a is None or b is None or not (left if a < b else right):
                return None
            sources, targets = (
                ([*sources, left.pop(0)], targets) if a < b else (sources, [*targets, right.pop(0)])
            )
        runs.append((sources, targets))
    return None if left or right else runs


def _product(shape: Shape, axes: list[int]) -> int | None:
    sizes = [shape[axis] for axis in axes]
    return None if None in sizes else math.prod(size or 0 for size in sizes)


def _with_ones(carried: list[int], shape: Shape) -> Order:
    """The order of all axes when those larger than 1 come as ``carried``: a usual one where that is possible."""
    rank = len(shape)
    usual = [channels_last(rank).order, plain(rank).order]
    for order in usual if rank > 3 else reversed(usual):
        if [axis for axis in order if shape[axis] != 1] == carried:
            return order
    order_so_far = list(carried)
    for axis in range(rank):
        if shape[axis] == 1:
            order_so_far.insert(order_so_far.index(axis - 1) + 1 if axis else 0, axis)
    return tuple(order_so_far)
