"""What the tests of onnx2keras run in their children: PyTorch in one, Keras on TensorFlow in the other."""

from __future__ import annotations

import io
import re
import warnings
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from onnx2keras_cases import CASES, Case

from exporter.conversions import onnx2keras
from exporter.frameworks.keras_export import for_export
from runtimes.base import Array
from runtimes.bundle import ModelSpec, TensorSpec

BATCH = 3


@dataclass(frozen=True)
class Verdict:
    """How a case ended: ``problem`` is empty when it was converted, saved, loaded and run."""

    problem: str
    error: float = 0.0
    transposes: int = 0
    parameters: int = 0


@dataclass(frozen=True)
class Exported:
    """A PyTorch network as it was exported: inputs, outputs in both precisions, trainable parameters."""

    images: Array
    y32: Array
    y64: Array
    parameters: int


@dataclass(frozen=True)
class Converted:
    """What a loaded ``.keras`` file is and predicts."""

    outputs: Array
    layers: dict[str, str]
    ops: dict[str, int]
    trainable: int
    summary: str
    input_name: str


def run_cases() -> dict[str, Verdict]:
    """Every case: convert, save, load, and compare with ONNX's reference, as Keras runs it and as it is exported."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return {name: _run_case(name, case, Path(folder)) for name, case in CASES.items()}


def model_of(case: Case) -> Any:
    """The ``onnx.ModelProto`` of a case; seeded."""
    import onnx
    from onnx import numpy_helper, shape_inference

    random = np.random.default_rng(0)
    axes = {name: f"[{','.join(map(str, dims))}]" if dims else "" for name, dims in case.shapes.items()}
    heads = ", ".join(f"double{dims} {name}" for name, dims in axes.items())
    version = f'<ir_version: 8, opset_import: ["" : {case.opset}]>'
    model = onnx.parser.parse_model(f"{version} g ({heads}) => (double[1] y) {{ {case.text} }}")
    for value in list(model.graph.input):
        if not value.name.startswith("x"):
            weights = random.normal(size=case.shapes[value.name])
            if value.name == "var":
                weights = abs(weights) + 0.5
            model.graph.initializer.append(numpy_helper.from_array(weights, value.name))
            model.graph.input.remove(value)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    inferred = shape_inference.infer_shapes(model, data_prop=True)
    found = inferred.graph.output[0].type
    # Where ONNX infers nothing, the output is as the input.
    known = found if found.tensor_type.HasField("shape") else model.graph.input[0].type
    model.graph.output[0].type.CopyFrom(known)
    return model


def spec_of(model: Any, layout: str = "NCHW") -> ModelSpec:
    """What a person would declare of a model: its names and shapes, and ``layout`` for every tensor of its rank."""

    def tensor(value: Any) -> TensorSpec:
        dims = value.type.tensor_type.shape.dim
        shape = tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in dims)
        return TensorSpec(value.name, "float64", shape, layout if len(shape) == len(layout) else "")

    return ModelSpec("case", tuple(map(tensor, model.graph.input)), tuple(map(tensor, model.graph.output)))


def _run_case(name: str, case: Case, folder: Path) -> Verdict:
    import keras
    import onnx
    from onnx.reference import ReferenceEvaluator

    try:
        model = model_of(case)
        spec = spec_of(model, case.layout)
        onnx.save(model, folder / f"{name}.onnx")
        onnx2keras.convert(folder / f"{name}.onnx", folder / f"{name}.keras", spec)
        converted = keras.saving.load_model(folder / f"{name}.keras", safe_mode=True)

        random = np.random.default_rng(1)
        sizes = {None: 7, "N": BATCH, "H": 9, "W": 8}
        feeds = {
            key: random.normal(size=[sizes.get(d, d) for d in dims])
            for key, dims in case.shapes.items()
            if key.startswith("x")
        }
        means = model_of(replace(case, text=case.means)) if case.means else model
        [expected] = ReferenceEvaluator(means).run(None, feeds)
        moved = [feeds[t.name].transpose(onnx2keras.keras_order(t)) for t in spec.inputs]
        expected = expected.transpose(onnx2keras.keras_order(spec.outputs[0]))
        error = 0.0
        # TensorFlow has no float64 pooling over three axes; what is exported has two poolings in its place.
        ways = (
            (for_export,)
            if any("Pooling3D" in type(x).__name__ for x in converted.layers)
            else (_as_is, for_export)
        )
        for way in ways:
            outputs = np.asarray(way(converted)(moved[0] if len(moved) == 1 else moved, training=False))
            if outputs.shape != expected.shape or outputs.dtype != expected.dtype:
                return Verdict(f"{outputs.shape} {outputs.dtype}, not {expected.shape} {expected.dtype}")
            error = max(error, float(abs(outputs - expected).max() / abs(expected).max()))
        return Verdict("", error, graph_ops(converted)["Transpose"], converted.count_params())
    except Exception as error:
        return Verdict(f"{type(error).__name__}: {error}")


def _as_is(model: Any) -> Any:
    return model


def graph_ops(model: Any) -> Counter[str]:
    """The operations of the TensorFlow graph that the model traces to."""
    import tensorflow as tf

    signature = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in model.inputs]
    traced = tf.function(
        lambda *x: model(x[0] if len(x) == 1 else list(x), training=False)
    ).get_concrete_function(*signature)
    return Counter(op.type for op in traced.graph.get_operations())


def convert_net(src: Path, out: Path, spec: ModelSpec, images: Array) -> Converted:
    """Convert, load the file again, and say everything that the tests ask of it. ``images`` are NCHW."""
    import keras

    onnx2keras.convert(src, out, spec)
    model = keras.saving.load_model(out, safe_mode=True)
    text = io.StringIO()
    model.summary(print_fn=lambda line: text.write(line + "\n"), line_length=100)
    return Converted(
        outputs=np.asarray(model(images.transpose(0, 2, 3, 1), training=False)),
        layers={operation.name: type(operation).__name__ for operation in model.operations},
        ops=dict(graph_ops(model)),
        trainable=int(sum(np.prod(weight.shape) for weight in model.trainable_weights)),
        summary=re.sub(r"[^\w(),. ]", " ", text.getvalue()),
        input_name=model.inputs[0].name,
    )


def fit(path: Path, images: Array, labels: Array) -> tuple[float, float]:
    """The loss of the first and of the last of some epochs of training on ``images``, NCHW."""
    import keras

    model = keras.saving.load_model(path, safe_mode=True)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(1e-2), loss=loss)
    history = model.fit(images.transpose(0, 2, 3, 1), labels, epochs=30, batch_size=len(labels), verbose=0)
    return history.history["loss"][0], history.history["loss"][-1]


def predict(path: Path, images: Array) -> Array:
    """What the file predicts on the Keras backend of this child; ``images`` are NCHW."""
    import keras

    model = keras.saving.load_model(path, safe_mode=True)
    return np.asarray(keras.ops.convert_to_numpy(model(images.transpose(0, 2, 3, 1), training=False)))


def export_net(name: str, out: Path, optimize: bool = True) -> Exported:
    """Write one of ``onnx2keras_nets`` as ONNX, with random batch-norm statistics."""
    import onnx2keras_nets
    import torch

    torch.manual_seed(0)
    net, shape = onnx2keras_nets.NETS[name]()
    net.eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor in (module.weight.data, module.bias.data, module.running_mean):
                torch.nn.init.normal_(tensor, 0.1, 0.5)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    images = torch.rand(BATCH, *shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            net, (images,), dynamo=True, opset_version=20, input_names=["image"], output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("batch")},), verbose=False, optimize=optimize,
        )  # fmt: skip
    program.save(str(out))
    with torch.no_grad():
        y32, y64 = net(images).numpy(), net.double()(images.double()).numpy()
    return Exported(images.numpy(), y32, y64, sum(p.numel() for p in net.parameters() if p.requires_grad))
