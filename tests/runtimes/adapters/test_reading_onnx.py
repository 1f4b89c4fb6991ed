"""ONNX files as the onnx package writes them, read without it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import small_models

from runtimes.bundle import TensorSpec, open_bundle
from runtimes.errors import NotAModelError
from runtimes.frameworks import onnx_file


def write(path: Path, *ops: str, weights: int = 1) -> Path:
    """A graph of ``ops`` in a row, with two inputs, one of which is a weight too, and weights of a type."""
    from onnx import helper, save

    names = ["x", *(f"h{number}" for number, _ in enumerate(ops))]
    nodes = [helper.make_node(op, [a, "w"], [b]) for op, a, b in zip(ops, names, names[1:], strict=False)]

    def value(name: str, dtype: int, shape: list[Any] | None) -> Any:
        return helper.make_tensor_value_info(name, dtype, shape)

    graph = helper.make_graph(
        nodes,
        "graph",
        [value("x", 1, ["n", 3, None]), value("flags", 9, []), value("w", weights, [200])],
        [value(names[-1], 7, ["n", 10**12])],
        [helper.make_tensor("w", weights, [200], [1] * 200)],
    )
    model = helper.make_model(graph)
    helper.set_model_props(model, {"fwexport": "{}", "note": "größer"})
    save(model, path)
    return path


def test_it_reads_tensors_operators_and_metadata(tmp_path: Path) -> None:
    found = onnx_file.inspect(write(tmp_path / "a.onnx", "Add", "MatMul", "Add"))
    assert found.inputs == (TensorSpec("x", "float32", (None, 3, None)), TensorSpec("flags", "bool", ()))
    assert found.outputs == (TensorSpec("h2", "int64", (None, 10**12)),)
    assert found.ops == {"Add": 2, "MatMul": 1}
    assert found.metadata == {"fwexport": "{}", "note": "größer"}
    assert found.quantized == ""


def test_an_output_may_have_no_type_or_be_a_sequence(tmp_path: Path) -> None:
    from onnx import helper, save

    untyped = helper.make_empty_tensor_value_info("y")
    several = helper.make_tensor_sequence_value_info("parts", 1, None)
    nodes = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("SplitToSequence", ["x"], ["parts"])]
    given = helper.make_tensor_value_info("x", 1, [2, 3])
    save(
        helper.make_model(helper.make_graph(nodes, "graph", [given], [untyped, several])), tmp_path / "a.onnx"
    )
    found = onnx_file.inspect(tmp_path / "a.onnx")
    assert found.ops == {"Relu": 1, "SplitToSequence": 1}
    assert [(spec.name, spec.shape) for spec in found.outputs] == [("y", ()), ("parts", ())]


@pytest.mark.parametrize(
    ("op", "weights", "quantized"),
    [
        ("Add", 10, "float16"),
        ("Add", 3, ""),
        ("QLinearConv", 3, "int8"),
        ("MatMulInteger", 2, "uint8"),
        ("DequantizeLinear", 1, "int8"),
    ],
)
def test_it_tells_what_is_quantised(tmp_path: Path, op: str, weights: int, quantized: str) -> None:
    assert onnx_file.inspect(write(tmp_path / "a.onnx", op, weights=weights)).quantized == quantized


@pytest.mark.parametrize("source", ["torch", "keras"])
def test_it_reads_an_export_as_the_manifest_has_it(source: str, bundles: dict[str, Path]) -> None:
    bundle = open_bundle(bundles[source])
    artifact = bundle.manifest.artifact("onnx")
    assert artifact is not None
    found = onnx_file.inspect(bundle.path(artifact))
    for own, wanted in ((found.inputs, artifact.inputs), (found.outputs, artifact.outputs)):
        assert [(s.name, s.dtype, s.shape) for s in own] == [(s.name, s.dtype, s.shape) for s in wanted]


def test_what_is_no_onnx_file_is_no_model(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.onnx", "Add").read_bytes()
    for content in (whole[:-20], whole[:50], b"", b"PK\x03\x04 zip", b"\x0f" * 40):
        path = tmp_path / "damaged.onnx"
        path.write_bytes(content)
        with pytest.raises(NotAModelError, match="is no ONNX file, or a damaged one"):
            onnx_file.inspect(path)
    for missing in (tmp_path / "missing.onnx", tmp_path):
        with pytest.raises(NotAModelError, match="cannot be read"):
            onnx_file.inspect(missing)


def test_it_names_the_files_that_hold_its_weights(tmp_path: Path) -> None:
    import onnx

    path = small_models.onnx(tmp_path / "a.onnx")
    assert onnx_file.beside(path) == {}
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="w 1.bin", size_threshold=0)
    assert onnx_file.beside(path) == {"w 1.bin": tmp_path / "w 1.bin"}
    (tmp_path / "w 1.bin").rename(tmp_path / "elsewhere.bin")
    with pytest.raises(NotAModelError, match=r"keeps weights in w 1\.bin, which is not beside it"):
        onnx_file.beside(path)
    content = path.read_bytes().replace(b"w 1.bin", b"../1.in")
    (tmp_path / "in").mkdir()
    (tmp_path / "1.in").write_bytes(b"")
    (tmp_path / "in" / "a.onnx").write_bytes(content)
    with pytest.raises(NotAModelError, match="which is not beside it"):
        onnx_file.beside(tmp_path / "in" / "a.onnx")
