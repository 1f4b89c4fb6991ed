"""Every value that a PyTorch module computes, named after the modules that compute it. Runs in a torch child.

Functions are seen as the module's code calls them, so that any code can be followed, in float32 and in float64. A module
that computes one value gives it its name (``features.3``); the values of one that computes several have the function
behind it (``layer1.0.add``). A second call of the same is ``relu#2``.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exporter.explain.source_layers import Run, Value
from exporter.source_folder import open_source
from runtimes.base import Array, Feeds
from runtimes.frameworks.torchscript_graph import computed
from runtimes.reference import Variant

# Functions that compute no number: beside one that does, they do not count as what a module computes.
_MOVES = {
    *(
        "view",
        "view_as",
        "reshape",
        "reshape_as",
        "flatten",
        "unflatten",
        "squeeze",
        "unsqueeze",
        "expand",
        "expand_as",
    ),
    *(
        "transpose",
        "permute",
        "movedim",
        "swapaxes",
        "t",
        "roll",
        "repeat",
        "contiguous",
        "clone",
        "detach",
        "alias",
    ),
    *("getitem", "select", "narrow", "chunk", "split", "unbind", "to", "type_as", "float"),
}
# Where a tensor keeps which values it was computed from; on the model's input it is empty, on constants absent.
_ORIGIN = "_fwexport_origin"


@dataclass
class _Call:
    """One value: where it was computed, by which function, from which earlier ones (their numbers)."""

    path: str
    kind: str
    function: str
    inputs: tuple[int, ...]
    array: Array


def open_values(folder: Path, variant: Variant) -> Run:
    """The values of the source's module, in the variant's precision."""
    import torch

    session: Any = open_source(folder).loader.open_session(folder, variant)
    model = session.model
    if isinstance(model, torch.jit.ScriptModule):
        return lambda feeds: _named(_scripted(model, session.tensors(feeds)))

    def run(feeds: Feeds) -> list[Value]:
        with _recording(model) as (calls, stack):
            if isinstance(model, torch.fx.GraphModule):
                session.model = _interpreter(model, stack)
            session.run(feeds)
        return _named(calls)

    return run


def _scripted(model: Any, tensors: list[Any]) -> list[_Call]:
    """The values of a ScriptModule that depend on its inputs, and the modules that its trace remembers."""
    numbers: dict[str, tuple[int, ...]] = {value.debugName(): () for value in list(model.graph.inputs())[1:]}
    calls: list[_Call] = []
    for value in computed(model, tensors):
        given = [numbers[name] for name in value.inputs if name in numbers]
        if not given:
            continue
        origins = tuple(dict.fromkeys(number for one in given for number in one))
        numbers[value.name] = origins
        if value.tensor.is_floating_point():
            numbers[value.name] = (len(calls),)
            calls.append(_Call(value.scope, value.operator, value.operator, origins, value.tensor.numpy()))
    return calls


def _interpreter(model: Any, stack: list[tuple[str, str]]) -> Callable[..., Any]:
    """An exported program's module, run node by node: each remembers the module that it came from."""
    import torch

    class Interpreter(torch.fx.Interpreter):  # type: ignore[misc]
        def run_node(self, node: Any) -> Any:
            path, kind = next(reversed((node.meta.get("nn_module_stack") or {"": ("", "")}).values()))
            stack.append((path, str(kind).rpartition(".")[2]))
            try:
                return super().run_node(node)
            finally:
                stack.pop()

    def run(*tensors: Any) -> Any:
        for tensor in tensors:
            setattr(tensor, _ORIGIN, ())
        return Interpreter(model).run(*tensors)

    return run


def _named(calls: list[_Call]) -> list[Value]:
    functions: dict[str, set[str]] = {}
    for call in calls:
        functions.setdefault(call.path, set()).add(call.function)
    alone = {
        path: next(iter(found - _MOVES if len(found) > 1 else found))
        for path, found in functions.items()
        if path and len(found - _MOVES if len(found) > 1 else found) == 1
    }
    seen: Counter[str] = Counter()
    values: list[Value] = []
    for call in calls:
        is_module = alone.get(call.path) == call.function
        name = call.path if is_module else ".".join(filter(None, (call.path, call.function)))
        seen[name] += 1
        if seen[name] > 1:
            name = f"{name}#{seen[name]}"
        op = call.kind if is_module else call.function
        values.append(Value(name, op, tuple(values[number].name for number in call.inputs), call.array))
    return values


@contextlib.contextmanager
def _recording(model: Any) -> Iterator[tuple[list[_Call], list[tuple[str, str]]]]:
    """The calls that ``model`` makes while this is open, and the modules that are at work, with their classes."""
    import torch
    from torch.overrides import TorchFunctionMode

    calls: list[_Call] = []
    stack: list[tuple[str, str]] = []

    class Recorder(TorchFunctionMode):  # type: ignore[misc]
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            given = [tensor for tensor in _tensors((args, kwargs or {})) if hasattr(tensor, _ORIGIN)]
            origins = tuple(dict.fromkeys(number for tensor in given for number in getattr(tensor, _ORIGIN)))
            result = function(*args, **(kwargs or {}))
            if not given:
                return result
            written = [args[0]] if result is None and isinstance(args[0], torch.Tensor) else []
            for tensor in (*_tensors(result), *written):
                if tensor.is_floating_point() and stack:
                    path, kind = stack[-1]
                    value = tensor.detach().clone().numpy()
                    calls.append(_Call(path, kind, _name(function), origins, value))
                    setattr(tensor, _ORIGIN, (len(calls) - 1,))
                else:
                    setattr(tensor, _ORIGIN, origins)
            return result

    def enter(path: str) -> Any:
        def hook(module: Any, given: Any) -> None:
            if not stack:
                for tensor in _tensors(given):
                    setattr(tensor, _ORIGIN, ())
            stack.append((path, type(module).__name__))

        return hook

    def leave(module: Any, given: Any, result: Any) -> None:
        stack.pop()

    hooks = []
    for path, module in model.named_modules():
        hooks += [module.register_forward_pre_hook(enter(path)), module.register_forward_hook(leave)]
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with Recorder():
            yield calls, stack
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
        for hook in hooks:
            hook.remove()


def _tensors(value: Any) -> Iterable[Any]:
    import torch

    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        return [tensor for item in value.values() for tensor in _tensors(item)]
    if isinstance(value, (tuple, list)):
        return [tensor for item in value for tensor in _tensors(item)]
    return []


def _name(function: Any) -> str:
    """``relu`` of ``relu_``, ``getitem`` of ``__getitem__``, ``conv2d`` of ``conv2d.default``."""
    return str(getattr(function, "__name__", function)).partition(".")[0].strip("_")
