"""Compute while reading what needs no input: constants, and shapes as far as they are known.

A shape that depends on a dynamic axis is computed twice, for two sizes of that axis. What comes out equal is a
constant; of the rest it is known by which axis, and by which factor, it grows (``sizes``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from exporter.conversions.onnx2keras.shapes import Array, Value

Trial = tuple[Array, Array]

_RANDOM = {
    "Bernoulli",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
}
# Operators that read the shape of their input, and of its elements nothing.
_READ_SHAPE = {"EyeLike", "Shape", "Size"}
# Each dynamic axis gets two sizes, unlike those of any other.
_SIZES = [(2, 41), (3, 43), (5, 47), (7, 53), (11, 59), (13, 61), (17, 67), (19, 71)]
# A tensor with more elements is no shape.
_LARGEST_SHAPE = 1024


@dataclass(frozen=True)
class Size:
    """A number that is only known when the model runs: ``factor`` times the size of the axis ``symbol``."""

    symbol: str
    factor: int = 1


@dataclass
class Folding:
    """One pass over the nodes. ``nodes`` are those that are left; ``again`` says that shapes are worth inferring anew."""

    constants: dict[str, Array]
    values: Mapping[str, Value]
    opset: int
    nodes: list[Any] = field(default_factory=list)
    again: bool = False
    _trials: dict[str, Trial] = field(default_factory=dict)
    _symbols: dict[str, tuple[int, int]] = field(default_factory=dict)

    def run(self, nodes: Iterable[Any]) -> None:
        """Fold these nodes, in order."""
        pending = deque(nodes)
        while pending:
            node = pending.popleft()
            if node.op_type == "If" and node.input[0] in self.constants:
                pending.extendleft(reversed(self._branch(node)))
                self.again = True
                continue
            if node.op_type == "CastLike" and node.input[1] in self.values:
                node = _as_cast(node, self.values[node.input[1]].dtype)
            if not self._computed(node):
                self.nodes.append(self._with_constant_target(node))

    @property
    def sizes(self) -> dict[str, tuple[int | Size | None, ...]]:
        """The elements of each shape that is known in part: a number, a size, or None where neither is known."""
        return {
            name: tuple(self._size(int(a), int(b)) for a, b in zip(*trial, strict=True))
            for name, trial in self._trials.items()
            if trial[0].ndim == 1
        }

    def _size(self, first: int, second: int) -> int | Size | None:
        if first == second:
            return first
        for symbol, (a, b) in self._symbols.items():
            if first % a == 0 and first // a * b == second:
                return Size(symbol, first // a)
        return None

    def _computed(self, node: Any) -> bool:
        """Whether the node needs no place in the graph. Keeps what is known of its outputs."""
        if node.op_type in _RANDOM or any(attribute.HasField("g") for attribute in node.attribute):
            return False
        names = [name for name in node.input if name]
        if all(name in self.constants for name in names):
            results = _evaluate(node, self.opset, self.constants.__getitem__)
            self.constants |= results or {}
            return results is not None
        if node.op_type in _READ_SHAPE:
            trials = self._shape_trials(node.input[0])
        elif all(name in self.constants or name in self._trials for name in names):
            trials = [partial(self._trial_value, i) for i in (0, 1)]
        else:
            return False
        return self._tried(node, trials)

    def _shape_trials(self, name: str) -> list[Callable[[str], Array]]:
        """Two tensors of the shape that ``name`` has, as far as its dynamic axes have names."""
        value = self.values.get(name)
        if value is None or value.shape is None:
            return []
        axes = list(zip(value.shape, value.symbols, strict=True))
        if any(size is None and not symbol for size, symbol in axes) or value.dtype not in np.sctypeDict:
            return []
        zero = np.zeros((), value.dtype)
        shapes = [
            [self._size_of(symbol)[i] if size is None else size for size, symbol in axes] for i in (0, 1)
        ]
        return [partial(_of_zeros, zero, shape) for shape in shapes]

    def _trial_value(self, number: int, name: str) -> Array:
        return self._trials[name][number] if name in self._trials else self.constants[name]

    def _size_of(self, symbol: str) -> tuple[int, int]:
        if symbol not in self._symbols:
            number = len(self._symbols)
            far = 101 + 2 * number
            self._symbols[symbol] = _SIZES[number] if number < len(_SIZES) else (far, far + 1)
        return self._symbols[symbol]

    def _tried(self, node: Any, trials: list[Callable[[str], Array]]) -> bool:
        results = [_evaluate(node, self.opset, trial) for trial in trials]
        if not results or any(result is None for result in results):
            return False
        first, second = (result or {} for result in results)
        alike = {name: first[name].shape == second[name].shape for name in first}
        if all(alike[name] and np.array_equal(first[name], second[name]) for name in first):
            self.constants |= first
            self.again = True
            return True
        self._trials |= {
            name: (first[name], second[name])
            for name in first
            if alike[name] and first[name].size <= _LARGEST_SHAPE
        }
        return False

    def _with_constant_target(self, node: Any) -> Any:
        """A Reshape whose target has one unknown number needs no computed target: ONNX has -1 for that."""
        if node.op_type != "Reshape" or node.input[1] not in self._trials:
            return node
        first, second = self._trials[node.input[1]]
        source = self._shape_trials(node.input[0])
        shapes = [trial("").shape for trial in source]
        copied = [
            first[i] != second[i] and len(shapes) == 2 and i < len(shapes[0])
            and (shapes[0][i], shapes[1][i]) == (first[i], second[i])
            for i in range(first.size)
        ]  # fmt: skip
        unknown = [i for i in range(first.size) if first[i] != second[i] and not copied[i]]
        zero_copies = not any(a.name == "allowzero" and a.i for a in node.attribute)
        if len(unknown) + int((first == -1).any()) > 1 or (any(copied) and not zero_copies):
            return node
        target = np.where(copied, 0, np.where(first == second, first, -1))
        changed = type(node)()
        changed.CopyFrom(node)
        changed.input[1] = f"{node.output[0]}/target"
        self.constants[changed.input[1]] = target.astype(np.int64)
        self.again = True
        return changed

    def _branch(self, node: Any) -> list[Any]:
        """The nodes of the branch that an If with a constant condition takes, named apart from all others."""
        from onnx import helper, numpy_helper

        taken = "then_branch" if self.constants[node.input[0]].item() else "else_branch"
        graph = next(attribute.g for attribute in node.attribute if attribute.name == taken)
        inner = [name for n in graph.node for name in n.output] + [t.name for t in graph.initializer]
        names = {name: f"{node.output[0]}/{name}" for name in inner if name}
        for tensor in graph.initializer:
            self.constants[names[tensor.name]] = numpy_helper.to_array(tensor)
        nodes = [_renamed(n, names) for n in graph.node]
        results = [names.get(output.name, output.name) for output in graph.output]
        return nodes + [
            helper.make_node("Identity", [result], [output])
            for result, output in zip(results, node.output, strict=True)
        ]


def _of_zeros(zero: Array, shape: list[int], name: str) -> Array:
    return np.broadcast_to(zero, shape)


def _renamed(node: Any, names: Mapping[str, str]) -> Any:
    """A copy of a node, and of what it holds inside, with these values named anew."""
    copy = type(node)()
    copy.CopyFrom(node)
    copy.input[:] = [names.get(name, name) for name in node.input]
    copy.output[:] = [names.get(name, name) for name in node.output]
    for attribute in copy.attribute:
        if attribute.HasField("g"):
            for i, inner in enumerate(attribute.g.node):
                attribute.g.node[i].CopyFrom(_renamed(inner, names))
            for output in attribute.g.output:
                output.name = names.get(output.name, output.name)
    return copy


def _as_cast(node: Any, dtype: str) -> Any:
    """CastLike says by a tensor what Cast says by a number."""
    from onnx import helper

    copy = type(node)()
    copy.CopyFrom(node)
    copy.op_type = "Cast"
    del copy.input[1:]
    copy.attribute.append(helper.make_attribute("to", helper.np_dtype_to_tensor_dtype(np.dtype(dtype))))
    return copy


def _evaluate(node: Any, opset: int, value_of: Callable[[str], Array]) -> dict[str, Array] | None:
    """The outputs of a node by ONNX's reference implementation; None where it has none."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    names = [name for name in node.input if name]
    inputs = [onnx.ValueInfoProto(name=name) for name in dict.fromkeys(names)]
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
    model = onnx.helper.make_model(
        onnx.helper.make_graph([node], "constant", inputs, outputs),
        opset_imports=[onnx.helper.make_opsetid(node.domain, opset)],
    )
    try:
        evaluator = ReferenceEvaluator(model)
    except NotImplementedError:
        return None
    with np.errstate(all="ignore"):
        results = evaluator.run(None, {name: value_of(name) for name in names})
    return {output.name: np.asarray(result) for output, result in zip(outputs, results, strict=True)}
