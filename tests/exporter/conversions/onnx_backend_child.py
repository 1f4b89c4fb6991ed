"""One case of the ONNX project's own backend tests through onnx2keras: convert, save, load, run, compare.

The cases come with the ``onnx`` package. Most give weights, axes and shapes as inputs of the graph; those are bound
as constants where onnx2keras refuses the case as it stands: first the inputs that are no floating-point numbers,
then all but the first. Images (rank 4) are declared NCHW, so Keras gets them channels last.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from exporter.conversions import onnx2keras
from runtimes.bundle import ModelSpec, TensorSpec
from runtimes.errors import ConversionError

SUITES = ("node", "simple", "pytorch-converted", "pytorch-operator", "real")
OLDEST_OPSET = 7


@dataclass(frozen=True)
class Outcome:
    """How a case ended. ``reason`` says why it did not pass; ``bound`` are the inputs that became constants."""

    status: str  # passed, refused (by onnx2keras, before any work) or failed
    reason: str = ""
    bound: tuple[str, ...] = ()
    seconds: float = 0.0


def names() -> dict[str, list[str]]:
    """The names of all cases, by suite."""
    return {suite: sorted(_cases(suite)) for suite in SUITES}


def run(suite: str, name: str) -> Outcome:
    """Convert and run a case; never raises."""
    started = time.perf_counter()
    try:
        outcome = _run(_cases(suite)[name])
    except Exception as error:
        outcome = Outcome("failed", f"{type(error).__name__}: {error}")
    return Outcome(outcome.status, outcome.reason, outcome.bound, time.perf_counter() - started)


@cache
def _cases(suite: str) -> dict[str, Any]:
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # overflows that its own casts provoke
        return {case.name: case for case in load_model_tests(kind=suite)}


def _run(case: Any) -> Outcome:
    import keras

    keras.utils.clear_session(free_memory=False)
    model = _model(case)
    data = list(_data(case, model))
    refusal = ""
    for bound in _bindings(model):
        try:
            return _compare(case, _with_constants(model, bound, data[0][0]), data, bound)
        except ConversionError as error:
            if "\n" not in str(error):
                raise
            refusal = _essence(error)
        if len(data) > 1:
            break
    return Outcome("refused", refusal)


def _essence(error: ConversionError) -> str:
    """The first problem of a refusal, without the names of its nodes."""
    head, _, reason = str(error).splitlines()[1].strip().partition(": ")
    return f"{head.split()[0]}: {reason}" if reason else head


def _model(case: Any) -> Any:
    """The model of a case, in an opset that onnx2keras reads."""
    import onnx
    from onnx import version_converter

    package = Path(onnx.__file__).parent.parent
    model = case.model
    if model is None:
        model = onnx.load(Path(case.model_dir) / "model.onnx" if case.model_dir else package / case.url)
    opset = next((o.version for o in model.opset_import if o.domain == ""), OLDEST_OPSET)
    return version_converter.convert_version(model, OLDEST_OPSET) if opset < OLDEST_OPSET else model


def _data(case: Any, model: Any) -> Iterator[tuple[list[Any], list[Any]]]:
    """Pairs of inputs and expected outputs; for the light models, as the suite's runner makes them."""
    import onnx
    from onnx.backend.test.runner import Runner, _normalize_tensor

    if case.data_sets is not None:
        for inputs, outputs in case.data_sets:
            yield [_normalize_tensor(x) for x in inputs], [_normalize_tensor(y) for y in outputs]
    elif case.model_dir:
        for folder in sorted(Path(case.model_dir).glob("test_data_set*")):
            sets: tuple[list[Any], list[Any]] = ([], [])
            for part, kind, values in zip(
                sets, ("input", "output"), (model.graph.input, model.graph.output), strict=True
            ):
                for number in range(len(list(folder.glob(f"{kind}_*.pb")))):
                    Runner._load_proto(Runner, str(folder / f"{kind}_{number}.pb"), part, values[number].type)
            yield sets
    else:
        light = Path(onnx.__file__).parent.parent / case.url
        expected = onnx.load_tensor(str(light.with_name(f"{light.stem}_output_0.pb")))
        stored = {tensor.name for tensor in model.graph.initializer}
        images = [Runner.generate_dummy_data(x) for x in model.graph.input if x.name not in stored]
        yield images, [onnx.numpy_helper.to_array(expected)]


def _bindings(model: Any) -> Iterator[tuple[str, ...]]:
    """The sets of inputs to bind, in the order in which they are tried."""
    import onnx

    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE)
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in stored]
    tensors = [value for value in inputs if value.type.HasField("tensor_type")]
    whole = tuple(value.name for value in tensors if value.type.tensor_type.elem_type not in floats)
    rest = tuple(value.name for value in inputs[1:] if value in tensors)
    tried: set[tuple[str, ...]] = set()
    for bound in ((), whole, rest):
        if bound not in tried and (len(bound) < len(inputs) or not bound):
            tried.add(bound)
            yield bound


def _with_constants(model: Any, bound: tuple[str, ...], values: list[Any]) -> Any:
    import onnx

    stored = {tensor.name for tensor in model.graph.initializer}
    feeds = dict(zip((v.name for v in model.graph.input if v.name not in stored), values, strict=False))
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for name in bound:
        copy.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(feeds[name]), name))
    kept = [value for value in copy.graph.input if value.name not in {*bound, *stored}]
    del copy.graph.input[:]
    copy.graph.input.extend(kept)
    return copy


def _compare(
    case: Any, model: Any, data: list[tuple[list[Any], list[Any]]], bound: tuple[str, ...]
) -> Outcome:
    """Raises ConversionError, or AssertionError by the suite's own comparison."""
    import keras
    import onnx
    from onnx.backend.test.runner import Runner

    spec = ModelSpec("case", tuple(map(_tensor, model.graph.input)), tuple(map(_tensor, model.graph.output)))
    with tempfile.TemporaryDirectory() as folder:
        src, out = Path(folder, "case.onnx"), Path(folder, "case.keras")
        onnx.save(model, src)
        onnx2keras.convert(src, out, spec)
        converted = keras.saving.load_model(out, safe_mode=True)
    kept = [number for number, name in enumerate(_inputs(case, model, bound)) if name not in bound]
    for inputs, expected in data:
        feeds = [
            np.transpose(inputs[number], onnx2keras.keras_order(tensor))
            for number, tensor in zip(kept, spec.inputs, strict=True)
        ]
        results = converted(feeds[0] if len(feeds) == 1 else feeds, training=False)
        results = results if isinstance(results, (list, tuple)) else [results]
        outputs = [
            np.transpose(np.asarray(y), np.argsort(onnx2keras.keras_order(t)))
            for y, t in zip(results, spec.outputs, strict=True)
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Runner.assert_similar_outputs(expected, outputs, rtol=case.rtol, atol=case.atol)
    return Outcome("passed", bound=bound)


def _inputs(case: Any, model: Any, bound: tuple[str, ...]) -> list[str]:
    """The names of the inputs as the case has them."""
    original = _model(case)
    stored = {tensor.name for tensor in original.graph.initializer}
    return [value.name for value in original.graph.input if value.name not in stored]


def _tensor(value: Any) -> TensorSpec:
    from onnx import helper

    tensor = value.type.tensor_type
    dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type).name if tensor.elem_type else "unknown"
    shape = tuple(d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim)
    return TensorSpec(value.name, dtype, shape, "NCHW" if len(shape) == 4 else "")
