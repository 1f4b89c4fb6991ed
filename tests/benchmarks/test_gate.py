"""What ``make gate`` plants: a graph that does its work twice, and answers as before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from gate import do_twice
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator


def test_the_slower_file_does_twice_the_work_and_predicts_the_same(tmp_path: Path) -> None:
    weights = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    image, logits = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size])
        for name, size in (("image", 4), ("logits", 3))
    )
    node = helper.make_node("MatMul", ["image", "w"], ["logits"])
    graph = helper.make_graph([node], "one", [image], [logits], [numpy_helper.from_array(weights, "w")])
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), path)
    feeds = {"image": np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)}
    (before,) = ReferenceEvaluator(onnx.load(path)).run(None, feeds)
    do_twice(path)
    onnx.checker.check_model(onnx.load(path))
    (after,) = ReferenceEvaluator(onnx.load(path)).run(None, feeds)
    np.testing.assert_array_equal(before, after)
    assert [node.op_type for node in onnx.load(path).graph.node].count("MatMul") == 2
