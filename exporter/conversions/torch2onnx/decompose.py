"""Bring an exported program to operators that torch.onnx knows without tracing the network again.

``torch.onnx.export`` calls the program's ``run_decompositions``, which traces the whole network twice more: half of the
time of an export. What an ordinary network needs of it is a handful of operators, rewritten here in place. A program
that has others, or whose in-place operators are more than a shorthand, is left to PyTorch.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

Node = Any
Table = Mapping[Any, Callable[..., Any]]


def decompose_in_place(program: Any) -> Any:
    """``program``, a ``torch.export.ExportedProgram``, with a ``run_decompositions`` that traces only when it must."""
    trace_again = program.run_decompositions

    def run_decompositions(table: Table) -> Any:
        for node in list(program.graph.nodes):
            _rewrite(node)
        if any(_needs_tracing(node, table) for node in program.graph.nodes):
            return trace_again(table)
        return program

    program.run_decompositions = run_decompositions
    return program


def _needs_tracing(node: Node, table: Table) -> bool:
    """Whether a node is an operator that has no ONNX form, writes into its input, or holds a graph."""
    import torch

    if isinstance(node.target, torch._ops.OpOverload):
        return node.target in table or node.target._schema.is_mutable
    return isinstance(node.target, torch._ops.HigherOrderOperator)


def _rewrite(node: Node) -> None:
    """Give a node another operator. It stays the same node, because the program's signature goes by its name."""
    import torch

    aten = torch.ops.aten
    if node.target is aten.batch_norm.default and not node.args[5]:
        tensor, *parameters, _, momentum, eps, _ = node.args
        with node.graph.inserting_before(node):
            normed = node.graph.call_function(
                aten._native_batch_norm_legit_no_training.default, (tensor, *parameters, momentum, eps)
            )
        normed.meta = {**node.meta, "val": (node.meta["val"],) * 3}
        node.target, node.args = operator.getitem, (normed, 0)
    elif node.target in _adaptive_pools() and math.prod(node.args[1]) == 1:
        axes = [-1 - axis for axis in range(len(node.args[1]))]
        node.target, node.args = aten.mean.dim, (node.args[0], axes, True)
    elif node.target is aten.dropout.default and not node.args[2]:
        node.target, node.args = aten.alias.default, node.args[:1]
    elif node.target is aten.to.dtype:
        tensor, dtype = node.args[:2]
        node.target, node.args, node.kwargs = aten._to_copy.default, (tensor,), {"dtype": dtype}
    elif (functional := _functional(node)) and _is_unseen(node):
        node.target = functional


def _adaptive_pools() -> tuple[Any, ...]:
    import torch

    aten = torch.ops.aten
    return (
        aten.adaptive_avg_pool1d.default,
        aten.adaptive_avg_pool2d.default,
        aten.adaptive_avg_pool3d.default,
    )


def _functional(node: Node) -> Any:
    """``relu`` of ``relu_``: what computes the same into a new tensor. None for an operator that is not in place."""
    import torch

    if not isinstance(node.target, torch._ops.OpOverload) or not node.target._schema.is_mutable:
        return None
    namespace, _, name = node.target._schema.name.partition("::")
    if namespace != "aten" or not name.endswith("_"):
        return None
    return getattr(getattr(torch.ops.aten, name[:-1], None), node.target._overloadname, None)


def _is_unseen(node: Node) -> bool:
    """Whether writing into the first input makes no difference: nobody else reads that tensor or shares its memory."""
    written = node.args[0]
    tensors = [argument.meta["val"] for argument in node.all_input_nodes]
    alike = len({tensor.dtype for tensor in tensors if hasattr(tensor, "dtype")}) == 1
    return alike and len(written.users) == 1 and _is_fresh(written)


def _is_fresh(node: Node) -> bool:
    """Whether a node's result is a tensor with memory of its own.

    An operator says so in its schema, unless it is composed of others, which then decide.
    """
    import torch

    aten = torch.ops.aten
    if node.target is operator.getitem:
        return bool(node.args[0].target is aten._native_batch_norm_legit_no_training.default)
    if not isinstance(node.target, torch._ops.OpOverload):
        return False
    if node.target in (aten.conv1d.default, aten.conv2d.default, aten.conv3d.default, aten.linear.default):
        return True
    composed = node.target.has_kernel_for_dispatch_key(torch._C.DispatchKey.CompositeImplicitAutograd)
    return not composed and all(result.alias_info is None for result in node.target._schema.returns)
