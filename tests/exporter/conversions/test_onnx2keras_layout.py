"""The pure parts of onnx2keras: layouts, windows, names, specs, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from onnx2keras_cases import CASES
from onnx2keras_child import model_of, spec_of

from exporter.conversions import onnx2keras
from exporter.conversions.onnx2keras import graph, names, plan, registry, simplify, windows
from exporter.conversions.onnx2keras.layout import Flat, Layout, carry, channels_last, plain
from runtimes.bundle import ModelSpec, TensorSpec
from runtimes.errors import ConversionError, NotAModelError

NHWC = channels_last(4)


@pytest.mark.parametrize(
    ("before", "after", "lives", "expected"),
    [
        ((None, 4, 9, 8), (None, 288), NHWC, Layout((0, 1), Flat((4, 9, 8), (1, 2, 0)))),
        ((None, 4, 9, 8), (None, 288), plain(4), plain(2)),
        ((None, 4, 1, 1), (None, 4), NHWC, plain(2)),
        ((None, 1, 9, 8), (None, 72), NHWC, plain(2)),
        ((None, 4), (None, 4, 1, 1), plain(2), NHWC),
        ((None, 6), (None, 1, 6), plain(2), plain(3)),
        ((None, 4, 9, 8), (None, 4, 72), NHWC, Layout((0, 2, 1))),
        ((None, 72, 4), (None, 4, 9, 8), Layout((0, 2, 1)), None),
        ((None, 4, 9, 8), (None, 2, 2, 9, 8), NHWC, Layout((0, 3, 4, 1, 2))),
        ((None, 4, 9, 8), (None, 36, 8), NHWC, None),
        ((None, 4, 9, 8), (None, 9, 32), NHWC, None),
        ((2, 6), (3, 4), plain(2), plain(2)),
        ((None, 6), (3, None), plain(2), None),
    ],
)
def test_carry(before: graph.Shape, after: graph.Shape, lives: Layout, expected: Layout | None) -> None:
    assert carry(before, after, lives) == expected


def test_flat_index_is_the_permutation_that_flattening_nhwc_makes() -> None:
    image = np.arange(4 * 9 * 8).reshape(4, 9, 8)
    assert np.array_equal(image.transpose(1, 2, 0).ravel(), image.ravel()[Flat((4, 9, 8), (1, 2, 0)).index()])


def test_a_plan_moves_nothing_in_a_plain_cnn() -> None:
    parsed = simplify.simplify(graph.parse(model_of(CASES["flatten_relu_norm_dropout_into_gemm"])))
    rules = {op: operator.layout for op, operator in registry.operators().items()}
    found = plan.plan(parsed, rules, {"x": NHWC}, {"y": plain(2)})
    lives = {"x": NHWC} | {n: g for s in found.steps for n, g in zip(s.node.outputs, s.gives, strict=True)}
    for step in found.steps:
        assert [lives[n] for n, w in zip(step.node.inputs, step.wants, strict=True) if w] == [
            wanted for wanted in step.wants if wanted
        ]
    assert found.steps[-1].wants[0] == Layout((0, 1), Flat((4, 9, 8), (1, 2, 0)))


def test_windows_of_a_resnet_stem() -> None:
    node = graph.Node("Conv", "", (), (), {"strides": (2, 2), "pads": (3, 3, 3, 3)})
    found = windows.windows(node, (None, 3, 224, 223), (7, 7))
    assert not isinstance(found, str)
    assert [(w.before, w.after, w.outputs, w.is_same) for w in found] == [
        (3, 2, 112, False),
        (3, 3, 112, True),
    ]


def test_layer_names() -> None:
    def node(number: int, *inputs: str, module: str = "", call: str = "") -> graph.Node:
        return graph.Node("Op", f"/net/n{number}", inputs, (f"v{number}",), {}, module, call)

    nodes = (
        node(0, "image", "stem.0.weight", module="stem.1", call="batch_norm"),
        node(1, "v0", module="stem.2", call="relu"),
        node(2, "v1", module="blocks.0", call="add_4"),
        node(3, "v2", module="blocks.0", call="mul"),
        node(4, "v3", call="view"),
        node(5, "v4"),
        node(6, "v5", "3.weight"),
        node(7, "v6", module="image", call="relu"),
        node(8, "v7"),
    )
    model = graph.Graph(
        nodes, {}, {}, ("image",), ("v8",), 20, parameters=frozenset({"stem.0.weight", "3.weight"})
    )
    assert list(names.layer_names(model).values()) == [
        "stem_0", "stem_2", "blocks_0_add_4", "blocks_0_mul", "view", "net_n5", "op_3", "image_1", "v8",
    ]  # fmt: skip


def test_keras_spec_turns_declared_images_only() -> None:
    image = TensorSpec("in/put", "float32", (None, 3, 8, 9), "NCHW", "image")
    other = TensorSpec("other", "float32", (None, 3, 8, 9))
    logits = TensorSpec("logits", "float32", (None, 10), "NC", "logits")
    turned = onnx2keras.keras_spec(ModelSpec("net", (image, other), (logits,)))
    assert turned.inputs == (TensorSpec("in_put", "float32", (None, 8, 9, 3), "NHWC", "image"), other)
    assert turned.outputs == (logits,)


def test_every_unknown_node_is_listed_with_its_module(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("NonMaxSuppression", ["x", "x"], ["a"], name="nms"),
        helper.make_node("Relu", ["a"], ["b"], name="relu"),
        helper.make_node("Fancy", ["b"], ["c"], name="fancy", domain="com.example"),
        helper.make_node("Conv", ["x", "w"], ["d"], name="conv"),
        helper.make_node("Sum", ["c", "d"], ["y"]),
    ]
    nodes[0].metadata_props.add(key="pkg.torch.onnx.name_scopes", value="['', 'head', 'head.nms', 'nms_1']")
    tensors = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1, 3, 8]) for n in ("x", "w", "y")]
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.example", 1)]
    model = helper.make_model(helper.make_graph(nodes, "g", tensors[:2], tensors[2:]), opset_imports=opsets)
    onnx.save(model, tmp_path / "net.onnx")
    with pytest.raises(ConversionError) as raised:
        onnx2keras.convert(tmp_path / "net.onnx", tmp_path / "net.keras", spec_of(model))
    lines = str(raised.value).splitlines()
    assert lines[0] == "onnx2keras cannot convert this model of 5 nodes, for 3 reasons:"
    assert [line.strip() for line in lines[1:4]] == [
        "NonMaxSuppression node 'nms' (module head.nms): unknown operator",
        "com.example.Fancy node 'fancy': unknown operator",
        "Conv node 'conv': its weights are computed, not constant",
    ]
    assert not (tmp_path / "net.keras").exists()


@pytest.mark.parametrize("content", [b"", b"no model\xff"])
def test_a_file_that_is_no_model(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(content)
    with pytest.raises(NotAModelError, match=r"net\.onnx is not an ONNX model"):
        onnx2keras.convert(tmp_path / "net.onnx", tmp_path / "net.keras", ModelSpec("net", (), ()))


@pytest.mark.parametrize(("name", "shape"), [("image", (None, 4, 9, 8)), ("x", (None, 288))])
def test_a_spec_of_another_model(name: str, shape: tuple[int | None, ...], tmp_path: Path) -> None:
    model = model_of(CASES["relu"])
    onnx.save(model, tmp_path / "net.onnx")
    spec = ModelSpec("net", (TensorSpec(name, "float64", shape),), spec_of(model).outputs)
    with pytest.raises(ConversionError, match="declared"):
        onnx2keras.convert(tmp_path / "net.onnx", tmp_path / "net.keras", spec)


def test_an_opset_that_is_too_old() -> None:
    model = model_of(CASES["relu"])
    model.opset_import[0].version = 6
    with pytest.raises(ConversionError, match="opset 6"):
        graph.parse(model)
