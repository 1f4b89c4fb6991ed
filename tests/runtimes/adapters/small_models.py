"""One small model in each format that browsers run, written by hand: two inputs, two outputs, none of them in the order of
the alphabet.

``sum`` is ``row @ KERNEL + BIAS``, of float32; ``double`` is ``more + more``, of the type that was asked for. The operator
that makes ``sum`` from the product is ``Add`` unless another is named.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

KERNEL = np.array([[1, 2], [3, 4], [5, 6]], np.float32)
BIAS = np.array([0.5, -0.5], np.float32)
ROW = np.array([[1, 0, 2]], np.float32)
SUM = ROW @ KERNEL + BIAS


def more(dtype: str) -> np.ndarray[Any, Any]:
    return np.array([[3, -4]], dtype)


def tfjs(folder: Path, dtype: str = "float32", op: str = "Add") -> dict[str, Path]:
    """A graph model of any batch: its files by name, the first of which is opened."""
    type_ = {"float32": "DT_FLOAT", "int32": "DT_INT32"}[dtype]

    def tensor(name: str, dtype: str, size: int) -> dict[str, Any]:
        shape = {"dim": [{"size": "-1"}, {"size": str(size)}]}
        return {"name": f"{name}:0", "dtype": dtype, "tensorShape": shape}

    def node(name: str, op: str, *inputs: str, dtype: str = "DT_FLOAT") -> dict[str, Any]:
        shape = {"shape": {"shape": {"unknownRank": True}}} if op == "Placeholder" else {}
        return {
            "name": name,
            "op": op,
            "input": inputs,
            "attr": {"dtype": {"type": dtype}, "T": {"type": dtype}, **shape},
        }

    document = {
        "format": "graph-model",
        "signature": {
            "inputs": {"row": tensor("row", "DT_FLOAT", 3), "more": tensor("more", type_, 2)},
            "outputs": {"sum": tensor("added", "DT_FLOAT", 2), "double": tensor("doubled", type_, 2)},
        },
        "modelTopology": {
            "versions": {"producer": 1},
            "node": [
                node("row", "Placeholder"),
                node("more", "Placeholder", dtype=type_),
                node("kernel", "Const"),
                node("bias", "Const"),
                node("limit", "Const", dtype="DT_INT32"),
                node("product", "MatMul", "row", "kernel"),
                # the sizes come out of a computation, which a backend that cannot be waited for has to do where it is read
                node("shape", "Shape", "row"),
                node("sizes", "Minimum", "shape", "limit", dtype="DT_INT32"),
                node("reshaped", "Reshape", "product", "sizes"),
                node("added", op, "reshaped", "bias"),
                node("doubled", "Add", "more", "more"),
            ],
        },
        "weightsManifest": [
            {
                "paths": ["weights.bin"],
                "weights": [
                    {"name": "kernel", "shape": [3, 2], "dtype": "float32"},
                    {"name": "bias", "shape": [2], "dtype": "float32"},
                    {"name": "limit", "shape": [2], "dtype": "int32"},
                ],
            }
        ],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.json").write_text(json.dumps(document))
    limit = np.array([1000, 2], np.int32)
    (folder / "weights.bin").write_bytes(KERNEL.tobytes() + BIAS.tobytes() + limit.tobytes())
    return {name: folder / name for name in ("model.json", "weights.bin")}


def onnx(path: Path, dtype: str = "float32", op: str = "Add") -> Path:
    """A file of batch 1."""
    from onnx import TensorProto, helper, numpy_helper, save

    type_ = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["row", "kernel"], ["product"], "product"),
            helper.make_node(op, ["product", "bias"], ["sum"], "sum"),
            helper.make_node("Add", ["more", "more"], ["double"], "double"),
        ],
        "small",
        [value("row", TensorProto.FLOAT, [1, 3]), value("more", type_, [1, 2])],
        [value("sum", TensorProto.FLOAT, [1, 2]), value("double", type_, [1, 2])],
        [numpy_helper.from_array(KERNEL, "kernel"), numpy_helper.from_array(BIAS, "bias")],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def tflite(path: Path, dtype: str = "float32", op: str = "Add") -> Path:
    """A file of batch 1 with a signature. Another ``op`` is a custom one of that name."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    def tensor(name: str, shape: list[int], dtype: str = "float32", content: bytes | None = None) -> Any:
        made = schema.TensorT()
        made.name, made.shape, made.buffer = name, shape, 0
        made.type = getattr(schema.TensorType, dtype.upper())
        if content is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(content, np.uint8)
            model.buffers.append(buffer)
            made.buffer = len(model.buffers) - 1
        graph.tensors.append(made)
        return len(graph.tensors) - 1

    def operator(kind: str, inputs: list[int], output: int) -> None:
        code = schema.OperatorCodeT()
        code.version = 1
        builtin = {"FullyConnected": 9, "Add": 0}.get(kind, 32)
        code.builtinCode, code.deprecatedBuiltinCode = builtin, builtin
        code.customCode = kind if builtin == 32 else None
        model.operatorCodes.append(code)
        made = schema.OperatorT()
        made.opcodeIndex = len(model.operatorCodes) - 1
        made.inputs, made.outputs = inputs, [output]
        if builtin != 32:
            made.builtinOptionsType = getattr(schema.BuiltinOptions, f"{kind}Options")
            made.builtinOptions = getattr(schema, f"{kind}OptionsT")()
        graph.operators.append(made)

    def mapped(names: dict[str, int]) -> list[Any]:
        made = []
        for name, index in names.items():
            one = schema.TensorMapT()
            one.name, one.tensorIndex = name, index
            made.append(one)
        return made

    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.description = 3, "small"
    model.buffers, model.operatorCodes, model.subgraphs = [schema.BufferT()], [], [graph]
    graph.tensors, graph.operators = [], []
    row, other = tensor("row", [1, 3]), tensor("more", [1, 2], dtype)
    kernel = tensor("kernel", [2, 3], content=np.ascontiguousarray(KERNEL.T).tobytes())
    bias = tensor("bias", [2], content=BIAS.tobytes())
    product, total, double = (tensor(name, [1, 2]) for name in ("product", "sum", "double"))
    graph.tensors[double].type = graph.tensors[other].type
    operator("FullyConnected", [row, kernel, -1], product)
    operator(op, [product, bias], total)
    operator("Add", [other, other], double)
    graph.inputs, graph.outputs = [row, other], [total, double]
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = "serving_default", 0
    signature.inputs, signature.outputs = (
        mapped({"row": row, "more": other}),
        mapped({"sum": total, "double": double}),
    )
    model.signatureDefs = [signature]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(builder.Output())
    return path
