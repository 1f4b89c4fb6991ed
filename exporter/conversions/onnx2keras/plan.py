"""Give every value its layout, with the fewest moves. Pure.

The graph is walked once, in order. Where a rule knows several ways, each is followed; of the ways that lead to the
same layouts the cheapest is kept, and of all ways the ``BEAM`` cheapest. A way costs its transposes, and where these
are as many, the elements that they move.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from exporter.conversions.onnx2keras.graph import Graph, Node, Shape
from exporter.conversions.onnx2keras.layout import Assignment, Layout, Order, Plan, Rule, Step, channels_last

BEAM = 12
# What a dynamic axis counts as where sizes are weighed.
_DYNAMIC = 64

Cost = tuple[int, int, int]  # transposes, elements that they move, values that are not channels last
Layouts = Mapping[str, tuple[Layout, ...]]


@dataclass(frozen=True)
class _Way:
    """Layouts given so far. ``living`` has every value that is still read, in its home layout and all it was moved to."""

    living: Layouts
    cost: Cost = (0, 0, 0)
    step: Step | None = None
    before: _Way | None = None

    def steps(self) -> tuple[Step, ...]:
        """The steps from the first to this one."""
        found, way = [], self
        while way.step is not None and way.before is not None:
            found.append(way.step)
            way = way.before
        return tuple(reversed(found))


def plan(
    graph: Graph, rules: Mapping[str, Rule], inputs: Mapping[str, Layout], outputs: Mapping[str, Layout]
) -> Plan:
    """The cheapest plan that the search finds."""
    last = {name: number for number, node in enumerate(graph.nodes) for name in node.inputs}
    last |= dict.fromkeys(graph.outputs, len(graph.nodes))
    ways = [_Way({name: (layout,) for name, layout in inputs.items()})]
    for number, node in enumerate(graph.nodes):
        found: dict[frozenset[tuple[str, tuple[Layout, ...]]], _Way] = {}
        for way in ways:
            have = tuple(way.living[name][0] if name in way.living else None for name in node.inputs)
            decided = rules[node.op](node, graph, have)
            for assignment in (decided,) if isinstance(decided, Assignment) else decided:
                onward = _followed(way, node, assignment, graph, last, number)
                key = frozenset(onward.living.items())
                if key not in found or onward.cost < found[key].cost:
                    found[key] = onward
        ways = sorted(found.values(), key=lambda way: way.cost)[:BEAM]
    best = min(ways, key=lambda way: _ended(way, outputs, graph))
    return Plan(best.steps(), inputs, outputs)


def _followed(
    way: _Way, node: Node, assignment: Assignment, graph: Graph, last: Mapping[str, int], number: int
) -> _Way:
    """The way, one node further."""
    living, (moves, elements, turned) = dict(way.living), way.cost
    for name, wanted in zip(node.inputs, assignment.wants, strict=True):
        if wanted and wanted not in living[name]:
            cost = moved(living[name][0], wanted, graph.shape(name))
            # The TF Lite converter takes a product's factor with its last two axes exchanged as it is.
            free = node.op == "MatMul" and living[name][0].order == _exchanged(wanted.order)
            moves, elements = moves + (cost > 0 and not free), elements + cost
            living[name] = (*living[name], wanted)
    for name in node.inputs:
        if name in living and last[name] <= number:
            del living[name]
    for name, gives in zip(node.outputs, assignment.gives, strict=True):
        if name and name in last:
            living[name] = (gives,)
            turned += gives.order != channels_last(len(gives.order)).order
    return _Way(living, (moves, elements, turned), Step(node, assignment.wants, assignment.gives), way)


def _exchanged(order: Order) -> Order:
    """The same axes with the last two exchanged."""
    return (*order[:-2], *reversed(order[-2:]))


def _ended(way: _Way, outputs: Mapping[str, Layout], graph: Graph) -> Cost:
    """The cost of a way with what the model's outputs still need."""
    moves, elements, turned = way.cost
    for name, layout in outputs.items():
        if name in way.living and layout not in way.living[name]:
            cost = moved(way.living[name][0], layout, graph.shape(name))
            moves, elements = moves + (cost > 0), elements + cost
    return moves, elements, turned


def moved(layout: Layout, wanted: Layout, shape: Shape) -> int:
    """How many elements change places between two layouts: none where only axes of size 1 do."""
    before = [axis for axis in layout.order if shape[axis] != 1]
    after = [axis for axis in wanted.order if shape[axis] != 1]
    if before == after and layout.flat == wanted.flat:
        return 0
    return math.prod(size or _DYNAMIC for size in shape)
