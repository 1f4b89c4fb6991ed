"""Walk the planned graph and build a functional Keras model, each node by the lowering of its operator.

This is where Keras begins. What the lowerings need is on ``Call``; it names every layer and operation that they
make, and moves a tensor into the wanted layout where the plan says so.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from exporter.conversions.onnx2keras.broadcast import aligned, misread_as_bias
from exporter.conversions.onnx2keras.graph import Array, Graph, Node, Shape, Size
from exporter.conversions.onnx2keras.layout import Layout, Plan, Step
from exporter.conversions.onnx2keras.names import Unique, keras_name, layer_names
from exporter.conversions.onnx2keras.registry import Tensor, operators
from runtimes.errors import ConversionError


def lower(graph: Graph, plan: Plan, name: str) -> Any:
    """The ``keras.Model`` of a planned graph, its inputs and outputs in the graph's order.

    Raises ConversionError when a tensor comes out in another shape or type than ONNX says.
    """
    return _Model(graph, plan).build(name)


class Call:
    """One node on its way into the model: its inputs in the planned layouts, its attributes, and Keras."""

    def __init__(self, model: _Model, step: Step) -> None:
        self._model = model
        self._step = step
        self.node: Node = step.node
        self.graph: Graph = model.graph
        self.keras: Any = model.keras
        self.ops: Any = _Operations(self, model.keras)
        self.layers: Any = model.keras.layers
        self.name = model.layer_names[step.node.outputs[0]]

    def attr(self, name: str, default: Any) -> Any:
        """An attribute of the node."""
        return self.node.attributes.get(name, default)

    def shape(self, index: int = 0) -> Shape:
        """The ONNX shape of an input."""
        return self.graph.shape(self.node.inputs[index])

    @property
    def output_shape(self) -> Shape:
        """The shape of the first output as the Keras tensor has it."""
        return self.output_layout.permute(self.graph.shape(self.node.outputs[0]))

    @property
    def layout(self) -> Layout:
        """The layout of the first input that is computed."""
        return next(layout for layout in self._step.wants if layout)

    @property
    def output_layout(self) -> Layout:
        """The layout of the first output."""
        return self._step.gives[0]

    @property
    def dtype(self) -> str:
        """The type of the first output."""
        return self.graph.dtype(self.node.outputs[0])

    def axis(self, axis: int) -> int:
        """Where an ONNX axis of the first input lies in its Keras tensor."""
        return self.layout.axis(axis)

    def tensor(self, index: int = 0) -> Tensor:
        """An input that is computed, in its planned layout."""
        layout = self._step.wants[index]
        assert layout is not None
        return self._model.tensor(self.node.inputs[index], layout)

    def constant(self, index: int) -> Array | None:
        """An input that is a constant, as ONNX has it; None when it is computed or absent."""
        return self.graph.constant(self.node, index)

    def operand(self, index: int, dtype: str | None = None) -> Tensor:
        """An input of a broadcasting operator in the output's layout: a constant, or a tensor; of this type."""
        constant = self.constant(index)
        if constant is not None:
            return aligned(constant.astype(dtype or constant.dtype), self.output_layout)
        return self.cast(self._full_rank(index), dtype or self.graph.dtype(self.node.inputs[index]))

    def _full_rank(self, index: int) -> Tensor:
        """A tensor whose axes, if they are fewer than the output's, lie where they broadcast."""
        shape, order = self.shape(index), self.output_layout.order
        missing = len(order) - len(shape)
        if not shape or all(axis < missing for axis in order[:missing]):
            return self.tensor(index)
        full = tuple(1 if axis < missing else shape[axis - missing] for axis in order)
        return self.op(self.ops.reshape, self.tensor(index), reshape_target(full), suffix="_broadcast")

    def cast(self, tensor: Tensor, dtype: str) -> Tensor:
        """The tensor, in this type."""
        return tensor if str(tensor.dtype) == dtype else self.op(self.ops.cast, tensor, dtype, suffix="_cast")

    def add(self, first: Tensor, second: Tensor, suffix: str = "") -> Tensor:
        """Their sum, broadcast as everywhere else.

        Of whole numbers it is a difference: TF Lite has no bias of those, and Keras makes one where it can.
        """
        shapes = [tuple(getattr(operand, "shape", ())) for operand in (first, second)]
        whole = (
            str(getattr(first, "dtype", "")).startswith("int") and () not in shapes and len(set(shapes)) > 1
        )
        if not whole and not misread_as_bias(*shapes):
            return self.op(self.ops.add, first, second, suffix=suffix)
        if not whole and not misread_as_bias(*reversed(shapes)):
            return self.op(self.ops.add, second, first, suffix=suffix)
        if not isinstance(second, self.keras.KerasTensor):
            return self.op(self.ops.subtract, first, -second, suffix=suffix)
        return self.op(self.ops.subtract, first, self.ops.negative(second), suffix=suffix)

    def weights(self, index: int, transposed: bool = False) -> Array:
        """A constant input, or its transpose: its first axis in the order of the first input's features."""
        constant = self.constant(index)
        assert constant is not None
        if transposed:
            constant = constant.T
        return constant if self.layout.flat is None else constant.take(self.layout.flat.index(), axis=0)

    def zeros(self, size: Size, dtype: str) -> Tensor:
        """A vector of zeros as long as a dynamic axis of an input, times the factor."""
        zeros = self._model.zeros(size.symbol)
        if size.factor != 1:
            zeros = self.op(self.ops.repeat, zeros, size.factor, suffix="_size")
        return self.cast(zeros, dtype)

    def layer(
        self, kind: Any, *weights: Array, suffix: str = "", **config: Any
    ) -> Callable[[Tensor], Tensor]:
        """A Keras layer of the class ``kind``, named after the source, that takes ``weights`` when it is applied.

        A second node with the same weights and attributes applies the same layer.
        """
        constants = tuple(name for name in self.node.inputs if name in self.graph.constants)
        key = (kind, suffix, constants, self.layout.flat, repr(self.node.attributes), repr(config))
        if weights and key in self._model.shared:
            return self._model.shared[key]
        layer = kind(name=self._model.names.take(self.name + suffix), dtype=self.dtype, **config)
        if weights:
            self._model.shared[key] = layer

        def apply(tensor: Tensor) -> Tensor:
            result = layer(tensor)
            if weights:
                layer.set_weights(weights)
            return result

        return apply

    def op(self, function: Callable[..., Tensor], *args: Any, suffix: str = "", **kwargs: Any) -> Tensor:
        """The result of a function of ``keras.ops``, its operation in the model named after the source."""
        plain = (
            function.args[0] if isinstance(function, partial) else function
        )  # named here, not by its own name
        return self._model.operation(self.name + suffix, plain, *args, **kwargs)

    def named(self, function: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """The result of one of the functions that a node takes on the way, its operation named after both."""
        result = function(*args, **kwargs)
        if isinstance(result, self.keras.KerasTensor):
            name = self._model.names.take(f"{self.name}__{function.__name__}")
            result._keras_history.operation.name = name
        return result


class _Operations:
    """``keras.ops`` for one node: Keras's own names for operations could meet the source's."""

    def __init__(self, call: Call, keras: Any) -> None:
        self._call, self._ops = call, keras.ops

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._ops, name)
        return partial(self._call.named, found) if callable(found) else found


