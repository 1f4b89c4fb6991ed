"""Layer names from the source's module names. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from exporter.conversions.onnx2keras.graph import Graph, Node

_PARAMETERS = {"weight", "bias", "kernel", "gamma", "beta", "running_mean", "running_var"}


def layer_names(graph: Graph) -> Mapping[str, str]:
    """A valid, unique layer name for each node, by the node's first output.

    ``features.conv1`` becomes ``features_conv1``. A module that several nodes came from gives its name with what
    was called in it; the exporter may have merged a module into its neighbour, so a layer with weights is named
    after these. Without source names: the model's output, else the node.
    """
    nodes_of = Counter(node.module for node in graph.nodes)
    names = Unique(keras_name(name) for name in graph.inputs)
    return {
        node.outputs[0]: names.take(valid(_wanted(node, graph, nodes_of), node.op)) for node in graph.nodes
    }


def keras_name(name: str) -> str:
    """The name of an input or output as Keras accepts it: without slashes."""
    return name.replace("/", "_")


def valid(name: str, op: str) -> str:
    """``name`` in letters, digits and underscores, starting with a letter; ``op`` goes in front where needed."""
    plain = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")
    return plain if plain[:1].isalpha() else f"{op.rpartition('.')[2].lower()}_{plain}".rstrip("_")


class Unique:
    """Names given once each: a second taker gets ``name_1``."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)

    def take(self, name: str) -> str:
        """``name``, or the first free ``name_<number>``."""
        number, free = 0, name
        while free in self._taken:
            number += 1
            free = f"{name}_{number}"
        self._taken.add(free)
        return free


def _wanted(node: Node, graph: Graph, nodes_of: Mapping[str, int]) -> str:
    for name in node.inputs:
        module, _, parameter = name.rpartition(".")
        if name in graph.parameters and module and parameter in _PARAMETERS:
            return module
    if node.module and nodes_of[node.module] == 1:
        return node.module
    output = next((name for name in node.outputs if name in graph.outputs), "")
    if node.call and node.module:
        return f"{node.module}.{node.call}"
    return output or node.call or node.name
