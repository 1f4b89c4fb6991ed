"""TensorFlow's devices, proven node by node: on a real graph, and as if that had been asked of a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tensorflow_child

from runtimes.client import Worker
from runtimes.errors import UnavailableError
from runtimes.frameworks import tensorflow_device


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    env = {"PYTHONPATH": str(Path(__file__).parent), "CUDA_VISIBLE_DEVICES": "-1"}
    with Worker(env, timeout_s=120) as child:
        yield child


def test_the_nodes_that_compute_are_found_with_their_devices(worker: Worker, tmp_path: Path) -> None:
    worker.call(tensorflow_child.write, tmp_path)
    proof, not_on_gpu, not_on_cpu, settings = worker.call(tensorflow_child.nodes, tmp_path)
    assert proof == "output on device:CPU:0"
    assert not_on_cpu == []
    assert {"Relu"} <= set(not_on_gpu)
    assert any("MatMul" in op for op in not_on_gpu)
    assert not {"_Arg", "ReadVariableOp", "Shape", "StridedSlice", "Const"} & set(not_on_gpu)
    assert settings == {
        "intra_op_parallelism_threads": "1",
        "inter_op_parallelism_threads": "1",
        "jit": "off",
    }


def node(name: str, op: str, device: str, type_: int = 1) -> Any:
    return SimpleNamespace(
        name=name,
        op=op,
        device=f"/job:localhost/replica:0/task:0/device:{device}",
        attr={"T": SimpleNamespace(type=type_)},
    )


def test_a_node_that_went_to_the_cpu_is_a_failure_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    output = "/job:localhost/replica:0/task:0/device:GPU:0"
    at_home = [
        node("conv", "Conv2D", "GPU:0"),
        node("sizes", "Pack", "CPU:0", type_=3),
        node("x", "_Arg", "CPU:0"),
    ]
    monkeypatch.setattr(tensorflow_device, "kept_nodes", lambda: at_home)
    assert (
        tensorflow_device.prove(output, "gpu")
        == "output on device:GPU:0, and so all that computes of its 3 nodes"
    )
    moved = [*at_home, node("unique", "Where", "CPU:0")]
    monkeypatch.setattr(tensorflow_device, "kept_nodes", lambda: moved)
    with pytest.raises(UnavailableError, match=r"computed 1 nodes on another: unique \(Where\)"):
        tensorflow_device.prove(output, "gpu")


def test_an_output_on_another_device_is_a_failure() -> None:
    output = "/job:localhost/replica:0/task:0/device:CPU:0"
    with pytest.raises(UnavailableError, match=r"asked TensorFlow for gpu:1, and it computed on .*CPU:0"):
        tensorflow_device.prove(output, "gpu:1")
