"""The operators of a PyTorch source, seen and changed as PyTorch dispatches them. Runs in a torch child.

That is below any code: modules, functions, TorchScript and exported programs all end there. A layer's name is its module's
path; of an operator beside submodules, the path and the operator (``layer1.0.add``).
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from exporter import source_folder
from exporter.explain.operators import Op, compute
from exporter.explain.source_faults import Change
from runtimes.base import Array, Feeds
from runtimes.reference import Variant

Values = dict[str, Any]


def open_source(folder: Path) -> TorchSource:
    """The source's module in float64."""
    return TorchSource(folder)


class TorchSource:
    """A PyTorch source whose operators can be changed while it runs."""

    def __init__(self, folder: Path) -> None:
        # On one thread: small networks wait for other threads longer than they compute.
        variant = Variant(precision="float64")
        self._session: Any = source_folder.open_source(folder).loader.open_session(folder, variant)
        self.inputs, self.outputs = self._session.inputs, self._session.outputs

    def operators(self, feeds: Feeds) -> list[Op]:
        """Those that are known, in the order of computation."""
        seen: list[Op] = []
        with _watching(self._session.model, {}, seen):
            self._session.run(feeds)
        return seen

    def run(self, feeds: Feeds, changes: Mapping[int, Change]) -> dict[str, Array]:
        """The outputs, with the operators at these places changed."""
        with _watching(self._session.model, changes, None):
            found: dict[str, Array] = self._session.run(feeds)
        return found


@contextlib.contextmanager
def _watching(model: Any, changes: Mapping[int, Change], seen: list[Op] | None) -> Iterator[None]:
    """While open, operators at these places are changed; all are added to ``seen`` where it is given."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    stack: list[tuple[str, bool]] = []
    names: Counter[str] = Counter()

    class Watch(TorchDispatchMode):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.place = 0
            self.before: tuple[Any, str, Values] | None = None

        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            name = function.overloadpacket.__name__
            describe = _OPERATORS.get(name.rstrip("_"))
            values = _bound(function, args, kwargs or {}) if describe else {}
            if describe is None or describe(values, None) is None:
                return function(*args, **(kwargs or {}))
            place, self.place = self.place, self.place + 1
            changed = None
            if seen is not None or place in changes:
                # Before it runs: in place, it writes over its input.
                op = self.described(name, values)
                if seen is not None:
                    seen.append(op)
                changed = changes[place](op) if place in changes else None
            if changed is None:
                result = function(*args, **(kwargs or {}))
            else:
                result = _result(changed, function, args[0])
            if name in _CONVOLUTIONS:
                self.before = (result, name, values)
            return result

        def described(self, name: str, values: Values) -> Op:
            op = _described(name, values, self.layer(name) if seen is not None else "")
            if op.kind == "batch norm" and self.before is not None and self.before[0] is values["input"]:
                op = op.but(convolution=_described(*self.before[1:], ""))
            return op

        def layer(self, name: str) -> str:
            path, is_leaf = stack[-1] if stack else ("", False)
            full = path if is_leaf else ".".join(filter(None, (path, name.strip("_"))))
            names[full] += 1
            return full if names[full] == 1 else f"{full}#{names[full]}"

    def leave(_module: Any, _given: Any, _result: Any) -> None:
        stack.pop()

    hooks = []
    scripted = isinstance(model, torch.jit.ScriptModule)
    for path, module in () if scripted else model.named_modules():
        entry = (path, not any(True for _ in module.children()))
        hooks.append(module.register_forward_pre_hook(lambda _m, _x, entry=entry: stack.append(entry)))
        hooks.append(module.register_forward_hook(leave))
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with Watch():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
        for hook in hooks:
            hook.remove()


def _bound(function: Any, args: Any, kwargs: Any) -> Values:
    """The arguments by the names of the operator's schema, its defaults among them."""
    arguments = function._schema.arguments
    values = {one.name: one.default_value for one in arguments if one.has_default_value()}
    values |= {one.name: value for one, value in zip(arguments, args, strict=False)}
    return {**values, **kwargs}


def _result(changed: Op | Array, function: Any, first: Any) -> Any:
    """The changed operator's result as the operator itself gives it: in place, or first of several."""
    import torch

    array = changed if isinstance(changed, np.ndarray) else compute(changed)
    result = torch.from_numpy(np.ascontiguousarray(array)).to(torch.float64)
    schema = function._schema
    if schema.name.endswith("_"):
        return first.copy_(result)
    return (result, *(None for _ in schema.returns[1:])) if len(schema.returns) > 1 else result


