"""Einsum of one or two operands as what it comes to: a transpose, a sum, a product of matrices."""

from __future__ import annotations

import math
from dataclasses import dataclass

from exporter.conversions.onnx2keras.graph import Array, Graph, Node, Shape
from exporter.conversions.onnx2keras.layout import Assignment, Layout, Layouts
from exporter.conversions.onnx2keras.lower import Call, reshape_target
from exporter.conversions.onnx2keras.registry import Tensor, lowers


@dataclass(frozen=True)
class Equation:
    """The letters of each operand and of the result, "..." spelled out.

    Of two operands: ``batch`` letters are in both and in the result, ``inner`` ones are summed over, ``left`` and
    ``right`` are in one operand and the result.
    """

    operands: tuple[str, ...]
    result: str

    @property
    def batch(self) -> str:
        return "".join(
            letter for letter in self.operands[0] if all(letter in o for o in (*self.operands, self.result))
        )

    @property
    def inner(self) -> str:
        return "".join(
            letter for letter in self.operands[0] if letter in self.operands[1] and letter not in self.result
        )

    def outer(self, index: int) -> str:
        """The letters that only the operand at ``index`` has."""
        return "".join(letter for letter in self.operands[index] if letter not in self.batch + self.inner)


def equation(node: Node, graph: Graph) -> Equation | str:
    """The parsed equation, or why it is none that can be lowered."""
    text = node.attributes["equation"].replace(" ", "")
    before, arrow, after = text.partition("->")
    operands, spelled = before.split(","), []
    dots = ""
    for operand, name in zip(operands, node.inputs, strict=True):
        spare = graph.rank(name) - len(operand.replace("...", ""))
        unused = [chr(code) for code in range(ord("A"), ord("Z") + 1) if chr(code) not in text]
        dots = max(dots, "".join(unused[:spare]) if "..." in operand else "", key=len)
        spelled.append(operand.replace("...", "".join(unused[:spare])))
    if (
        any("..." in o for o in operands)
        and len({len(s) - len(o) for s, o in zip(spelled, operands, strict=True)}) > 1
    ):
        return f"equation {text} with '...' of several lengths"
    if not arrow:
        letters = sorted(set(before) - set(",."))
        after = ("..." if "..." in before else "") + "".join(x for x in letters if before.count(x) == 1)
    found = Equation(tuple(spelled), after.replace("...", dots))
    if len(spelled) > 2 or any(len(set(operand)) < len(operand) for operand in spelled):
        return f"equation {text} (only one or two operands, no letter twice in one, are supported)"
    if len(spelled) == 2:
        alone = [x for i in (0, 1) for x in found.outer(i) if x not in found.result]
        if alone:
            return f"equation {text}, which sums over {alone[0]} in one operand alone"
    return found


def _refuse(node: Node, graph: Graph) -> str | None:
    found = equation(node, graph)
    if isinstance(found, str):
        return found
    if any(name in graph.constants for name in node.inputs[:1]):
        return "its first operand is a constant"
    return "broadcast sizes" if _sizes(node, graph, found) is None else None


def _sizes(node: Node, graph: Graph, found: Equation) -> dict[str, int | None] | None:
    """The size of each letter; None when operands disagree."""
    sizes: dict[str, int | None] = {}
    for letters, name in zip(found.operands, node.inputs, strict=True):
        for letter, size in zip(letters, graph.shape(name), strict=True):
            if letter in sizes and None not in (size, sizes[letter]) and size != sizes[letter]:
                return None
            sizes[letter] = sizes.get(letter) or size
    return sizes


def _layout(letters: str, order: str) -> Layout:
    return Layout(tuple(letters.index(letter) for letter in order))


def rule(node: Node, graph: Graph, have: Layouts) -> Assignment:
    """Each operand with its axes as the product takes them: what moves is in the plan, not in the equation."""
    found = equation(node, graph)
    assert not isinstance(found, str)
    if len(found.operands) == 1:
        kept = have[0].without_features() if have[0] else _layout(found.operands[0], found.operands[0])
        lying = "".join(
            found.operands[0][axis] for axis in kept.order if found.operands[0][axis] in found.result
        )
        return Assignment((kept,), (_layout(found.result, lying),))
    batch, inner = found.batch, found.inner
    left, right = found.outer(0), found.outer(1)
    wants = [
        _layout(found.operands[0], batch + left + inner),
        _layout(found.operands[1], batch + inner + right),
    ]
    given = tuple(want if h else None for want, h in zip(wants, have, strict=True))
    return Assignment(given, (_layout(found.result, batch + left + right),))


@lowers("Einsum", layout=rule, refuse=_refuse)
def einsum(call: Call) -> Tensor:
    found = equation(call.node, call.graph)
    assert not isinstance(found, str)
    if len(found.operands) == 1:
        summed = [letter not in found.result for letter in found.operands[0]]
        axes = tuple(call.axis(axis) for axis, gone in enumerate(summed) if gone)
        return call.op(call.ops.sum, call.tensor(), axis=axes) if axes else call.tensor()
    batch, inner, left, right = found.batch, found.inner, found.outer(0), found.outer(1)
    sizes = _sizes(call.node, call.graph, found)
    assert sizes is not None

    def shape(*groups: str) -> Shape:
        """The batch axes, then one axis for each group."""
        return (*(sizes[x] for x in batch), *(_product(sizes, group) for group in groups))

    constant = call.constant(1)
    result = (*(sizes[x] for x in batch), *(sizes[x] for x in left + right))
    width = _product(sizes, inner)
    if constant is not None and not batch and width:
        order = _layout(found.operands[1], inner + right).order
        kernel = constant.transpose(order).reshape(width, -1)
        flat = _reshaped(call, call.tensor(), (*(sizes[x] for x in left), width), "_inner")
        product = call.layer(call.layers.Dense, kernel, units=kernel.shape[1], use_bias=False)(flat)
        return _reshaped(call, product, result, "_outer")
    first = _reshaped(call, call.tensor(), shape(left, inner), "_left")
    if constant is None:
        second = _reshaped(call, call.tensor(1), shape(inner, right), "_right")
    else:
        order = _layout(found.operands[1], batch + inner + right).order
        second = constant.transpose(order).reshape([size or 1 for size in shape(inner, right)])
    return _reshaped(call, call.op(call.ops.matmul, first, second), result, "_outer")


def _product(sizes: dict[str, int | None], letters: str) -> int | None:
    found = [sizes[letter] for letter in letters]
    return None if None in found else math.prod(size or 0 for size in found)


def _reshaped(call: Call, tensor: Tensor | Array, shape: Shape, suffix: str) -> Tensor:
    if tuple(tensor.shape) == shape:
        return tensor
    return call.op(call.ops.reshape, tensor, reshape_target(shape), suffix=suffix)
