"""What the tests of TensorFlow's adapters do in a child process."""

from __future__ import annotations

from pathlib import Path

from runtimes.adapters import savedmodel
from runtimes.base import SessionOptions, zero_feeds
from runtimes.frameworks import tensorflow_device


def write(folder: Path) -> None:
    """A SavedModel: ``relu(x) @ ones``, and a count of the samples in integers."""
    import tensorflow as tf

    tensorflow_device.set_up(SessionOptions(threads=1))

    class Small(tf.Module):
        def __init__(self) -> None:
            self.weights = tf.Variable(tf.ones((3, 2)))

        @tf.function(input_signature=[tf.TensorSpec((None, 3), tf.float32, name="x")])
        def __call__(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"y": tf.nn.relu(x) @ self.weights, "n": tf.shape(x)[0] + 1}

    module = Small()
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.__call__})


def nodes(folder: Path) -> tuple[str, list[str], list[str], dict[str, str]]:
    """The proof on the CPU; the operators that compute and are not on GPU:0, and not on CPU:0; the settings."""
    session = savedmodel.load(folder, "cpu", SessionOptions(threads=1))
    tensorflow_device.keep_graphs("gpu")
    session.run(zero_feeds(session.inputs))
    kept = tensorflow_device.kept_nodes()
    found = [[node.op for node in tensorflow_device.elsewhere(kept, where)] for where in ("GPU:0", "CPU:0")]
    return session.prove(), *found, dict(session.settings)
