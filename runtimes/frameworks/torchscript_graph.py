"""Every tensor that a TorchScript graph computes: what the adapter shows of a file, and what a scripted source is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_PLUMBING = ("prim::Constant", "prim::GetAttr")


@dataclass(frozen=True)
class Computed:
    """One value: its name in the graph, the operator, the module that a trace remembers ("" otherwise), what it reads."""

    name: str
    operator: str
    scope: str
    inputs: tuple[str, ...]
    tensor: Any


def computed(module: Any, inputs: Sequence[Any]) -> list[Computed]:
    """The tensors of one run, in order; those inside loops and branches are not seen.

    The module's calls are inlined and nothing of it is folded. Each tensor is copied when it is made, because a later
    operator may write into it.
    """
    import torch

    if hasattr(module, "training"):  # one that is frozen already has no such state
        module = torch.jit.freeze(module.eval(), optimize_numerics=False)
    graph = module.graph.copy()
    nothing = graph.insertConstant(None)
    nothing.node().moveBefore(next(graph.nodes()))
    found, copies = [], []
    for node in list(graph.nodes()):
        for value in node.outputs():
            if node.kind() not in _PLUMBING and isinstance(value.type(), torch.TensorType):
                copy = graph.create("aten::clone", [value, nothing], 1)
                copy.insertAfter(node)
                copies.append(copy.output())
                found.append((value.debugName(), node))
    for _ in list(graph.outputs()):
        graph.eraseOutput(0)
    for copy in copies:
        graph.registerOutput(copy)
    graph.eraseInput(0)
    graph.makeMultiOutputIntoTuple()
    with torch.inference_mode():
        result = torch._C._create_function_from_graph("computed", graph)(*inputs)
    tensors = result if len(copies) > 1 else (result,)
    return [
        Computed(
            name,
            node.kind().partition("::")[2].strip("_"),
            node.scopeName().rpartition("/")[2].removeprefix("__module").lstrip("."),
            tuple(value.debugName() for value in node.inputs()),
            tensor,
        )
        for (name, node), tensor in zip(found, tensors, strict=True)
    ]
