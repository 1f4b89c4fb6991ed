"""The graph: frozen from a SavedModel's signature, then rewritten by TensorFlow's optimiser into what TF.js runs fast."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from exporter.conversions.savedmodel2tfjs import prelu
from exporter.conversions.savedmodel2tfjs.substitutes import SUBSTITUTES
from exporter.frameworks.graph_substitutes import substitute, without_compiled_calls
from runtimes.bundle import ModelSpec
from runtimes.errors import ConversionError

SIGNATURE = "serving_default"

# Calls inlined and constants computed, so that substitutes see them; then the rest, which would mix up additions before.
FIRST_PASSES = ("function", "debug_stripper", "pruning", "constfold")
CLEANING_PASSES = ("pruning", "constfold", "arithmetic", "dependency") * 2
FUSING_PASSES = ("remap", "constfold", "arithmetic", "dependency")

# Operators that the optimiser's remap fuses with a bias and an activation, on nodes placed on a CPU only.
CONTRACTIONS = {
    "Conv2D": "_FusedConv2D",
    "DepthwiseConv2dNative": "FusedDepthwiseConv2dNative",
    "MatMul": "_FusedMatMul",
}
# What TF.js has fused kernels for. Remap also fuses Tanh, a hard swish and batch norms, which TF.js then cannot run.
FUSED_ACTIVATIONS = ("Relu", "Relu6", "Elu", "LeakyRelu", "Sigmoid")
FUSED_OPS = {("BiasAdd",), *(("BiasAdd", activation) for activation in FUSED_ACTIVATIONS)}


@dataclass(frozen=True)
class Frozen:
    """A GraphDef whose variables are constants, and its SignatureDef by the names that the person knows."""

    graph_def: Any
    signature: Any


def freeze(version: Path, spec: ModelSpec) -> Frozen:
    """``serving_default`` with its variables as constants. Raises ConversionError when it is not ``spec``'s."""
    import tensorflow as tf
    from tensorflow.core.protobuf import meta_graph_pb2
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    try:
        loaded = tf.saved_model.load(str(version))  # owns the variables: the signature holds them weakly
    except Exception as error:
        raise ConversionError(f"{version} is no SavedModel that TensorFlow can load: {error}") from error
    if SIGNATURE not in loaded.signatures:
        raise ConversionError(f"{version} has no signature {SIGNATURE!r}, only {sorted(loaded.signatures)}")
    function = loaded.signatures[SIGNATURE]
    # Both are dictionaries, which TensorFlow flattens in the order of their sorted keys.
    inputs, outputs = sorted(function.structured_input_signature[1]), sorted(function.structured_outputs)
    for what, found, wanted in (("inputs", inputs, spec.inputs), ("outputs", outputs, spec.outputs)):
        names = sorted(tensor.name for tensor in wanted)
        if names != found:
            raise ConversionError(f"{version} has the {what} {found}, where {spec.name} has {names}")
    frozen = convert_variables_to_constants_v2(function)
    signature = meta_graph_pb2.SignatureDef()
    for infos, names, tensors in (
        (signature.inputs, inputs, frozen.inputs),
        (signature.outputs, outputs, frozen.outputs),
    ):
        for name, tensor in zip(names, tensors, strict=True):
            infos[name].name = tensor.name
            infos[name].dtype = tensor.dtype.as_datatype_enum
            infos[name].tensor_shape.CopyFrom(tensor.shape.as_proto())
    return Frozen(frozen.graph.as_graph_def(), signature)


