"""A person's ONNX model: read with its external weights, cast to float64, opened as a Session.

Everything here runs in a child that has onnx and numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from exporter.source_folder import open_source
from runtimes.base import Array, Feeds, Session
from runtimes.bundle import TensorSpec
from runtimes.errors import ConversionError, NotAModelError
from runtimes.reference import Variant

# What one protobuf can hold; a larger model exists only with external weights.
MAX_BYTES = 2**31 - 1


def read(path: Path) -> Any:
    """The checked ``ModelProto`` with all its weights inside, local functions inlined.

    External files must lie in the model's folder: a model may not read the rest of the disk. Raises NotAModelError.
    """
    import onnx
    import onnx.inliner

    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:
        raise NotAModelError(f"{path} is not an ONNX model that can be read: {error}") from error
    if not model.graph.output or not model.graph.node:
        raise NotAModelError(f"{path} is not an ONNX model: its graph is empty.")
    total = model.ByteSize() + sum(_external_bytes(path, tensor) for tensor in _tensors(model.graph))
    if total > MAX_BYTES:
        raise NotAModelError(
            f"{path} has {total:,} bytes of weights; fwexport reads ONNX models of up to 2 GiB."
        )
    try:
        onnx.load_external_data_for_model(model, str(path.parent))
        if len(model.functions):
            model = onnx.inliner.inline_local_functions(model)
        onnx.checker.check_model(model)
    except Exception as error:
        raise NotAModelError(f"{path} is no valid ONNX model: {error}") from error
    return model


def _external_bytes(path: Path, tensor: Any) -> int:
    """The size of a tensor's external data, 0 when it is inside. Raises NotAModelError for a file elsewhere."""
    import onnx

    if tensor.data_location != onnx.TensorProto.EXTERNAL:
        return 0
    location = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
    folder = path.resolve().parent
    file = (folder / location).resolve()
    if not file.is_relative_to(folder):
        raise NotAModelError(
            f"{path} keeps the weights of {tensor.name!r} in {location!r}, outside its own folder, so they are not read."
        )
    if not file.is_file():
        raise NotAModelError(
            f"{path} keeps the weights of {tensor.name!r} in {file.name}, which is not beside it."
        )
    each: int = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    return int(np.prod(tensor.dims)) * each


def inputs(model: Any) -> list[TensorSpec]:
    """The inputs that are no weights; None for an axis without a size."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [_spec(value) for value in model.graph.input if value.name not in weights]


def _spec(value: Any) -> TensorSpec:
    import onnx

    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type") or not tensor.elem_type:
        raise NotAModelError(
            f"{value.name} is no tensor with a type; sequences and optionals are not supported."
        )
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
    sizes = tuple(
        d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in tensor.shape.dim
    )
    return TensorSpec(value.name, dtype, sizes)


def with_shapes(model: Any, specs: tuple[TensorSpec, ...]) -> None:
    """Write the sizes of the inputs into the model, where it left them open."""
    import onnx

    by_name = {spec.name: spec for spec in specs}
    changed = False
    for value in model.graph.input:
        if value.name not in by_name:
            continue
        dims = value.type.tensor_type.shape.dim
        for dim, size in zip(dims, by_name[value.name].shape, strict=True):
            if size is not None and not dim.dim_value:
                dim.dim_value = size
                changed = True
    if changed:  # what was inferred from the open sizes says less than what can be inferred now
        del model.graph.value_info[:]
        for value in model.graph.output:
            value.type.tensor_type.ClearField("shape")
        model.CopyFrom(onnx.shape_inference.infer_shapes(model, data_prop=True))


def as_float64(model: Any) -> Any:
    """The same graph computing in float64: weights, constants, declared types, and casts to float32."""
    import onnx

    exact = onnx.ModelProto()
    exact.CopyFrom(model)
    _widen(exact.graph)
    return exact


def _widen(graph: Any) -> None:
    from onnx import TensorProto

    for tensor in graph.initializer:
        _widen_tensor(tensor)
    for value in (*graph.input, *graph.output, *graph.value_info):
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            value.type.tensor_type.elem_type = TensorProto.DOUBLE
    for node in graph.node:
        for attribute in node.attribute:
            _widen_attribute(node, attribute)


def _widen_attribute(node: Any, attribute: Any) -> None:
    import onnx
    from onnx import TensorProto, numpy_helper

    if attribute.type == onnx.AttributeProto.GRAPH:
        _widen(attribute.g)
    elif attribute.type == onnx.AttributeProto.TENSOR:
        _widen_tensor(attribute.t)
    elif attribute.name in ("to", "dtype") and attribute.i == TensorProto.FLOAT:
        attribute.i = TensorProto.DOUBLE
    elif node.op_type == "Constant" and attribute.name in ("value_float", "value_floats"):
        value = attribute.f if attribute.name == "value_float" else list(attribute.floats)
        tensor = numpy_helper.from_array(np.array(value, np.float64))
        attribute.CopyFrom(onnx.helper.make_attribute("value", tensor))


def _widen_tensor(tensor: Any) -> None:
    from onnx import TensorProto, numpy_helper

    if tensor.data_type == TensorProto.FLOAT:
        tensor.CopyFrom(
            numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name)
        )


def _tensors(graph: Any) -> Iterator[Any]:
    """Every stored tensor of a graph and of those inside it."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            if attribute.HasField("g"):
                yield from _tensors(attribute.g)


def reference_evaluator(model: Any) -> Any:
    """ONNX's own reference implementation of a model. Raises ConversionError for an operator that it lacks."""
    from onnx.reference import ReferenceEvaluator

    try:
        return ReferenceEvaluator(model)
    except Exception as error:
        raise ConversionError(f"ONNX's reference implementation cannot run this model: {error}") from error


def evaluator(model: Any) -> Callable[[Feeds], list[Array]]:
    """What ``reference_evaluator`` gives for inputs by name, in the order of the outputs."""
    reference = reference_evaluator(model)
    return lambda feeds: [np.asarray(value) for value in reference.run(None, dict(feeds))]


class OnnxSession(Session):
    """The source graph in ONNX's reference implementation, in one precision."""

    def __init__(self, folder: Path, variant: Variant) -> None:
        source = open_source(folder)
        self.threads = variant.threads
        self.inputs, self.outputs = source.model.inputs, source.model.outputs
        model = read(folder / source.weights)
        self._double = variant.precision == "float64"
        self._run = evaluator(as_float64(model) if self._double else model)

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Outputs by name, in the session's precision."""
        given = {
            name: array.astype(np.float64) if self._double and array.dtype == np.float32 else array
            for name, array in feeds.items()
        }
        return {spec.name: value for spec, value in zip(self.outputs, self._run(given), strict=True)}

    def bind(self, feeds: Feeds) -> Callable[[], None]:
        """One run per call."""

        def call() -> None:
            self.run(feeds)

        return call
