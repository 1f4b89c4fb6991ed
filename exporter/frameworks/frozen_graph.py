"""A TensorFlow function as one GraphDef: no variables, no calls of other functions. Runs in a TensorFlow child."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from exporter.frameworks.graph_substitutes import without_compiled_calls
from runtimes.errors import ConversionError

_RESOURCE = 20  # the DataType's number


@dataclass(frozen=True)
class Frozen:
    """A GraphDef, and the tensors of its inputs and outputs by the names that callers know, in the caller's order."""

    graph_def: Any
    inputs: dict[str, str]
    outputs: dict[str, str]

    def function(self) -> Callable[..., Any]:
        """The graph as a function from the inputs, positionally, to the list of outputs."""
        import tensorflow as tf

        wrapped = tf.compat.v1.wrap_function(
            lambda: tf.graph_util.import_graph_def(self.graph_def, name=""), []
        )
        graph = wrapped.graph
        pruned: Callable[..., Any] = wrapped.prune(
            [graph.get_tensor_by_name(name) for name in self.inputs.values()],
            [graph.get_tensor_by_name(name) for name in self.outputs.values()],
        )
        return pruned


def freeze(function: Any, *, lower_control_flow: bool = True) -> Frozen:
    """``function``, a ConcreteFunction that gives a dict, with its variables as constants and its calls inlined.

    Its inputs are the keywords of a SavedModel's signature, or positional with their names in the input signature.
    Loops become Enter, Exit, Switch and Merge unless ``lower_control_flow`` is False. Raises ConversionError where
    something other than variables is left, such as a lookup table.
    """
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    frozen = convert_variables_to_constants_v2(function, lower_control_flow=lower_control_flow)
    graph_def = frozen.graph.as_graph_def()
    if any(node.op == "Placeholder" and node.attr["dtype"].type == _RESOURCE for node in graph_def.node):
        raise ConversionError(
            "the graph looks things up in tables or files, which a file of constants cannot hold. "
            "Export the network without its lookups, and do them before it."
        )
    # Dictionaries are flattened by TensorFlow in the order of their sorted keys.
    positional, keywords = function.structured_input_signature
    names = sorted(keywords) or [spec.name for spec in positional]
    inputs = dict(zip(names, (tensor.name for tensor in frozen.inputs), strict=True))
    outputs = dict(
        zip(sorted(function.structured_outputs), (tensor.name for tensor in frozen.outputs), strict=True)
    )
    if any("_XlaMustCompile" in node.attr for node in graph_def.node):
        graph_def = _inlined(without_compiled_calls(graph_def), outputs.values())
    return Frozen(graph_def, inputs, outputs)


def _inlined(graph_def: Any, outputs: Iterable[str]) -> Any:
    """The GraphDef with its calls replaced by what they call, by TensorFlow's own optimiser."""
    import tensorflow as tf
    from tensorflow.core.protobuf import config_pb2
    from tensorflow.python.grappler import tf_optimizer
    from tensorflow.python.training.saver import export_meta_graph

    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(graph_def, name="")
        for name in outputs:
            graph.add_to_collection("train_op", graph.get_tensor_by_name(name).op)
    config = config_pb2.ConfigProto()
    config.graph_options.rewrite_options.optimizers.append("function")
    config.graph_options.rewrite_options.min_graph_nodes = -1
    return tf_optimizer.OptimizeGraph(config, export_meta_graph(graph_def=graph_def, graph=graph))
