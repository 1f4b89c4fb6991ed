"""What Keras's PyTorch backend leaves in a trace, brought to what a person would write in PyTorch.

It takes images with their channels last, permutes and copies each to channels first for every convolution, adds the
bias apart, computes batch norms from their variances in three passes, and converts types that are the same. ``trace``
is for the graph before ``torch.jit.freeze``, which then finds constants, and ``frozen`` for the one after it. Both change
it in place. Permutes move behind the operators that do not mind the order of axes until two of them cancel, the copies
go, and scales and shifts by channel end, computed in float64, in the convolution before them.

A convolution whose input is a permuted view of channels-last memory runs channels_last.
"""

from __future__ import annotations

from typing import Any

Graph = Any
Node = Any
Value = Any
Tensor = Any


def _aten(names: str) -> set[str]:
    return {f"aten::{name}" for name in names.split()}


# Operators on each number by itself: of one tensor, and of two.
UNARY = _aten(
    "abs celu clamp clamp_max clamp_min elu exp gelu hardsigmoid hardswish hardtanh leaky_relu log neg relu relu6 rsqrt "
    "selu sigmoid silu softplus sqrt square tanh"
)
BINARY = _aten("add div divide maximum minimum mul multiply pow sub subtract")
# Those that give the same numbers, and as fast, wherever in memory their inputs lie.
ANY_STRIDES = (
    UNARY
    | BINARY
    | _aten("_convolution cat constant_pad_nd contiguous max_pool1d max_pool2d max_pool3d pad permute")
    | _aten("avg_pool1d avg_pool2d avg_pool3d upsample_bilinear2d upsample_nearest2d")
)
CONVOLUTION, PERMUTE, CAT = "aten::_convolution", "aten::permute", "aten::cat"


def trace(graph: Graph) -> None:
    """While values know their types: no conversions to the same type, nothing written in place, no weights whose shape
    is computed from the input's."""
    import torch

    torch._C._jit_pass_inline(graph)
    for node in list(graph.nodes()):
        kind = node.kind()
        if kind == "aten::to" and _same_type(node.inputsAt(0), node.output()):
            node.output().replaceAllUsesWith(node.inputsAt(0))
            node.destroy()
        elif kind.endswith("_") and kind[:-1] in UNARY | BINARY and _is_fresh(node.inputsAt(0)):
            new = graph.create(kind[:-1], list(node.inputs()), 1).insertBefore(node)
            new.output().setTypeAs(node.output())
            node.output().replaceAllUsesWith(new.output())
            node.destroy()
        elif kind == "aten::reshape" and _is_weight(node.inputsAt(0)):
            sizes = graph.insertConstant(node.output().type().sizes())
            sizes.node().moveBefore(node)
            node.replaceInput(1, sizes)


def frozen(graph: Graph) -> None:
    """Images stay as they are from one convolution to the next, with batch norms and biases inside these."""
    import torch

    rewrites = _Rewrites(graph)
    for rewrite in (
        rewrites.drop_copy, rewrites.sink_permute, rewrites.fold_scales, rewrites.join_dense
    ):  # fmt: skip
        for node in list(graph.nodes()):
            rewrite(node)
        torch._C._jit_pass_dce(graph)


