"""A person's ONNX file: what it is, what is refused, and a float64 reference that is one."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, external_data_helper, helper, numpy_helper, parser

from exporter import describe, samples
from exporter.bring import unread_options
from exporter.describe import parse_input
from exporter.source_folder import SCHEMA, SourceFile, save_source
from exporter.source_kind import Brought, Given, recognise
from exporter.sources import onnx_file
from runtimes.errors import NotAModelError, UsageError
from runtimes.reference import Variant, build, variants
from runtimes.verdict.parity import refuse_reference

RNG = np.random.default_rng(0)
CNN = (
    "c = Conv<pads=[1,1,1,1]>(image, w) h = Constant<value_float=0.5>() m = Mul(c, h) r = Relu(m) "
    "p = GlobalAveragePool(r) f = Flatten(p) scores = Gemm(f, v)"
)


def cnn(batch: object = '"N"', sizes: str = "3, 8, 8", opset: int = 20, text: str = CNN) -> onnx.ModelProto:
    """A small network with its weights inside; ``batch`` and ``sizes`` as ONNX's text form has them."""
    dims = f"{batch}, {sizes}".replace('"', "")
    model = parser.parse_model(
        f'<ir_version: 9, opset_import: ["": {opset}]> net (float[{dims}] image) => (float[N, 5] scores) {{ {text} }}'
    )
    for name, shape in (("w", (4, 3, 3, 3)), ("v", (4, 5))):
        model.graph.initializer.append(
            numpy_helper.from_array(RNG.normal(size=shape).astype(np.float32), name)
        )
    return model


def bring(model: onnx.ModelProto, folder: Path, **more: object) -> tuple[Brought, Path]:
    """What the kind says of the model, and the source folder."""
    file, out = folder / "net.onnx", folder / "source"
    out.mkdir()
    onnx.save(model, file)
    brought = onnx_file.bring(replace(Given(str(file), "net"), **more), out)
    source = SourceFile(SCHEMA, "onnx", brought.weights, brought.model, "onnx_file")
    save_source(out, source)
    samples.write_samples(out, samples.generated(brought.model))
    return brought, out


def test_the_file_says_what_the_model_is(tmp_path: Path) -> None:
    brought, out = bring(cnn(), tmp_path)
    (image,), (scores,) = brought.model.inputs, brought.model.outputs
    assert (image.name, image.dtype, image.shape) == ("image", "float32", (None, 3, 8, 8))
    assert (image.layout, image.kind) == ("NCHW", "image")
    assert (scores.name, scores.shape, scores.kind) == ("scores", (None, 5), "logits")
    assert brought.parameters == 4 * 3 * 9 + 4 * 5
    assert "fwexport" in {p.key for p in onnx.load(out / brought.weights).metadata_props}


def test_the_file_describes_itself_as_the_manifest_does(tmp_path: Path) -> None:
    """Also where the preprocessing that was given leaves the colours to the channels."""
    given = ({"op": "resize", "height": 8, "width": 8, "filter": "bilinear"}, {"op": "scale", "factor": 1.0})
    brought, out = bring(cnn(), tmp_path, preprocessing=given)
    inside = {prop.key: prop.value for prop in onnx.load(out / onnx_file.WEIGHTS).metadata_props}
    assert json.loads(inside["fwexport"])["preprocessing"] == list(brought.model.preprocessing)
    assert brought.model == describe.checked(brought.model)


def test_a_fixed_batch_stays_fixed(tmp_path: Path) -> None:
    brought, _ = bring(cnn(batch=2), tmp_path)
    assert brought.model.inputs[0].shape == (2, 3, 8, 8)
    assert brought.model.outputs[0].shape == (2, 5)


def test_a_batch_can_be_fixed_and_only_to_what_the_file_allows(tmp_path: Path) -> None:
    brought, out = bring(cnn(), tmp_path, fixed_batch=4)
    assert brought.model.inputs[0].shape == (4, 3, 8, 8)
    assert brought.model.outputs[0].shape == (4, 5)
    assert onnx.load(out / brought.weights).graph.input[0].type.tensor_type.shape.dim[0].dim_value == 4
    shutil.rmtree(out)
    with pytest.raises(UsageError, match="has the batch 2; --fixed-batch says 4"):
        bring(cnn(batch=2), tmp_path, fixed_batch=4)


def test_open_sizes_are_asked_for_and_then_written_into_the_file(tmp_path: Path) -> None:
    model = cnn(sizes="3, H, W")
    with pytest.raises(UsageError, match="--input 3xNxN"):
        bring(model, tmp_path)
    (tmp_path / "source").rmdir()
    brought, out = bring(model, tmp_path, inputs=(parse_input("3x6x7"),))
    assert brought.model.inputs[0].shape == (None, 3, 6, 7)
    dims = onnx.load(out / brought.weights).graph.input[0].type.tensor_type.shape.dim
    assert [dim.dim_value for dim in dims] == [0, 3, 6, 7]


