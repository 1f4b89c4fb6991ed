"""ONNX Runtime on small graphs made here, in a child process as everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runtimes import session_child
from runtimes.base import SessionOptions
from runtimes.client import Worker


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker(timeout_s=60) as child:
        yield child


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``relu(x) @ ones``, of any batch."""
    from onnx import TensorProto, checker, helper, save

    nodes = [
        helper.make_node("Relu", ["x"], ["h"], "first"),
        helper.make_node("MatMul", ["h", "w"], ["y"], "second"),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])
    weights = helper.make_tensor("w", TensorProto.FLOAT, [3, 2], [1.0] * 6)
    model = helper.make_model(
        helper.make_graph(nodes, "small", [x], [y], [weights]),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    checker.check_model(model)
    path = tmp_path_factory.mktemp("graph") / "small.onnx"
    save(model, path)
    return path


def test_the_settings_are_those_in_force(worker: Worker, graph: Path) -> None:
    opened = worker.call(
        session_child.open_session, "onnxruntime", graph, "cpu", SessionOptions("cpu", threads=1)
    )
    assert opened.settings == {
        "intra_op_num_threads": "1",
        "execution_mode": "ORT_SEQUENTIAL",
        "graph_optimization_level": "ORT_ENABLE_ALL",
        "session.intra_op.allow_spinning": "0",
        "session.inter_op.allow_spinning": "0",
    }