class _Rewrites:
    """Each looks at one node, and may give its readers another value; the node itself is left without any."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def drop_copy(self, node: Node) -> None:
        """A copy only for another order in memory, where every reader takes any."""
        readers = [use.user.kind() for use in node.output().uses()] if node.outputsSize() == 1 else []
        if node.kind() == "aten::contiguous" and set(readers) <= ANY_STRIDES:
            node.output().replaceAllUsesWith(node.inputsAt(0))

    def sink_permute(self, node: Node) -> None:
        """An operator on permuted tensors becomes the permuted result of it, and two permutes become one, or none."""
        if node.kind() == PERMUTE:
            inner, order = _permuted(node.inputsAt(0)), _constant(node.inputsAt(1))
            if inner is not None and order is not None:
                merged = [inner[1][axis] for axis in order]
                straight = merged == list(range(len(merged)))
                new = inner[0] if straight else self._permute(node, inner[0], merged)
                node.output().replaceAllUsesWith(new)
        elif node.kind() in UNARY | BINARY | {CAT}:
            found = self._before_permute(node)
            if found is not None:
                inputs, order = found
                new = self._permute(node, self._new(node, node.kind(), inputs), order)
                node.output().replaceAllUsesWith(new)

    def fold_scales(self, node: Node) -> None:
        """Scales and shifts by channel into the convolution before them; without one, several into one operator."""
        first = _scale_and_shift(node)
        if first is None:
            return
        source, scale, shift = first
        alone = len(list(source.uses())) == 1
        if alone and _scale_and_shift(source.node()) is not None:
            return  # the first of a chain takes the others along
        last = node
        while len(readers := list(last.output().uses())) == 1:
            following = _scale_and_shift(readers[0].user)
            if following is None or following[1].shape != scale.shape:
                break
            scale, shift = scale * following[1], shift * following[1] + following[2]
            last = readers[0].user
        if alone and _takes_scale(source.node(), scale.numel()):
            last.output().replaceAllUsesWith(self._scaled(source.node(), scale, shift))
        elif last is not node:
            shift_, scale_ = (self._constant(last, tensor.float()) for tensor in (shift, scale))
            inputs = [shift_, source, scale_, self._constant(last, 1)]
            last.output().replaceAllUsesWith(self._new(last, "aten::addcmul", inputs))

    def join_dense(self, node: Node) -> None:
        """A product with a constant matrix, and a vector added to it, as PyTorch's one operator for both."""
        if node.kind() != "aten::add" or _constant(node.inputsAt(2)) != 1:
            return
        product, bias = node.inputsAt(0).node(), _constant(node.inputsAt(1))
        if product.kind() != "aten::matmul" or len(list(product.output().uses())) > 1 or not _is_array(bias):
            return
        matrix = _constant(product.inputsAt(1))
        if matrix is None or matrix.dim() != 2 or bias.numel() != matrix.shape[1]:
            return
        weights = self._constant(node, matrix.t().contiguous())
        inputs = [product.inputsAt(0), weights, self._constant(node, bias.flatten())]
        node.output().replaceAllUsesWith(self._new(node, "aten::linear", inputs))

    def _before_permute(self, node: Node) -> tuple[list[Value], list[int]] | None:
        """The inputs of ``node`` before the one permutation that its tensors have in common, and that; None without."""
        inputs, is_cat = list(node.inputs()), node.kind() == CAT
        if is_cat and inputs[0].node().kind() != "prim::ListConstruct":
            return None
        tensors = list(inputs[0].node().inputs()) if is_cat else [one for one in inputs if _is_tensor(one)]
        found = [_permuted(value) for value in tensors]
        orders = {tuple(one[1]) for one in found if one is not None}
        if len(orders) != 1 or (node.kind() in UNARY and len(tensors) > 1):
            return None
        order = list(orders.pop())
        moved: dict[str, Value] = {}
        for value, one in zip(tensors, found, strict=True):
            inner = one[0] if one is not None else self._constant_before(node, value, order)
            if inner is None:
                return None
            moved[value.debugName()] = inner
        if not is_cat:
            return [moved.get(value.debugName(), value) for value in inputs], order
        parts = self._new(node, "prim::ListConstruct", [moved[value.debugName()] for value in tensors])
        parts.setType(inputs[0].type())
        return [parts, self._constant(node, order[_constant(inputs[1])])], order

    def _constant_before(self, node: Node, value: Value, order: list[int]) -> Value | None:
        """A constant tensor whose permutation is ``value``; None when that is no constant."""
        tensor = _constant(value)
        if not _is_array(tensor) or tensor.dim() > len(order):
            return None
        wide = tensor.reshape((1,) * (len(order) - tensor.dim()) + tuple(tensor.shape))
        return self._constant(
            node, wide.permute([order.index(axis) for axis in range(len(order))]).contiguous()
        )

    def _scaled(self, node: Node, scale: Tensor, shift: Tensor) -> Value:
        """A convolution like ``node`` whose channels are scaled and shifted."""
        import torch

        weight, bias = _constant(node.inputsAt(1)).double(), _constant(node.inputsAt(2))
        weight = weight * scale.reshape(-1, *(1,) * (weight.dim() - 1))
        bias = shift.flatten() if bias is None else bias.double() * scale.flatten() + shift.flatten()
        order = torch.channels_last if weight.dim() == 4 else torch.contiguous_format
        tensors = weight.float().contiguous(memory_format=order), bias.float()
        inputs = list(node.inputs())
        inputs[1:3] = [self._constant(node, tensor) for tensor in tensors]
        return self._new(node, CONVOLUTION, inputs)

    def _permute(self, before: Node, value: Value, order: list[int]) -> Value:
        return self._new(before, PERMUTE, [value, self._constant(before, order)])

    def _constant(self, before: Node, value: object) -> Value:
        made = self._graph.insertConstant(value)
        made.node().moveBefore(before)
        return made

    def _new(self, before: Node, kind: str, inputs: list[Value]) -> Value:
        return self._graph.create(kind, inputs, 1).insertBefore(before).output()


