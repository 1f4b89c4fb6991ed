"""An ONNX file for one batch size: every size is set, nothing computes a shape, and the numbers are the same."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from exporter.base import conversion, for_batch
from runtimes.adapters import onnxruntime
from runtimes.bundle import METADATA, ModelSpec, TensorSpec

HEAD = '<ir_version: 8, opset_import: ["" : 18]>\n'
SPEC = ModelSpec("net", (TensorSpec("x", "float32", (None, 2, 3)),), (TensorSpec("y", "float32", (None, 6)),))

CASES = {
    "flattened": (  # as PyTorch writes it: x.reshape(x.shape[0], -1)
        "int64 i = {0}, int64[1] a = {0}, int64[1] m = {-1}",
        "s = Shape(x) g = Gather(s, i) u = Unsqueeze(g, a) c = Concat<axis = 0>(u, m) y = Reshape(x, c)",
        {"Reshape": 1},
    ),
    "a_part_of_a_shape": (
        "int64[1] six = {6}",
        "b = Shape<start = 0, end = 1>(x) c = Concat<axis = 0>(b, six) y = Reshape(x, c)",
        {"Reshape": 1},
    ),
    "behind_an_unknown_size": (  # known only when the shapes are inferred again
        "int64[1] m = {-1}, int64[1] z = {0}, int64[1] two = {2}, float[1,1] zero = {0}",
        "n = Size(x) e = Unsqueeze(n, z) f = Reshape(x, e) s = Shape(f) h = Div(s, two) g = Concat<axis = 0>(h, m) "
        "p = Reshape(f, g) t = Shape(p) k = ConstantOfShape(t) q = Add(p, k) b = Shape<start = 0, end = 1>(x) "
        "c = Concat<axis = 0>(b, m) y = Reshape(q, c)",
        {"Reshape": 3, "Add": 1},
    ),
    "of_the_weights_alone": (  # no shape arithmetic: a runtime folds it, and a file of weights would grow
        "float[6] w = {1, 2, 3, 4, 5, 6}, float[6] v = {1, 1, 1, 1, 1, 1}, int64[2] r = {-1, 6}",
        "f = Reshape(x, r) a = Add(w, v) y = Mul(f, a)",
        {"Reshape": 1, "Add": 1, "Mul": 1},
    ),
    "what_grows_out_of_a_shape": (
        "int64[1] many = {2000}, int64[2] r = {-1, 6}, int64[1] zero = {0}",
        "b = Shape<start = 0, end = 1>(x) s = Concat<axis = 0>(b, many) k = ConstantOfShape(s) i = Cast<to = 7>(zero) "
        "e = Gather<axis = 1>(k, i) f = Reshape(x, r) y = Add(f, e)",
        {"ConstantOfShape": 1, "Cast": 1, "Gather": 1, "Reshape": 1, "Add": 1},
    ),
    "inside_a_branch": (  # what a graph inside reads stays
        "int64[1] m = {6}, bool yes = {1}",
        "b = Shape<start = 0, end = 1>(x) c = Concat<axis = 0>(b, m) "
        "y = If (yes) <then_branch = t () => (float[N,6] o) { o = Reshape(x, c) }, "
        "else_branch = e () => (float[N,6] o) { o = Reshape(x, c) }>",
        {"If": 1},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_shapes_become_constants(name: str, tmp_path: Path) -> None:
    constants, body, ops = CASES[name]
    text = f"{HEAD}g (float[N,2,3] x) => (float[N,6] y) <{constants}> {{ {body} }}"
    onnx.save(onnx.parser.parse_model(text), tmp_path / "any.onnx")
    fixed = for_batch(SPEC, 1)
    conversion("onnx2onnx").convert(tmp_path / "any.onnx", tmp_path / "one.onnx", fixed)
    written = onnx.load(tmp_path / "one.onnx")
    onnx.checker.check_model(written, full_check=True)
    assert Counter(node.op_type for node in written.graph.node) == ops
    found = onnxruntime.inspect(tmp_path / "one.onnx")
    assert [spec.shape for spec in (*found.inputs, *found.outputs)] == [(1, 2, 3), (1, 6)]
    assert '"shape":[1,2,3]' in found.metadata[METADATA]
    feeds = {"x": np.random.default_rng(0).random((1, 2, 3), np.float32)}
    [wanted], [got] = (
        ReferenceEvaluator(str(tmp_path / file)).run(None, feeds) for file in ("any.onnx", "one.onnx")
    )
    np.testing.assert_array_equal(got, wanted)


def test_an_axis_that_is_no_batch_keeps_its_size() -> None:
    spec = for_batch(
        ModelSpec("net", (TensorSpec("x", "float32", (None, None)),), (TensorSpec("y", "float32", (3,)),)), 2
    )
    assert (spec.inputs[0].shape, spec.outputs[0].shape) == ((2, None), (3,))
