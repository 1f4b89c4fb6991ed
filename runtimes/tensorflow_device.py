"""What the two adapters that run in TensorFlow share: presence, threads, a device by name, and its proof."""

from __future__ import annotations

import importlib.util
from typing import Any

from runtimes.errors import UnavailableError
from runtimes.machine import cores_allowed, versions_of


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


def set_threads(threads: int | None) -> int:
    """The number that is then in use. Before the first operation; TensorFlow refuses it afterwards."""
    import tensorflow as tf

    count = threads or cores_allowed()
    tf.config.threading.set_intra_op_parallelism_threads(count)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_tensor_float_32_execution(False)
    return count


def device_name(device: str) -> str:
    """TensorFlow's name for ``cpu`` and ``gpu[:i]``."""
    kind, _, index = device.partition(":")
    return f"/{kind.upper()}:{index or 0}"


def prove(tensor: Any, device: str) -> str:
    """Where this output was computed, as it says itself. Raises UnavailableError when that is another device."""
    found = str(tensor.device)
    if not found.endswith(device_name(device)[1:]):
        raise UnavailableError(
            f"asked TensorFlow for {device}, and it computed on {found or 'no named device'}"
        )
    return f"output on {found.rpartition('/')[2]}"
