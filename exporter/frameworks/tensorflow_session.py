"""A TensorFlow function as a Session: what the reference runs for Keras and SavedModel sources, on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from exporter.frameworks.float64_graph import as_float64
from exporter.frameworks.frozen_graph import freeze
from runtimes.base import Array, Feeds, Session
from runtimes.bundle import ModelSpec
from runtimes.reference import Variant


class TensorflowSession(Session):
    """A ConcreteFunction that gives a dict, in one precision; float64 computes its widened graph.

    ``owner`` is what holds its variables, which the function itself does weakly. Raises UnavailableError in float64
    for operators that have no such kernel.
    """

    def __init__(self, function: Any, spec: ModelSpec, variant: Variant, owner: Any) -> None:
        self.threads = variant.threads
        self.inputs, self.outputs = spec.inputs, spec.outputs
        self._dtype, self._owner = variant.precision, owner
        if self._dtype == "float64":
            frozen = as_float64(freeze(function))
            exact = frozen.function()
            self._compute: Callable[[dict[str, Any]], dict[str, Any]] = lambda tensors: dict(
                zip(frozen.outputs, exact(*[tensors[name] for name in frozen.inputs]), strict=True)
            )
        elif function.structured_input_signature[1]:
            self._compute = lambda tensors: function(**tensors)
        else:
            self._compute = lambda tensors: function(*[tensors[tensor.name] for tensor in self.inputs])

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Outputs by name, in the session's precision."""
        import tensorflow as tf

        with tf.device("/CPU:0"):
            out = self._compute({spec.name: self._tensor(tf, feeds[spec.name]) for spec in self.inputs})
        return {spec.name: out[spec.name].numpy() for spec in self.outputs}

    def bind(self, feeds: Feeds) -> Callable[[], None]:
        """One run per call."""

        def call() -> None:
            self.run(feeds)

        return call

    def _tensor(self, tf: Any, array: Array) -> Any:
        tensor = tf.constant(array)
        return tf.cast(tensor, self._dtype) if tensor.dtype.is_floating else tensor
