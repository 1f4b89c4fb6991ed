"""The graph: frozen from a SavedModel's signature, then rewritten by TensorFlow's optimiser into what TF.js runs fast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from exporter.conversions.savedmodel2tfjs.fuse import fuse, wrongly_fused
from exporter.conversions.savedmodel2tfjs.substitutes import SUBSTITUTES
from exporter.frameworks.graph_substitutes import substitute, without_compiled_calls
from runtimes.bundle import ModelSpec
from runtimes.errors import ConversionError

SIGNATURE = "serving_default"

# Calls inlined and constants computed, so that substitutes see them; then the rest, which would mix up additions before.
FIRST_PASSES = ("function", "debug_stripper", "pruning", "constfold")
CLEANING_PASSES = ("pruning", "constfold", "arithmetic", "dependency") * 2


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

    The optimiser's own ``remap`` is left out: it also fuses what TF.js cannot run, a hard swish or a batch norm.
    """
    inlined = without_compiled_calls(frozen.graph_def)
    folded = substitute(_grappler(inlined, frozen.signature, FIRST_PASSES), SUBSTITUTES)
    clean = _grappler(folded, frozen.signature, CLEANING_PASSES)
    for node in clean.node:
        node.device = ""
    return fuse(clean, {info.name.partition(":")[0] for info in frozen.signature.outputs.values()})


def has_loops(graph_def: Any) -> bool:
    """Whether the frozen graph goes round: a loop enters, and comes back, by these operators."""
    return any(node.op in ("Enter", "While", "StatelessWhile") for node in graph_def.node)


def unsupported(graph_def: Any) -> list[str]:
    """Operators that TF.js does not execute, sorted; a fused one is written ``_FusedConv2D[BiasAdd+Tanh]``."""
    names = (node.op if node.op not in supported_ops() else wrongly_fused(node) for node in graph_def.node)
    return sorted({name for name in names if name})


@cache
def supported_ops() -> frozenset[str]:
    """The names in ``ops.txt``."""
    lines = resources.files(__package__).joinpath("ops.txt").read_text().splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


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
