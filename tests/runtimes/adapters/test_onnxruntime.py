"""ONNX Runtime on small graphs made here, in a child process as everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnxruntime_child
import pytest

from runtimes import session_child
from runtimes.base import SessionOptions
from runtimes.client import Worker
from runtimes.errors import UnavailableError
from runtimes.frameworks.onnxruntime_profile import Placed, in_words, moved, placed


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker({"PYTHONPATH": str(Path(__file__).parent)}, timeout_s=60) as child:
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
        "session.intra_op.allow_spinning": "1",
    }


def test_a_real_profile_names_each_node_with_its_operator_and_provider(
    worker: Worker, graph: Path, tmp_path: Path
) -> None:
    text = worker.call(onnxruntime_child.profile, graph, tmp_path)
    nodes = placed(text)
    assert nodes == (
        Placed("first", "Relu", "CPUExecutionProvider"),
        Placed("second", "MatMul", "CPUExecutionProvider"),
    )
    assert moved(nodes, "CPUExecutionProvider") == ()
    assert in_words(nodes, moved(nodes, "CUDAExecutionProvider"), "CUDAExecutionProvider") == (
        "CUDAExecutionProvider did not compute 2 of 2 nodes: first (Relu, CPUExecutionProvider), "
        "second (MatMul, CPUExecutionProvider)"
    )


def test_what_a_profile_holds_besides_kernels_is_no_node() -> None:
    text = """[
        {"cat": "Session", "name": "model_run", "args": {}},
        {"cat": "Node", "name": "a_fence_before", "args": {"op_name": "Conv"}},
        {"cat": "Node", "name": "a_kernel_time", "args": {"op_name": "Conv", "provider": "CUDAExecutionProvider"}},
        {"cat": "Node", "name": "b_kernel_time", "args": {"op_name": "GridSample", "provider": "CPUExecutionProvider"}},
        {"cat": "Node", "name": "a_kernel_time", "args": {"op_name": "Conv", "provider": "CUDAExecutionProvider"}}
    ]"""
    nodes = placed(text)
    assert [node.node for node in nodes] == ["a", "b"]
    assert moved(nodes, "CUDAExecutionProvider") == (Placed("b", "GridSample", "CPUExecutionProvider"),)


def test_only_the_first_of_many_nodes_are_named() -> None:
    many = [Placed(f"n{number}", "Conv", "CPUExecutionProvider") for number in range(20)]
    said = in_words(many, many, "CUDAExecutionProvider")
    assert "20 of 20 nodes: n0 (Conv, CPUExecutionProvider)" in said
    assert said.endswith("and 12 more")


def test_a_provider_that_leaves_nodes_to_the_cpu_is_refused_and_they_are_named(
    worker: Worker, graph: Path
) -> None:
    """By the one other provider that every package of ONNX Runtime has, and which computes none of these nodes."""
    with pytest.raises(UnavailableError, match=r"AzureExecutionProvider cannot run small\.onnx: ") as caught:
        worker.call(onnxruntime_child.open_on_azure, graph)
    assert "did not compute 2 of 2 nodes: first (Relu, CPUExecutionProvider)" in str(caught.value)


def test_what_runs_on_a_gpu_is_proven_by_its_profile_once_it_ran(worker: Worker, graph: Path) -> None:
    """With the CPU's provider in the place of CUDA's, which has no computer here to run on."""
    proof, left = worker.call(onnxruntime_child.prove_as_if_on_cuda, graph)
    assert proof == "providers CPUExecutionProvider; it computed all 2 nodes by its own profile"
    assert left == []


def test_tf32_on_a_cpu_is_refused_with_the_reason(worker: Worker, graph: Path) -> None:
    with pytest.raises(
        UnavailableError,
        match="onnxruntime computes in float32 on a CPU: tf32 is a way in which NVIDIA GPUs multiply",
    ):
        worker.call(
            session_child.open_session, "onnxruntime", graph, "cpu", SessionOptions("cpu", precision="tf32")
        )


def test_no_telemetry_is_kept_or_sent(graph: Path, tmp_path: Path) -> None:
    """ONNX Runtime otherwise makes a device id, and a database of what it will send, as it opens a session."""
    with Worker({"XDG_CACHE_HOME": str(tmp_path)}, timeout_s=60) as child:
        child.call(session_child.open_session, "onnxruntime", graph, "cpu", SessionOptions())
    assert list(tmp_path.iterdir()) == []