def test_an_ambiguous_layout_is_asked_for(tmp_path: Path) -> None:
    text = "r = Relu(image) p = GlobalAveragePool(r) f = Flatten(p) g = Gemm(f, v) scores = Softmax(g)"
    model = cnn(sizes="4, 8, 3", text=text)
    with pytest.raises(UsageError, match="--layout NCHW or --layout NHWC"):
        bring(model, tmp_path)
    (tmp_path / "source").rmdir()
    brought, _ = bring(model, tmp_path, layout="NCHW")
    assert brought.model.inputs[0].layout == "NCHW"
    assert brought.model.outputs[0].kind == "probabilities"


@pytest.mark.parametrize("said", ["3x9x8", "x=3x8x8", "3x8x8:int64"])
def test_what_the_person_says_must_fit(said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="image"):
        bring(cnn(), tmp_path, inputs=(parse_input(said),))


@pytest.mark.parametrize("opset", [7, 13, 20])
def test_the_reference_is_float64(opset: int, tmp_path: Path) -> None:
    text = (
        CNN.replace("h = Constant<value_float=0.5>() m = Mul(c, h)", "m = Identity(c)") if opset < 12 else CNN
    )
    text = text.replace("Gemm(f, v)", "MatMul(f, v)") if opset < 11 else text
    brought, out = bring(cnn(opset=opset, text=text), tmp_path)
    found = samples.read_samples(out)
    made = build(
        lambda variant: onnx_file.open_session(out, variant),
        found.inputs,
        found.labels,
        variants(1, channels_last=False),
        brought.model.outputs,
        generated=found.generated,
    )
    assert made.refused == ""
    assert made.y64["scores"].dtype == np.float64
    assert refuse_reference(made.y64["scores"], made.noise["scores"], "logits") == ""
    assert made.samples == "generated"
    assert len(made.heldout_labels) == 0
    assert any("generated" in note for note in made.notes)


def test_the_reference_is_right(tmp_path: Path) -> None:
    model = cnn()
    _, out = bring(model, tmp_path)
    image = RNG.random((2, 3, 8, 8))
    w, v = (numpy_helper.to_array(tensor).astype(np.float64) for tensor in model.graph.initializer)
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(image, ((0, 0), (0, 0), (1, 1), (1, 1))), (3, 3), (2, 3)
    )
    features = np.maximum(np.einsum("ncyxij,ocij->noyx", windows, w) * 0.5, 0).mean((2, 3))
    got = onnx_file.open_session(out, Variant("float64")).run({"image": image.astype(np.float32)})
    exact = onnx_file.open_session(out, Variant("float64")).run({"image": image})
    assert np.allclose(exact["scores"], features @ v, rtol=1e-13)
    assert np.allclose(got["scores"], features @ v, rtol=1e-5)


def external(folder: Path, location: str) -> Path:
    """A model whose weights lie in ``location``, as the file says."""
    model = cnn()
    external_data_helper.convert_model_to_external_data(model, location="net.data", size_threshold=0)
    onnx.save(model, folder / "net.onnx")
    changed = onnx.load(folder / "net.onnx", load_external_data=False)
    for tensor in changed.graph.initializer:
        next(entry for entry in tensor.external_data if entry.key == "location").value = location
    (folder / "net.onnx").write_bytes(changed.SerializeToString())
    return folder / "net.onnx"


def test_weights_beside_the_file_are_read(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    brought = onnx_file.bring(Given(str(external(tmp_path, "net.data"))), tmp_path / "source")
    assert brought.parameters == 4 * 3 * 9 + 4 * 5
    assert (
        onnx.load(tmp_path / "source" / brought.weights, load_external_data=False)
        .graph.initializer[0]
        .raw_data
    )


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("../secret.data", "outside its own folder"),
        ("/etc/passwd", "outside its own folder"),
        ("gone.data", "not beside"),
    ],
)
def test_weights_elsewhere_are_not_read(location: str, said: str, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "secret.data").write_bytes(b"\0" * 1000)
    with pytest.raises(NotAModelError, match=said):
        onnx_file.bring(Given(str(external(inner, location))), tmp_path)


def test_a_link_out_of_the_folder_is_no_way_around(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "secret.data").write_bytes(b"\0" * 1000)
    path = external(inner, "link.data")
    (inner / "link.data").symlink_to(tmp_path / "secret.data")
    with pytest.raises(NotAModelError, match="outside its own folder"):
        onnx_file.bring(Given(str(path)), tmp_path)


def test_an_opset_that_is_too_old(tmp_path: Path) -> None:
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("Relu", ["x"], ["y"])],
            "old",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4])],
        ),
        opset_imports=[helper.make_opsetid("", 6)],
        ir_version=4,
    )
    with pytest.raises(NotAModelError, match="opset 6; fwexport reads 7 and later"):
        bring(model, tmp_path)


@pytest.mark.parametrize("keep", [40, 200])
def test_a_truncated_file(keep: int, tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(cnn().SerializeToString()[:keep])
    given = Given(str(tmp_path / "net.onnx"))
    assert recognise(given) == "onnx_file"
    with pytest.raises(NotAModelError, match=r"net\.onnx"):
        onnx_file.bring(given, tmp_path)


def test_options_that_say_nothing_of_an_onnx_file_are_named() -> None:
    given = Given("net.onnx", weights=Path("w.pt"), arguments={"width": 1}, allow_pickle=True)
    assert unread_options(given, onnx_file.OPTIONS) == ["--weights", "--arg", "--allow-pickle"]
