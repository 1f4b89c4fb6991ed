"""Normalisation with constant parameters."""

from __future__ import annotations

import numpy as np

from exporter.conversions.onnx2keras import rules
from exporter.conversions.onnx2keras.graph import Graph, Node
from exporter.conversions.onnx2keras.lower import Call
from exporter.conversions.onnx2keras.registry import Tensor, lowers


def _refuse_batch(node: Node, graph: Graph) -> str | None:
    if node.attributes.get("training_mode", 0) or any(node.outputs[1:]):
        return "training mode"
    if any(graph.constant(node, index) is None for index in range(1, 5)):
        return "its parameters are computed, not constant"
    rank = graph.rank(node.inputs[0])
    return None if rank >= 2 else f"input of rank {rank}"


@lowers("BatchNormalization", layout=rules.follow, refuse=_refuse_batch)
def batch_normalization(call: Call) -> Tensor:
    parameters = [call.weights(index) for index in range(1, 5)]
    config = {
        "axis": call.axis(1),
        "epsilon": call.attr("epsilon", 1e-5),
        "momentum": call.attr("momentum", 0.9),
    }
    return call.layer(call.layers.BatchNormalization, *parameters, **config)(call.tensor())


def _refuse_layer(node: Node, graph: Graph) -> str | None:
    rank, axis = graph.rank(node.inputs[0]), node.attributes.get("axis", -1)
    if axis not in (-1, rank - 1):
        return f"axis {axis} (only the last axis is supported)"
    if graph.constant(node, 1) is None or (node.has(2) and graph.constant(node, 2) is None):
        return "its parameters are computed, not constant"
    return "the outputs of mean and deviation" if any(node.outputs[1:]) else None


@lowers("LayerNormalization", layout=rules.follow, refuse=_refuse_layer)
def layer_normalization(call: Call) -> Tensor:
    gamma, beta = call.weights(1).ravel(), call.constant(2)
    beta = np.zeros_like(gamma) if beta is None else call.weights(2).ravel()
    config = {"axis": call.axis(-1), "epsilon": call.attr("epsilon", 1e-5)}
    return call.layer(call.layers.LayerNormalization, gamma, beta, **config)(call.tensor())
