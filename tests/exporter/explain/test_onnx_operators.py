"""Faults planted in the nodes of an ONNX file, and found in the right file by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exporter.explain.source_faults import source_causes
from exporter.source_folder import SCHEMA, SourceFile, save_source
from runtimes.bundle import ModelSpec, TensorSpec
from runtimes.reference import Reference, Variant, build

onnx = pytest.importorskip("onnx", reason="the faults are planted with onnx")
from exporter.sources import onnx_file  # noqa: E402

SAMPLES = 12
RNG = np.random.default_rng(8)
WEIGHTS = {
    "w1": RNG.normal(size=(8, 3, 3, 3)) / 3,
    "b1": RNG.normal(size=8),
    "scale": RNG.uniform(4, 8, 8),
    "offset": RNG.normal(size=8),
    "mean": RNG.normal(size=8),
    "variance": RNG.uniform(0.05, 1, 8),
    "w2": RNG.normal(size=(8, 4, 3, 3)) / 6,
    "dense": RNG.normal(size=(8 * 16, 12)) / 9,
    "square": RNG.normal(size=(12, 12)) / 3,
    "b3": RNG.normal(size=12),
    "ln": RNG.uniform(0.5, 2, 12),
    "ln0": RNG.normal(size=12),
}


def network() -> Any:
    """(n, 3, 16, 16) to (n, 12) logits."""
    node = onnx.helper.make_node
    nodes = [
        node("Conv", ["image", "w1", "b1"], ["conv1"], pads=[1, 1, 1, 1], strides=[2, 2]),
        node("BatchNormalization", ["conv1", "scale", "offset", "mean", "variance"], ["bn"], epsilon=1e-3),
        node("LeakyRelu", ["bn"], ["leaky"], alpha=0.2),
        node("AveragePool", ["leaky"], ["pool"], kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1]),
        node("Conv", ["pool", "w2"], ["conv2"], pads=[1, 1, 1, 1], group=2),
        node("Add", ["conv2", "pool"], ["add"]),
        node("MaxPool", ["add"], ["small"], kernel_shape=[2, 2], strides=[2, 2]),
        node("HardSwish", ["small"], ["swish"]),
        node("Flatten", ["swish"], ["flat"]),
        node("MatMul", ["flat", "dense"], ["hidden"]),
        node("LayerNormalization", ["hidden", "ln", "ln0"], ["norm"]),
        node("Gelu", ["norm"], ["gelu"], approximate="tanh"),
        node("Gemm", ["gelu", "square", "b3"], ["logits"]),
    ]
    info = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        nodes,
        "net",
        [info("image", onnx.TensorProto.FLOAT, ["n", 3, 16, 16])],
        [info("logits", onnx.TensorProto.FLOAT, ["n", 12])],
        [onnx.numpy_helper.from_array(array.astype("float32"), name) for name, array in WEIGHTS.items()],
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)])


def made(model: Any, output: str) -> Any:
    return next(node for node in model.graph.node if node.output[0] == output)


def attribute(output: str, **values: Any) -> Callable[[Any], None]:
    """Set attributes of the node that makes this tensor."""

    def change(model: Any) -> None:
        node = made(model, output)
        kept = [one for one in node.attribute if one.name not in values]
        del node.attribute[:]
        node.attribute.extend(kept)
        node.attribute.extend(onnx.helper.make_attribute(name, value) for name, value in values.items())

    return change


def operator(output: str, op_type: str, **values: Any) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        node = made(model, output)
        node.CopyFrom(onnx.helper.make_node(op_type, list(node.input), list(node.output), **values))

    return change


def weights(name: str, function: Callable[[np.ndarray], np.ndarray]) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        tensor = next(one for one in model.graph.initializer if one.name == name)
        array = function(onnx.numpy_helper.to_array(tensor)).astype("float32")
        tensor.CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))

    return change


def flattened_last(model: Any) -> None:
    at = list(model.graph.node).index(made(model, "flat"))
    made(model, "flat").input[0] = "last"
    turn = onnx.helper.make_node("Transpose", ["swish"], ["last"], perm=[0, 2, 3, 1])
    model.graph.node.insert(at, turn)


def without_statistics(model: Any) -> None:
    weights("mean", np.zeros_like)(model)
    weights("variance", np.ones_like)(model)


PLANTED: dict[str, tuple[Callable[[Any], None], str, str]] = {
    "epsilon": (attribute("bn", epsilon=1e-5), "another epsilon", "bn: epsilon is 1e-05"),
    "layer-epsilon": (attribute("norm", epsilon=1e-2), "another epsilon", "norm: epsilon is 0.01"),
    "pads": (attribute("conv1", pads=[0, 0, 2, 2]), "padding off by one", "conv1: one pixel"),
    "counted": (attribute("pool", count_include_pad=1), "pooling counts padding", "pool: "),
    "slope": (attribute("leaky", alpha=0.01), "activation changed", "leaky: leaky relu has become leaky relu with 0.01"),
    "gelu": (attribute("gelu", approximate="none"), "activation changed", "gelu: gelu by tanh has become gelu"),
    "silu": (operator("swish", "Relu"), "activation changed", "swish: hard swish has become relu"),
    "average": (operator("small", "AveragePool", kernel_shape=[2, 2], strides=[2, 2]), "another pooling", "small: "),
    "flatten": (flattened_last, "flatten order", "flat: "),
    "square": (weights("square", np.transpose), "weight transposed", "logits: "),
    "turned": (weights("w2", lambda w: w[:, :, ::-1, ::-1]), "kernel flipped", "conv2: "),
    "bias": (weights("b3", np.zeros_like), "bias dropped", "logits: "),
    "half": (weights("w2", lambda w: w.astype("float16")), "truncated weights", "conv2: the weights are float16"),
    "statistics": (
        without_statistics,
        "batch norm statistics missing",
        "bn: ",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Reference]:
    folder = tmp_path_factory.mktemp("onnx_source")
    onnx.save(network(), folder / onnx_file.WEIGHTS)
    spec = ModelSpec(
        "net",
        (TensorSpec("image", "float32", (None, 3, 16, 16), "NCHW", "image"),),
        (TensorSpec("logits", "float32", (None, 12), "NC", "logits"),),
    )
    save_source(folder, SourceFile(SCHEMA, "onnx", onnx_file.WEIGHTS, spec, "onnx_file"))
    images = RNG.uniform(0, 1, (SAMPLES, 3, 16, 16)).astype("float32")
    reference = build(
        lambda variant: onnx_file.open_session(folder, variant),
        {"image": images},
        np.full(SAMPLES, -1),
        [Variant(batch=1), Variant()],
        spec.outputs,
    )
    return folder, reference


def found(
    source: tuple[Path, Reference],
    change: Callable[[Any], None],
    layers: tuple[str, ...],
    seconds: float = 300,
) -> list[str]:
    folder, reference = source
    model = network()
    change(model)
    onnx.checker.check_model(model)
    (logits,) = onnx.reference.ReferenceEvaluator(model).run(None, reference.inputs)
    causes = source_causes(
        folder, reference.inputs, {"logits": logits}, reference.y64, reference.noise, layers, seconds
    )
    return [f"{cause.name}: {cause.detail}" for cause in causes.causes]


@pytest.mark.parametrize("name", PLANTED)
def test_a_fault_of_a_node_is_the_first_that_is_named(source: tuple[Path, Reference], name: str) -> None:
    change, cause, detail = PLANTED[name]
    named = found(source, change, (detail.partition(":")[0],))
    assert named
    assert named[0].startswith(f"{cause}: ")
    assert detail in named[0]


def test_one_changed_weight_has_no_name(source: tuple[Path, Reference]) -> None:
    def bump(array: np.ndarray) -> np.ndarray:
        changed = array.copy()
        changed.flat[7] += 0.05
        return changed

    assert found(source, weights("w2", bump), (), seconds=8) == []