def _described(name: str, values: Values, layer: str) -> Op:
    made = _OPERATORS[name.rstrip("_")](values, _array)
    assert made is not None
    kind, tensors, described = made
    # The operator may write over its input, never over its weights.
    return Op(layer, kind, tuple(_array(tensor.clone()) for tensor in tensors), described)


def _array(tensor: Any) -> Any:
    return None if tensor is None else tensor.detach().numpy()


# Each gives (kind, tensors, values) of an operator that it knows. ``array`` is None where only that is asked.
Described = tuple[Any, tuple[Any, ...], Values] | None
To = Callable[[Any], Any] | None


def _all(array: To, **tensors: Any) -> Values:
    return {} if array is None else {name: array(tensor) for name, tensor in tensors.items()}


def _each(number: Any, rank: int) -> tuple[Any, ...]:
    numbers = tuple(number) if isinstance(number, (list, tuple)) else (number,)
    return numbers * rank if len(numbers) == 1 else numbers


def _convolution(values: Values, array: To) -> Described:
    x, weight = values["input"], values["weight"]
    rank = weight.ndim - 2
    if values.get("transposed") or x.ndim != weight.ndim:
        return None
    dilations, strides = _each(values["dilation"], rank), _each(values["stride"], rank)
    if isinstance(values["padding"], str):
        total = [
            (k - 1) * d if values["padding"] == "same" else 0
            for k, d in zip(weight.shape[2:], dilations, strict=True)
        ]
        pads = tuple((n // 2, n - n // 2) for n in total)
    else:
        pads = tuple((n, n) for n in _each(values["padding"], rank))
    described = {"strides": strides, "pads": pads, "dilations": dilations, "groups": values["groups"]}
    return "convolution", (x,), {**_all(array, weight=weight, bias=values["bias"]), **described}


def _linear(values: Values, array: To) -> Described:
    return "dense", (values["input"],), _all(array, weight=values["weight"], bias=values["bias"])


def _addmm(values: Values, array: To) -> Described:
    if values["alpha"] != 1 or values["beta"] != 1 or values["self"].ndim != 1:
        return None
    return "dense", (values["mat1"],), _all(array, weight=values["mat2"].t(), bias=values["self"])


def _batch_norm(values: Values, array: To) -> Described:
    if values.get("training") or values["running_mean"] is None:
        return None
    tensors = _all(
        array,
        mean=values["running_mean"],
        variance=values["running_var"],
        scale=values["weight"],
        offset=values["bias"],
    )
    return "batch norm", (values["input"],), {**tensors, "epsilon": values["eps"]}


def _layer_norm(values: Values, array: To) -> Described:
    axes = tuple(range(-len(values["normalized_shape"]), 0))
    tensors = _all(array, scale=values["weight"], offset=values["bias"])
    return "layer norm", (values["input"],), {**tensors, "axes": axes, "epsilon": values["eps"]}


def _group_norm(values: Values, array: To) -> Described:
    tensors = _all(array, scale=values["weight"], offset=values["bias"])
    described = {"groups": values["num_groups"], "epsilon": values["eps"]}
    return "group norm", (values["input"],), {**tensors, **described}


def _instance_norm(values: Values, array: To) -> Described:
    if not values["use_input_stats"]:
        return None
    tensors = _all(array, scale=values["weight"], offset=values["bias"])
    described = {"groups": values["input"].shape[1], "epsilon": values["eps"]}
    return "group norm", (values["input"],), {**tensors, **described}


def _activation(function: str, parameter: str = "") -> Callable[[Values, To], Described]:
    def describe(values: Values, _: To) -> Described:
        described = {"function": function, "parameter": values[parameter] if parameter else 0.0}
        return "activation", (values["self"],), described

    return describe


def _clamp(low: str, high: str) -> Callable[[Values, To], Described]:
    def describe(values: Values, _: To) -> Described:
        function = {(0.0, 6.0): "relu6", (0.0, None): "relu"}.get((values[low], values[high]))
        if function is None:
            return None
        return "activation", (values["self"],), {"function": function, "parameter": 0.0}

    return describe


def _gelu(values: Values, _: To) -> Described:
    function = "gelu by tanh" if values["approximate"] == "tanh" else "gelu"
    return "activation", (values["self"],), {"function": function, "parameter": 0.0}


def _pool(mode: str) -> Callable[[Values, To], Described]:
    def describe(values: Values, _: To) -> Described:
        rank = values["self"].ndim - 2
        if set(_each(values.get("dilation", 1), rank)) != {1} or values.get("divisor_override") is not None:
            return None
        size = _each(values["kernel_size"], rank)
        described = {
            "mode": mode,
            "size": size,
            "strides": _each(values["stride"] or size, rank),
            "pads": tuple((n, n) for n in _each(values["padding"], rank)),
            "ceil": values["ceil_mode"],
            "count_pads": values.get("count_include_pad", False),
        }
        return "pool", (values["self"],), described

    return describe


def _pad(values: Values, _: To) -> Described:
    numbers, x = values["pad"], values["self"]
    if values.get("mode", "constant") != "constant" or values["value"] or len(numbers) != 2 * (x.ndim - 2):
        return None
    pairs = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    return "pad", (x,), {"pads": pairs[::-1]}


def _upsample(mode: str) -> Callable[[Values, To], Described]:
    def describe(values: Values, _: To) -> Described:
        x: Any = values.get("input", values.get("self"))
        size = values.get("output_size")
        if size is None:
            scales = values["scale_factors"]
            size = [int(have * by) for have, by in zip(x.shape[2:], scales, strict=True)]
        aligned = values.get("align_corners", False)
        plain = "half_pixel" if mode == "linear" else "asymmetric"
        coordinates = "align_corners" if aligned else plain
        return "resize", (x,), {"mode": mode, "coordinates": coordinates, "size": tuple(size)}

    return describe


def _flatten(values: Values, _: To) -> Described:
    x = values["self"]
    wanted = values.get("size", values.get("shape"))
    if wanted is None:
        flat = values["start_dim"] == 1 and values["end_dim"] in (-1, x.ndim - 1)
    else:
        flat = len(wanted) == 2 and wanted[0] in (len(x), -1) and wanted[1] in (-1, x[0].numel())
    if not flat or x.ndim < 4 or not x.is_floating_point():
        return None
    return "flatten", (x,), {"order": tuple(range(1, x.ndim))}


def _cat(values: Values, _: To) -> Described:
    return "concat", tuple(values["tensors"]), {"axis": values["dim"]}


def _add(values: Values, _: To) -> Described:
    import torch

    one, other = values["self"], values["other"]
    both = isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor)
    if not both or one.shape != other.shape or values["alpha"] != 1 or not one.is_floating_point():
        return None
    return "add", (one, other), {}


def _softmax(values: Values, _: To) -> Described:
    return "softmax", (values["self"],), {"axis": values["dim"]}


_CONVOLUTIONS = ("conv1d", "conv2d", "conv3d", "_convolution", "convolution")
_OPERATORS: dict[str, Callable[[Values, To], Described]] = {
    **dict.fromkeys(_CONVOLUTIONS, _convolution),
    "linear": _linear,
    "addmm": _addmm,
    "batch_norm": _batch_norm,
    "_native_batch_norm_legit_no_training": _batch_norm,
    "layer_norm": _layer_norm,
    "native_layer_norm": _layer_norm,
    "group_norm": _group_norm,
    "instance_norm": _instance_norm,
    "relu": _activation("relu"),
    "relu6": _activation("relu6"),
    "hardtanh": _clamp("min_val", "max_val"),
    "clamp": _clamp("min", "max"),
    "leaky_relu": _activation("leaky relu", "negative_slope"),
    "elu": _activation("elu", "alpha"),
    "gelu": _gelu,
    "silu": _activation("silu"),
    "hardswish": _activation("hard swish"),
    "sigmoid": _activation("sigmoid"),
    "hardsigmoid": _activation("hard sigmoid"),
    "tanh": _activation("tanh"),
    "softplus": _activation("softplus"),
    "mish": _activation("mish"),
    **{f"avg_pool{rank}d": _pool("average") for rank in (1, 2, 3)},
    **{f"max_pool{rank}d": _pool("max") for rank in (1, 2, 3)},
    "max_pool2d_with_indices": _pool("max"),
    **dict.fromkeys(("pad", "constant_pad_nd"), _pad),
    **{f"upsample_{name}": _upsample("linear") for name in ("linear1d", "bilinear2d", "trilinear3d")},
    **{f"upsample_nearest{rank}d": _upsample("nearest") for rank in (1, 2, 3)},
    **dict.fromkeys(("flatten", "view", "reshape", "_unsafe_view"), _flatten),
    "cat": _cat,
    "add": _add,
    **dict.fromkeys(("softmax", "_softmax"), _softmax),
}