class _Model:
    """The model while it grows: its tensors, each in every layout that was asked for."""

    def __init__(self, graph: Graph, plan: Plan) -> None:
        import keras

        self.keras: Any = keras
        self.graph = graph
        self.plan = plan
        self.layer_names = layer_names(graph)
        self.names = Unique(keras_name(name) for name in graph.inputs)
        self.shared: dict[tuple[Any, ...], Callable[[Tensor], Tensor]] = {}
        self._tensors: dict[str, dict[Layout, Tensor]] = {}

    def build(self, name: str) -> Any:
        """Inputs, nodes, outputs."""
        inputs = [self._input(name) for name in self.graph.inputs]
        for step in self.plan.steps:
            self._node(step)
        outputs = [self._output(name) for name in self.graph.outputs]
        return self.keras.Model(_one_or_all(inputs), _one_or_all(outputs), name=name)

    def tensor(self, name: str, layout: Layout) -> Tensor:
        """A value in a layout: as it lives, or moved, once."""
        living = self._tensors[name]
        if layout not in living:
            home = next(iter(living))
            living[layout] = self._moved(name, living[home], home, layout)
        return living[layout]

    def operation(self, name: str, function: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """Apply a function of ``keras.ops`` and name the operation that it adds to the model."""
        result = function(*args, **kwargs)
        first = result[0] if isinstance(result, (list, tuple)) else result
        first._keras_history.operation.name = self.names.take(name)
        return result

    def _output(self, name: str) -> Tensor:
        """A tensor of the model; for a constant, one that is chosen from itself and itself by what an input holds."""
        layout, ops = self.plan.outputs[name], self.keras.ops
        if name in self.graph.constants:
            self._tensors[name] = {layout: self.graph.constants[name].transpose(layout.order)}
        tensor = self.tensor(name, layout)
        if isinstance(tensor, self.keras.KerasTensor):
            return tensor
        first = self._tensors[self.graph.inputs[0]][self.plan.inputs[self.graph.inputs[0]]]
        corner = first[(slice(0, 1),) * len(first.shape)]
        never = self.operation(f"{keras_name(name)}_never", ops.any, ops.not_equal(corner, corner))
        same = ops.convert_to_tensor(tensor, str(tensor.dtype))
        return self.operation(keras_name(name), ops.where, never, same, same)

    def zeros(self, symbol: str) -> Tensor:
        """A vector of zeros as long as the dynamic axis of this name, cut from an input."""
        name, axis = next(
            (name, self.graph.values[name].symbols.index(symbol))
            for name in self.graph.inputs
            if symbol in self.graph.values[name].symbols
        )
        layout = self.plan.inputs[name]
        line = tuple(slice(None) if a == axis else 0 for a in layout.order)
        cut = self.operation(f"{keras_name(symbol)}_line", lambda x: x[line], self.tensor(name, layout))
        return self.operation(f"{keras_name(symbol)}_zeros", self.keras.ops.zeros_like, cut)

    def _input(self, name: str) -> Tensor:
        layout = self.plan.inputs[name]
        tensor = self.keras.Input(
            batch_shape=layout.permute(self.graph.shape(name)),
            dtype=self.graph.dtype(name),
            name=keras_name(name),
        )
        self._tensors[name] = {layout: tensor}
        return tensor

    def _node(self, step: Step) -> None:
        try:
            lowered = operators()[step.node.op].lower(Call(self, step))
        except Exception as error:
            raise ConversionError(f"{step.node} cannot be built in Keras: {error}") from error
        results = lowered if isinstance(lowered, (list, tuple)) else [lowered]
        for name, tensor, layout in zip(step.node.outputs, results, step.gives, strict=False):
            if not name:
                continue
            self._check(step.node, name, tensor, layout)
            self._tensors[name] = {layout: tensor}

    def _check(self, node: Node, name: str, tensor: Tensor, layout: Layout) -> None:
        value = self.graph.values[name]
        shape = layout.permute(value.shape or ())
        known = zip(tensor.shape, shape, strict=False)
        if len(tensor.shape) != len(shape) or any(a != b for a, b in known if None not in (a, b)):
            raise ConversionError(
                f"{node} gives shape {tuple(tensor.shape)} in Keras where ONNX says {shape}."
            )
        if str(tensor.dtype) != value.dtype:
            raise ConversionError(f"{node} gives {tensor.dtype} in Keras where ONNX says {value.dtype}.")

    def _moved(self, name: str, tensor: Tensor, home: Layout, layout: Layout) -> Tensor:
        """The tensor in another layout, by as little as that takes."""
        ops = self.keras.ops
        shape = self.graph.shape(name)
        label = keras_name(name)
        if home.flat != layout.flat:
            assert home.flat is not None and layout.flat is None
            merged = tuple(home.flat.sizes[axis] for axis in home.flat.order)
            apart = self.operation(f"{label}_unflatten", ops.reshape, tensor, (-1, *merged))
            back = tuple(1 + axis for axis in np.argsort(home.flat.order).tolist())
            moved = self.operation(f"{label}_reorder", ops.transpose, apart, (0, *back))
            return self.operation(f"{label}_flatten", ops.reshape, moved, reshape_target(shape))
        permutation = tuple(home.order.index(axis) for axis in layout.order)
        larger = [axis for axis in permutation if tensor.shape[axis] != 1]
        if larger == sorted(larger) and shape.count(None) <= 1:
            return self.operation(
                f"{label}_reshape", ops.reshape, tensor, reshape_target(layout.permute(shape))
            )
        if permutation[0] == 0:
            permute = self.keras.layers.Permute(
                permutation[1:], name=self.names.take(f"{label}_permute"), dtype=self.graph.dtype(name)
            )
            return permute(tensor)
        return self.operation(f"{label}_transpose", ops.transpose, tensor, permutation)


def _one_or_all(tensors: list[Tensor]) -> Tensor:
    """A model of one tensor takes and gives the tensor itself."""
    return tensors[0] if len(tensors) == 1 else tensors


def reshape_target(shape: Shape) -> tuple[int, ...]:
    """A shape as ``ops.reshape`` takes it: its one dynamic axis is -1, so that no shape is computed at run time."""
    return tuple(-1 if size is None else size for size in shape)
