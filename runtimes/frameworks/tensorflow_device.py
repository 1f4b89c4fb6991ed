"""What the two adapters that run in TensorFlow share: presence, threads, a device by name, and its proof."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable
from typing import Any

from runtimes.base import SessionOptions
from runtimes.environment import gpu
from runtimes.errors import UnavailableError
from runtimes.machine import cores_allowed, versions_of

# Nodes that hand tensors on or ask for their sizes, and TensorFlow's numbers of float32, float64, bfloat16 and float16.
_PLUMBING = (
    *(
        "_Arg",
        "_Retval",
        "_Send",
        "_Recv",
        "_HostSend",
        "_HostRecv",
        "Identity",
        "IdentityN",
        "Const",
        "NoOp",
    ),
    *("Shape", "ShapeN", "Size", "Rank"),
)
_FLOATS = (1, 2, 14, 19)
# So many nodes are named in a message.
_NAMED = 8


def check(device: str) -> str | None:
    """None, or what is missing."""
    if importlib.util.find_spec("tensorflow") is None:
        return "TensorFlow is missing: pip install 'fwexport[tensorflow]'"
    if device == "cpu":
        return None
    import tensorflow as tf

    index = int(device.partition(":")[2] or 0)
    found = tf.config.list_physical_devices("GPU")
    if index >= len(found):
        return (
            f"TensorFlow {tf.__version__} sees {len(found)} GPU(s), so there is no {device}: "
            "pip install 'tensorflow[and-cuda]' and NVIDIA's driver"
        )
    return None


def versions() -> dict[str, str]:
    """TensorFlow's and Keras's."""
    import tensorflow  # noqa: F401 - importing is part of what is timed

    return versions_of("tensorflow", "tensorflow-cpu", "keras")


def set_up(options: SessionOptions) -> int:
    """Set threads and precision, and give the number of threads. Before the first operation; TensorFlow refuses it later."""
    import tensorflow as tf

    count = options.threads or cores_allowed()
    tf.config.threading.set_intra_op_parallelism_threads(count)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_tensor_float_32_execution(options.precision == "tf32")
    return count


def settings(device: str) -> dict[str, str]:
    """TensorFlow's switches, as it answers for them; those of GPUs where one computes."""
    import tensorflow as tf

    threading = tf.config.threading
    found = {
        "intra_op_parallelism_threads": threading.get_intra_op_parallelism_threads(),
        "inter_op_parallelism_threads": threading.get_inter_op_parallelism_threads(),
        "jit": tf.config.optimizer.get_jit() or "off",
    }
    if device != "cpu":
        found["tensor_float_32_execution"] = tf.config.experimental.tensor_float_32_execution_enabled()
    return {name: str(value) for name, value in found.items()}


def wait() -> None:
    """Until every GPU has done what it was given."""
    import tensorflow as tf

    tf.test.experimental.sync_devices()


def gpu_memory_bytes(device: str) -> int | None:
    """The most that this process has held of the device's memory; None on a CPU."""
    import tensorflow as tf

    if device == "cpu":
        return None
    own = tf.config.experimental.get_memory_info(device_name(device)[1:])["peak"]
    return gpu.memory_of(os.getpid()) or int(own)


def device_name(device: str) -> str:
    """TensorFlow's name for ``cpu`` and ``gpu[:i]``."""
    kind, _, index = device.partition(":")
    return f"/{kind.upper()}:{index or 0}"


def keep_graphs(device: str) -> None:
    """Let TensorFlow keep the graphs that it makes of a function's first call from here on: ``prove`` reads them.

    On a GPU alone, where a node without a kernel for it quietly goes to the CPU, in the middle of a function too.
    """
    if device != "cpu":
        _context().enable_graph_collection()


def prove(found: str, device: str) -> str:
    """That an output which names ``found`` as its device was computed on this one, and on a GPU every node before it.

    Raises UnavailableError when that is another device, with the nodes that were computed there.
    """
    where = device_name(device)[1:]
    if not found.endswith(where):
        raise UnavailableError(
            f"asked TensorFlow for {device}, and it computed on {found or 'no named device'}"
        )
    proof = f"output on {found.rpartition('/')[2]}"
    if device == "cpu":
        return proof
    nodes = kept_nodes()
    moved = elsewhere(nodes, where)
    if moved:
        named = ", ".join(f"{node.name} ({node.op})" for node in moved[:_NAMED])
        more = f" and {len(moved) - _NAMED} more" if len(moved) > _NAMED else ""
        raise UnavailableError(
            f"asked TensorFlow for {device}, and it computed {len(moved)} nodes on another: {named}{more}"
        )
    return f"{proof}, and so all that computes of its {len(nodes)} nodes" if nodes else proof


def kept_nodes() -> list[Any]:
    """The nodes of the graphs kept since ``keep_graphs``, as TensorFlow partitioned them over its devices; it then stops."""
    graphs = _context().export_run_metadata().partition_graphs
    _context().disable_graph_collection()
    return [node for graph in graphs for node in graph.node]


def elsewhere(nodes: Iterable[Any], where: str) -> list[Any]:
    """The NodeDefs that compute with floating-point numbers on another device than ``where``, such as GPU:0.

    Integers are often sizes, which TensorFlow keeps on the CPU on purpose.
    """
    return [
        node
        for node in nodes
        if node.op not in _PLUMBING and node.attr["T"].type in _FLOATS and not node.device.endswith(where)
    ]


def _context() -> Any:
    from tensorflow.python.eager import context

    return context.context()
