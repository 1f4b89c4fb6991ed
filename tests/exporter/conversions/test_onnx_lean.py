"""What tf2onnx leaves, folded into the file: the same numbers from fewer operators, and nothing where readers would notice."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from exporter.frameworks.onnx_lean import lean

HEAD = '<ir_version: 8, opset_import: ["" : 18]>\n'
WEIGHTS = "float[3,2,1,1] w = {1, 2, -1, 0.5, 2, 1}, float[3] b = {0.1, 0.2, 0.3}"
CHANNELS = "float[1,3,1,1] s = {2, 3, 4}, float[3,1,1] t = {0.5, -0.5, 1}"
IMAGES = "float[N,2,4,4] x"
RESULT = "float[N,3,M,L] y"

CASES = {
    "batch_norm": (
        f"g ({IMAGES}) => ({RESULT}) <{WEIGHTS}, {CHANNELS}> "
        "{ c = Conv(x, w, b) m = Mul(s, c) a = Add(m, t) y = Sub(a, s) }",
        {"Conv": 1},
    ),
    "no_bias": (
        f"g ({IMAGES}) => ({RESULT}) <{WEIGHTS}, {CHANNELS}> {{ c = Conv(x, w) y = Mul(c, s) }}",
        {"Conv": 1},
    ),
    "taken_from": (  # a constant less the result is no shift
        f"g ({IMAGES}) => ({RESULT}) <{WEIGHTS}, {CHANNELS}> {{ c = Conv(x, w) y = Sub(s, c) }}",
        {"Conv": 1, "Sub": 1},
    ),
    "read_twice": (
        f"g ({IMAGES}) => ({RESULT}) <{WEIGHTS}, {CHANNELS}> {{ c = Conv(x, w) m = Mul(c, s) y = Add(m, c) }}",
        {"Conv": 1, "Mul": 1, "Add": 1},
    ),
    "an_output": (
        f"g ({IMAGES}) => ({RESULT}, float[N,3,M,L] c) <{WEIGHTS}, {CHANNELS}> {{ c = Conv(x, w) y = Mul(c, s) }}",
        {"Conv": 1, "Mul": 1},
    ),
    "by_place": (  # a factor for each column, of which there are as many as channels
        "g (float[N,2,3,3] x) => (float[N,3,3,3] y) <float[3,2,1,1] w = {1, 2, -1, 0.5, 2, 1}, float[3] s = {2, 3, 4}> "
        "{ c = Conv(x, w) y = Mul(c, s) }",
        {"Conv": 1, "Mul": 1},
    ),
    "moved_weights": (
        f"g ({IMAGES}) => ({RESULT}) <float[1,1,2,3] k = {{1, 2, -1, 0.5, 2, 1}}, float[3] f = {{2, 3, 4}}, "
        "int64[4] i = {1, 3, 1, 1}> { w = Transpose <perm = [3, 2, 0, 1]> (k) s = Reshape(f, i) c = Conv(x, w) y = Mul(c, s) }",
        {"Conv": 1},
    ),
    "zeros_around": (
        f"g ({IMAGES}) => ({RESULT}) <{WEIGHTS}, int64[8] p = {{0, 0, 1, 0, 0, 0, 2, 1}}> "
        "{ q = Pad(x, p) y = Conv <pads = [0, 1, 0, 0]> (q, w) }",
        {"Conv": 1},
    ),
    "ones_around": (
        f"g ({IMAGES}) => ({RESULT}) <{WEIGHTS}, int64[8] p = {{0, 0, 1, 0, 0, 0, 2, 1}}, float one = {{1}}> "
        "{ q = Pad(x, p, one) y = Conv(q, w) }",
        {"Pad": 1, "Conv": 1},
    ),
    "same_shape": (
        "g (float[N,2,1,1] x) => (float[N,3,1,1] y) <float[3,2,1,1] w = {1, 2, -1, 0.5, 2, 1}, int64[4] i = {-1, 2, 1, 1}> "
        "{ r = Relu(x) h = Reshape(r, i) y = Conv(h, w) }",
        {"Relu": 1, "Conv": 1},
    ),
    "other_shape": (
        "g (float[N,1,1,2] x) => (float[N,3,1,1] y) <float[3,2,1,1] w = {1, 2, -1, 0.5, 2, 1}, int64[4] i = {-1, 2, 1, 1}> "
        "{ r = Relu(x) h = Reshape(r, i) y = Conv(h, w) }",
        {"Relu": 1, "Reshape": 1, "Conv": 1},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_same_numbers_from_these_operators(name: str) -> None:
    text, ops = CASES[name]
    model = onnx.parser.parse_model(HEAD + text)
    shape = [3 if dim.dim_param else dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    feeds = {"x": np.random.default_rng(0).normal(size=shape).astype(np.float32)}
    expected = ReferenceEvaluator(model).run(None, feeds)
    lean(model)
    onnx.checker.check_model(model, full_check=True)
    found = ReferenceEvaluator(model).run(None, feeds)
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    assert Counter(node.op_type for node in model.graph.node) == ops
    read = {name for node in model.graph.node for name in node.input}
    assert all(constant.name in read for constant in model.graph.initializer)