def _scale_and_shift(node: Node) -> tuple[Value, Tensor, Tensor] | None:
    """``x`` and two float64 constants of shape (1, C, 1, ...), where the node computes ``x * scale + shift``."""
    import torch

    name = node.kind().removeprefix("aten::")
    if name not in ("add", "mul", "multiply", "sub", "subtract"):
        return None
    if name in ("add", "sub", "subtract") and _constant(node.inputsAt(2)) != 1:
        return None
    source, vector = node.inputsAt(0), _by_channel(node.inputsAt(1))
    if vector is None and name not in ("sub", "subtract"):
        source, vector = node.inputsAt(1), _by_channel(node.inputsAt(0))
    if vector is None:
        return None
    if name in ("mul", "multiply"):
        return source, vector, torch.zeros_like(vector)
    return source, torch.ones_like(vector), vector if name == "add" else -vector


def _by_channel(value: Value) -> Tensor | None:
    """A float32 constant of one number for each channel, (1, C, 1, ...), in float64."""
    import torch

    tensor = _constant(value)
    if not _is_array(tensor) or tensor.dtype != torch.float32 or tensor.dim() < 3:
        return None
    return tensor.double() if tensor.numel() == tensor.shape[1] > 1 else None


def _takes_scale(node: Node, channels: int) -> bool:
    """Whether this is a convolution of so many output channels with constant weights."""
    if node.kind() != CONVOLUTION or _constant(node.inputsAt(6)) is not False:
        return False
    weight, bias = node.inputsAt(1), node.inputsAt(2)
    fixed = _is_array(_constant(weight)) and (_constant(bias) is not None or bias.type().kind() == "NoneType")
    return fixed and _constant(weight).shape[0] == channels


def _constant(value: Value) -> Any:
    """What a constant holds; None for anything else, and for None."""
    return value.toIValue() if value.node().kind() == "prim::Constant" else None


def _is_array(constant: object) -> bool:
    import torch

    return isinstance(constant, torch.Tensor)


def _is_tensor(value: Value) -> bool:
    return bool(value.type().kind() == "TensorType")


def _permuted(value: Value) -> tuple[Value, list[int]] | None:
    """The tensor that ``value`` is a permutation of, and the order of its axes."""
    if value.node().kind() != PERMUTE:
        return None
    order = _constant(value.node().inputsAt(1))
    return None if order is None else (value.node().inputsAt(0), [axis % len(order) for axis in order])


def _is_weight(value: Value) -> bool:
    """Whether the module holds it, perhaps in another type."""
    node = value.node()
    return _is_weight(node.inputsAt(0)) if node.kind() == "aten::to" else node.kind() == "prim::GetAttr"


def _same_type(value: Value, other: Value) -> bool:
    """Whether both are known to be of one type on one device."""
    known = [(one.type().scalarType(), one.type().device()) for one in (value, other) if _is_tensor(one)]
    return len(known) == 2 and known[0] == known[1] and None not in known[0]


def _is_fresh(value: Value) -> bool:
    """Whether it is a new tensor that nobody else reads."""
    return value.node().kind() in UNARY | BINARY and len(list(value.uses())) == 1
