"""A frozen TensorFlow graph as an ``.onnx`` file, by tf2onnx. Runs in a TensorFlow child."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from exporter.frameworks.frozen_graph import Frozen
from exporter.frameworks.graph_substitutes import erfc, expm1, sign_bit, substitute
from exporter.frameworks.onnx_lean import lean
from exporter.metadata import metadata
from runtimes.bundle import ModelSpec
from runtimes.errors import ConversionError

OPSET = 18

# Operators that tf2onnx passes on as they are, though ONNX has none of their name.
SUBSTITUTES = {"BitwiseAnd": sign_bit, "Erfc": erfc, "Expm1": expm1}


def check() -> str | None:
    """None, or how to get tf2onnx."""
    if importlib.util.find_spec("tf2onnx") is None:
        return "tf2onnx is missing: pip install 'fwexport[tensorflow,onnx]'"
    return None


def write(frozen: Frozen, out: Path, spec: ModelSpec) -> None:
    """Write one file whose tensors have the names, the order and the layouts of ``spec``.

    Raises ConversionError that names every operator tf2onnx does not know.
    """
    import onnx
    import tf2onnx

    inputs = {tensor.name: frozen.inputs[tensor.name] for tensor in spec.inputs}
    outputs = {tensor.name: frozen.outputs[tensor.name] for tensor in spec.outputs}
    try:
        model, _ = tf2onnx.convert.from_graph_def(
            substitute(frozen.graph_def, SUBSTITUTES),
            name=spec.name,
            input_names=list(inputs.values()),
            output_names=list(outputs.values()),
            opset=OPSET,
            tensors_to_rename={tensor: name for name, tensor in (inputs | outputs).items()},
        )
    except Exception as error:
        raise ConversionError(f"tf2onnx cannot export {spec.name}: {error}") from error
    known = {schema.name for schema in onnx.defs.get_all_schemas()}
    unknown = sorted({node.op_type for node in model.graph.node if not node.domain} - known)
    if unknown:
        raise ConversionError(
            f"tf2onnx has no ONNX operator for {', '.join(unknown)} in {spec.name}. "
            "Replace the layers that use it, or leave out the format onnx."
        )
    lean(model)
    model.graph.name, model.producer_name = spec.name, "fwexport"
    onnx.helper.set_model_props(model, metadata(spec))
    onnx.checker.check_model(model)
    onnx.save(model, str(out))
