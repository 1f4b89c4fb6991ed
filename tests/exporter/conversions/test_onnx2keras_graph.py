"""What onnx2keras knows and decides before there is a Keras model: folded shapes, layouts, how operands meet."""

from __future__ import annotations

import numpy as np
import pytest
from onnx2keras_cases import CASES
from onnx2keras_cases.case import N, case
from onnx2keras_child import model_of

from exporter.conversions.onnx2keras import graph, plan, registry, simplify
from exporter.conversions.onnx2keras.broadcast import misread_as_bias
from exporter.conversions.onnx2keras.fold import Size
from exporter.conversions.onnx2keras.graph import Graph, Shape
from exporter.conversions.onnx2keras.interpolation import Axis, matrix
from exporter.conversions.onnx2keras.layout import Layout, Plan, channels_last, plain
from exporter.conversions.onnx2keras.rules import reduced_axes

IMAGE = (N, 4, 9, 8)


def parsed(text: str, **shapes: tuple[int | str, ...]) -> Graph:
    return graph.parse(model_of(case(text, **shapes)), registry.operators())


def planned(text: str, lives: dict[str, Layout], ends: Layout, **shapes: tuple[int | str, ...]) -> Plan:
    simple = simplify.simplify(parsed(text, **shapes))
    rules = {name: operator.layout for name, operator in registry.operators().items()}
    return plan.plan(simple, rules, lives, {"y": ends})


def test_a_shape_is_known_but_for_the_batch() -> None:
    found = parsed(
        "s = Shape(x) z = Constant<value_ints=[0]>() b = Gather(s, z) f = Constant<value_ints=[4]>() m = Mul(b, f) "
        "r = Constant<value_ints=[72]>() t = Concat<axis=0>(m, r) y = Expand(c, t)",
        x=IMAGE, c=(1, 72),
    )  # fmt: skip
    assert found.sizes["t"] == (Size("N", 4), 72)
    [expand] = simplify.simplify(found).nodes
    assert expand.attributes["sizes"] == (Size("N", 4), 72)


def test_a_reshape_by_the_batch_asks_for_no_shape() -> None:
    found = simplify.simplify(graph.parse(model_of(CASES["reshape_by_batch_times_constant"])))
    assert [node.op for node in found.nodes] == ["Reshape"]
    assert found.shape("y") == (None, 9, 8)


def test_a_branch_that_is_always_taken_replaces_the_choice() -> None:
    found = simplify.simplify(graph.parse(model_of(CASES["branch_by_shape"])))
    assert [node.op for node in found.nodes] == ["Relu", "Identity"]


def test_what_onnx_defines_by_others_is_taken_apart_with_its_defaults() -> None:
    found = parsed("y = MeanVarianceNormalization(x)", x=IMAGE)
    means = [node for node in found.nodes if node.op == "ReduceMean"]
    assert {reduced_axes(node, found) for node in means} == {(0, 2, 3)}
    assert "MeanVarianceNormalization" not in {node.op for node in found.nodes}


def test_one_tensor_moves_to_three_others_rather_than_three_to_one() -> None:
    lives = {"x": channels_last(4), "x2": plain(4), "x3": plain(4), "x4": plain(4)}
    found = planned(
        "a = Add(x, x2) b = Add(a, x3) y = Add(b, x4)",
        lives, plain(4), x=IMAGE, x2=IMAGE, x3=IMAGE, x4=IMAGE,
    )  # fmt: skip
    assert found.steps[0].wants == (plain(4), plain(4))
    assert found.steps[-1].gives == (plain(4),)


def test_a_tensor_in_another_order_joins_a_convolution_channels_last() -> None:
    lives = {"x": channels_last(4), "x2": plain(4)}
    found = planned(
        "a = Add(x, x2) y = Conv(a, w)", lives, channels_last(4), x=IMAGE, x2=IMAGE, w=(5, 4, 3, 3)
    )
    assert found.steps[0].wants == (channels_last(4), channels_last(4))


ROOT = "r = Constant<value=double {1.4142135623730951}>() i = Constant<value=double {0.7071067811865476}>() "
ROOT += "o = Constant<value=double {1.0}>() h = Constant<value=double {0.5}>() "


@pytest.mark.parametrize(
    "written",
    [
        "d = Div(x, r) e = Erf(d) a = Add(e, o) m = Mul(x, a) y = Mul(m, h)",
        "d = Mul(i, x) e = Erf(d) a = Add(o, e) b = Mul(h, x) y = Mul(b, a)",
        "d = Mul(x, i) e = Erf(d) a = Add(e, o) b = Mul(a, h) y = Mul(b, x)",
    ],
)
def test_a_gelu_is_found_however_it_is_written(written: str) -> None:
    found = simplify.simplify(parsed(ROOT + written, x=IMAGE))
    assert [(node.op, node.inputs) for node in found.nodes] == [("Gelu", ("x",))]


@pytest.mark.parametrize(
    "written",
    [
        "d = Div(x, r) e = Erf(d) a = Add(e, h) m = Mul(x, a) y = Mul(m, h)",
        "d = Div(x, r) e = Erf(d) a = Add(e, o) m = Mul(x2, a) y = Mul(m, h)",
        "d = Div(x, r) e = Erf(d) a = Add(e, o) m = Mul(x, a) n = Mul(m, h) y = Add(n, a)",
        "d = Mul(x, h) e = Erf(d) a = Add(e, o) m = Mul(x, a) y = Mul(m, h)",
    ],
)
def test_what_is_no_gelu_stays(written: str) -> None:
    found = simplify.simplify(parsed(ROOT + written, x=IMAGE, x2=IMAGE))
    assert "Erf" in {node.op for node in found.nodes}


@pytest.mark.parametrize(
    ("first", "second", "misread"),
    [
        ((3, 4, 4), (1, 4, 1), True),
        ((None, 9, 8, 4), (4,), False),
        ((None, 4, 4, 4), (4, 1), True),
        ((None, 9, 8, 4), (None, 1, 1, 4), False),
        ((None, 3), (None, 1), True),
        ((None, 1), (None, 3), False),
        ((1, 5, 1), (1, 1, 5), True),
        ((None, 9, 8, 4), (None, 9, 8, 4), False),
        ((), (4,), False),
    ],
)
def test_what_keras_takes_for_a_bias(first: Shape, second: Shape, misread: bool) -> None:
    assert misread_as_bias(first, second) == misread


def test_each_row_of_an_interpolation_sums_to_one() -> None:
    axis = Axis(5, 13, 13 / 5)
    for attributes in (
        {"mode": "linear"},
        {"mode": "cubic"},
        {"mode": "nearest"},
        {"mode": "linear", "antialias": 1},
    ):
        assert np.allclose(matrix(axis, attributes).sum(axis=1), 1)
    assert np.array_equal(matrix(Axis(4, 4, 1.0), {"mode": "cubic"}), np.eye(4))