def optimise(frozen: Frozen) -> Any:
    """The GraphDef folded, and fused where TF.js has a kernel for the fused operator; without device names.

    Where remap fuses what TF.js cannot run, the contraction is kept out of its reach; where that is not enough,
    the graph stays unfused.
    """
    inlined = without_compiled_calls(frozen.graph_def)
    folded = substitute(_grappler(inlined, frozen.signature, FIRST_PASSES), SUBSTITUTES)
    clean = _grappler(folded, frozen.signature, CLEANING_PASSES)
    barred: set[str] = set()
    chosen = clean
    for _ in range(2):
        fused = _grappler(_on_cpu(clean, barred), frozen.signature, FUSING_PASSES)
        for node in fused.node:
            if node.op == "_FusedDepthwiseConv2dNative":  # TF.js has it without the underscore
                node.op = CONTRACTIONS["DepthwiseConv2dNative"]
        if not unsupported(fused):
            chosen = fused
            break
        barred |= wrongly_fused(clean.node, fused.node)
    for node in chosen.node:
        node.device = ""
    return prelu.fuse(chosen)


def has_loops(graph_def: Any) -> bool:
    """Whether the frozen graph goes round: a loop enters, and comes back, by these operators."""
    return any(node.op in ("Enter", "While", "StatelessWhile") for node in graph_def.node)


def unsupported(graph_def: Any) -> list[str]:
    """Operators that TF.js does not execute, sorted; a fused one is written ``_FusedConv2D[BiasAdd+Tanh]``."""
    missing = set()
    for node in graph_def.node:
        if node.op not in supported_ops():
            missing.add(node.op)
        elif node.op in CONTRACTIONS.values() and fused_ops(node) not in FUSED_OPS:
            missing.add(f"{node.op}[{'+'.join(fused_ops(node))}]")
    return sorted(missing)


def wrongly_fused(before: Iterable[Any], after: Iterable[Any]) -> set[str]:
    """Names of the contractions in ``before`` that are part of a fusion in ``after`` that TF.js does not have.

    A fused node takes the name of the last node that went into it, but keeps the contraction's first two inputs.
    """
    wrong = {
        (node.op, *node.input[:2])
        for node in after
        if node.op in CONTRACTIONS.values() and fused_ops(node) not in FUSED_OPS
    }
    return {
        node.name
        for node in before
        if node.op in CONTRACTIONS and (CONTRACTIONS[node.op], *node.input[:2]) in wrong
    }


def fused_ops(node: Any) -> tuple[str, ...]:
    """What was fused into this node, in order."""
    return tuple(name.decode() for name in node.attr["fused_ops"].list.s)


@cache
def supported_ops() -> frozenset[str]:
    """The names in ``ops.txt``."""
    lines = resources.files(__package__).joinpath("ops.txt").read_text().splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


def _on_cpu(graph_def: Any, barred: set[str]) -> Any:
    marked = type(graph_def)()
    marked.CopyFrom(graph_def)
    for node in marked.node:
        if node.op in CONTRACTIONS and node.name not in barred:
            node.device = "/device:CPU:0"
    return marked


def _grappler(graph_def: Any, signature: Any, passes: Sequence[str]) -> Any:
    """Run the optimiser on a pretended GPU, as the official converter does: it rewrites more than for a CPU."""
    import tensorflow as tf
    from tensorflow.core.protobuf import config_pb2, device_properties_pb2
    from tensorflow.python.grappler import cluster, tf_optimizer
    from tensorflow.python.training.saver import export_meta_graph

    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(graph_def, name="")
        for info in signature.outputs.values():
            graph.add_to_collection("train_op", graph.get_operation_by_name(info.name.partition(":")[0]))
        meta_graph = export_meta_graph(graph_def=graph_def, graph=graph)
    meta_graph.signature_def[SIGNATURE].CopyFrom(signature)  # keeps the inputs, used or not
    config = config_pb2.ConfigProto()
    config.graph_options.rewrite_options.optimizers.extend(passes)
    config.graph_options.rewrite_options.min_graph_nodes = -1  # small graphs too
    device = device_properties_pb2.NamedDevice(name="/GPU:0")
    device.properties.type = "GPU"
    device.properties.environment["architecture"] = "4"
    return tf_optimizer.OptimizeGraph(config, meta_graph, cluster=cluster.Cluster(devices=[device]))
