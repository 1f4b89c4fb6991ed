"""SavedModel to TF.js: real SavedModels, converted in a TensorFlow child, run by TF.js in Node."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exporter.conversions import savedmodel2tfjs
from exporter.conversions.savedmodel2tfjs import fuse, graph, model_json
from exporter.converters import Converters
from runtimes.adapters import tfjs
from runtimes.base import SessionOptions
from runtimes.bundle import ModelSpec, TensorSpec
from runtimes.client import Worker
from runtimes.errors import ConversionError
from runtimes.frameworks import node, tfjs_model
from tests import saved_models
from tests.benchmarks import tfjs_nets

RUNNABLE = [kind for kind in saved_models.SPECS if kind not in ("refused", "huge_integer", "loop")]
# What tests/benchmarks/tfjs_fidelity.py found in the official converter's files of the same SavedModels.
OFFICIAL: dict[str, Any] = json.loads(Path(__file__).with_name("official_tfjs.json").read_text())
EPSILON = float(np.finfo(np.float32).eps)

pytestmark = pytest.mark.skipif(savedmodel2tfjs.check() is not None, reason=str(savedmodel2tfjs.check()))
needs_node = pytest.mark.skipif(tfjs.check("cpu") is not None, reason=str(tfjs.check("cpu")))


class Models:
    """SavedModels and their conversions by kind, each made once, in one TensorFlow child."""

    def __init__(self, worker: Worker, folder: Path) -> None:
        self.worker = worker
        self.folder = folder

    def saved(self, kind: str) -> Path:
        if not (self.folder / kind).exists():
            self.worker.call(tfjs_nets.make, kind, self.folder / kind)
        return self.folder / kind

    def converted(self, kind: str) -> Path:
        out = self.folder / f"{kind}.tfjs"
        if not out.exists() and kind in saved_models.SPECS:
            self.worker.call(savedmodel2tfjs.convert, self.saved(kind), out, saved_models.SPECS[kind])
        elif not out.exists():
            self.worker.call(tfjs_nets.convert, self.saved(kind), out)
        return out

    def document(self, kind: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.converted(kind) / "model.json").read_text())
        return found

    def weights(self, kind: str) -> list[dict[str, Any]]:
        return [weight for group in self.document(kind)["weightsManifest"] for weight in group["weights"]]


@pytest.fixture(scope="module")
def models(children: Converters, tmp_path_factory: pytest.TempPathFactory) -> Models:
    return Models(children.get("tensorflow"), tmp_path_factory.mktemp("models"))


@needs_node
@pytest.mark.parametrize("backend", tfjs.DEVICES["cpu"])
@pytest.mark.parametrize("kind", RUNNABLE)
def test_predicts_what_tensorflow_predicts(models: Models, kind: str, backend: str) -> None:
    session = tfjs.load(models.converted(kind), "cpu", SessionOptions(backend=backend))
    try:
        for batch in (1, 5):
            feeds = saved_models.feeds(kind, batch)
            wanted = models.worker.call(saved_models.answer, models.saved(kind), feeds)
            found = session.run({spec.name: feeds[spec.name].astype(spec.dtype) for spec in session.inputs})
            assert list(found) == [spec.name for spec in saved_models.SPECS[kind].outputs]
            for name, array in wanted.items():
                assert found[name].shape == array.shape
                assert array.any()
                np.testing.assert_allclose(
                    found[name], array, rtol=0, atol=16 * EPSILON * np.abs(array).max()
                )
    finally:
        session.close()


def test_the_folder_holds_the_model_and_its_metadata(models: Models) -> None:
    document = models.document("cnn")
    assert sorted(path.name for path in models.converted("cnn").iterdir()) == [
        "group1-shard1of1.bin",
        "model.json",
    ]
    assert document["format"] == "graph-model"
    assert document["convertedBy"].startswith("fwexport ")
    spec = json.loads(document["userDefinedMetadata"]["fwexport"])
    assert spec["labels"] == list("0123456789")
    assert document["signature"]["inputs"]["image"]["tensorShape"]["dim"][0] == {"size": "-1"}
    assert not any("device" in op for op in document["modelTopology"]["node"])


def test_convolutions_and_dense_layers_are_fused(models: Models) -> None:
    ops = tfjs.inspect(models.converted("cnn")).ops
    assert ops == {"MaxPool": 2, "Reshape": 1, "_FusedConv2D": 2, "_FusedMatMul": 2}


def test_batch_norms_depthwise_and_prelu_are_fused(models: Models) -> None:
    assert fusions(models.document("mobile")) == {
        ("_FusedConv2D", "BiasAdd"): 1,
        ("_FusedConv2D", "BiasAdd", "Prelu"): 1,
        ("FusedDepthwiseConv2dNative", "BiasAdd", "Relu6"): 1,
    }
    assert tfjs.inspect(models.converted("mobile")).ops.keys() - set(fuse.CONTRACTIONS.values()) == {
        "AddV2",
        "Mean",
    }


def test_what_follows_a_contraction_behind_a_reshape_is_fused(models: Models) -> None:
    assert fusions(models.document("views")) == {
        ("_FusedConv2D", "BiasAdd", "Relu"): 1,
        ("_FusedMatMul", "BiasAdd", "Sigmoid"): 1,
        ("_FusedMatMul", "BiasAdd", "Elu"): 1,
    }
    ops = tfjs.inspect(models.converted("views")).ops
    assert (ops["Conv2DBackpropInput"], ops["BiasAdd"]) == (1, 1)
    assert not {"Mul", "AddV2", "MatMul", "Conv2D"} & ops.keys()


def test_einsum_is_a_matrix_product_with_its_bias(models: Models) -> None:
    assert fusions(models.document("einsums")) == {("_FusedMatMul", "BiasAdd"): 4}
    ops = tfjs.inspect(models.converted("einsums")).ops
    assert (ops["BatchMatMulV2"], "Einsum" in ops, "AddV2" in ops) == (2, False, False)


def test_each_weight_is_stored_once_as_float32(models: Models) -> None:
    floats = [weight for weight in models.weights("cnn") if weight["dtype"] == "float32"]
    assert sum(int(np.prod(weight["shape"])) for weight in floats) == saved_models.CNN_PARAMETERS
    others = [weight for weight in models.weights("cnn") if weight["dtype"] != "float32"]
    assert [(weight["dtype"], weight["shape"]) for weight in others] == [("int32", [2])]  # the reshape's


def test_a_scalar_keeps_its_shape(models: Models) -> None:
    assert [] in [weight["shape"] for weight in models.weights("scalars")]


def test_int64_becomes_int32_in_weights_signature_and_metadata(models: Models) -> None:
    assert {weight["dtype"] for weight in models.weights("integers")} == {"float32", "int32"}
    signature = models.document("integers")["signature"]
    assert signature["inputs"]["index"]["dtype"] == "DT_INT32"
    assert signature["outputs"]["next"]["dtype"] == "DT_INT32"
    spec = json.loads(models.document("integers")["userDefinedMetadata"]["fwexport"])
    assert [tensor["dtype"] for tensor in spec["inputs"] + spec["outputs"]] == ["int32", "float32", "int32"]


def test_large_weights_are_cut_into_shards(models: Models) -> None:
    files = sorted(models.converted("large").glob("*.bin"))
    assert [file.name for file in files] == [f"group1-shard{i}of3.bin" for i in (1, 2, 3)]
    assert [file.stat().st_size for file in files[:2]] == [4 * 1024 * 1024] * 2
    assert models.document("large")["weightsManifest"][0]["paths"] == [file.name for file in files]


def test_a_model_without_weights_has_no_shard(models: Models) -> None:
    assert [path.name for path in models.converted("no_weights").iterdir()] == ["model.json"]


def test_names_keep_the_order_of_the_spec(models: Models) -> None:
    found = tfjs.inspect(models.converted("two"))
    assert [spec.name for spec in found.inputs] == ["z_left", "a_right"]
    assert [spec.name for spec in found.outputs] == ["z_sum", "a_product"]


def test_an_unused_input_stays_in_the_signature(models: Models) -> None:
    assert [spec.name for spec in tfjs.inspect(models.converted("unused")).inputs] == ["row", "ignored"]


def test_all_that_tfjs_has_kernels_for_is_fused(models: Models) -> None:
    assert fusions(models.document("activations")).keys() == {
        *((fused, "BiasAdd") for fused in fuse.CONTRACTIONS.values()),
        *(
            (fused, "BiasAdd", activation)
            for contraction, fused in fuse.CONTRACTIONS.items()
            for activation in fuse.ACTIVATIONS[contraction]
        ),
        *((fused, "NoOp", "Relu") for fused in fuse.CONTRACTIONS.values()),
        *((fuse.CONTRACTIONS[images], "NoOp", "Prelu") for images in ("Conv2D", "DepthwiseConv2dNative")),
    }
    assert (
        tfjs.inspect(models.converted("activations")).ops["Prelu"] == 1
    )  # after a dense layer without a bias


@pytest.mark.parametrize("kind", [kind for kind, found in OFFICIAL.items() if "ops" in found])
def test_no_more_operators_and_weights_than_the_official_converter_writes(models: Models, kind: str) -> None:
    ops, official = tfjs.inspect(models.converted(kind)).ops, OFFICIAL[kind]
    folder = models.converted(kind)
    weights = b"".join((folder / name).read_bytes() for name in tfjs_model.read(folder)[1])
    assert sum(ops.values()) <= sum(official["ops"].values())
    assert len(weights) <= official["weight_bytes"]
    if official["same_weights"]:
        assert sha256(weights).hexdigest() == official["weights_sha256"]
    if kind == "cnn":
        assert ops == official["ops"]


def test_operators_that_tfjs_lacks_are_refused_by_name(models: Models, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="no operator for BesselI0e, Lgamma"):
        convert(models, "refused", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_loops_are_refused_and_branches_are_not(models: Models, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="loop has loops, which are not exported"):
        convert(models, "loop", tmp_path / "out")
    assert {"Switch", "Merge"} < tfjs.inspect(models.converted("branch")).ops.keys()


def test_an_integer_that_int32_cannot_hold_is_refused(models: Models, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"1099511627776.*only int32"):
        convert(models, "huge_integer", tmp_path / "out")


def test_the_version_folder_may_be_given(models: Models, tmp_path: Path) -> None:
    convert(models, "two", tmp_path / "out", src=models.saved("two") / "1")
    assert (tmp_path / "out" / "model.json").exists()


def test_a_signature_with_other_names_is_refused(models: Models, tmp_path: Path) -> None:
    spec = ModelSpec("other", (TensorSpec("picture", "float32", (None, 28, 28, 1)),), ())
    with pytest.raises(ConversionError, match=r"inputs \['image'\], where other has \['picture'\]"):
        models.worker.call(savedmodel2tfjs.convert, models.saved("cnn"), tmp_path / "out", spec)


def test_a_folder_that_is_no_savedmodel_is_refused(models: Models, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="is no SavedModel that TensorFlow can load"):
        convert(models, "cnn", tmp_path / "out", src=tmp_path)


def test_a_signature_of_another_name_is_refused(models: Models, tmp_path: Path) -> None:
    models.worker.call(saved_models.make, "cnn", tmp_path / "saved", "predict")
    with pytest.raises(ConversionError, match=r"no signature 'serving_default', only \['predict'\]"):
        convert(models, "cnn", tmp_path / "out", src=tmp_path / "saved")


def test_the_list_of_operators_is_that_of_the_package() -> None:
    operations = node.modules_folder() / "@tensorflow" / "tfjs-converter" / "dist" / "operations"
    if not operations.exists():
        pytest.skip(str(tfjs.check("cpu")))
    assert node.package_version("@tensorflow/tfjs-converter") == "4.22.0"
    listed = _found(r"'tfOpName': '([^']+)'", operations / "op_list", "*.js")
    executed = _found(r"case '([^']+)'", operations / "executors", "*_executor.js")
    assert graph.supported_ops() == listed & executed


@pytest.mark.parametrize("dtype", ["float16", "float64", "int8", "uint8", "int64", "bool"])
def test_a_weight_is_stored_in_a_type_that_tfjs_has(dtype: str) -> None:
    value = np.ones((2, 1), dtype)
    found = model_json.stored("w", value)
    assert found.dtype.name == {"f": "float32", "b": "bool"}.get(value.dtype.kind, "int32")
    assert found.shape == (2, 1)
    assert (found == 1).all()


def test_a_string_is_refused() -> None:
    with pytest.raises(ValueError, match="w is a constant of type"):
        model_json.stored("w", np.array([b"text"], object))


def fusions(document: dict[str, Any]) -> Counter[tuple[str, ...]]:
    """How often each fused operator is in the graph, with what was fused."""
    return Counter(
        (node["op"], *(b64decode(name).decode() for name in node["attr"]["fused_ops"]["list"]["s"]))
        for node in document["modelTopology"]["node"]
        if node["op"] in fuse.CONTRACTIONS.values()
    )


def convert(models: Models, kind: str, out: Path, src: Path | None = None) -> None:
    models.worker.call(savedmodel2tfjs.convert, src or models.saved(kind), out, saved_models.SPECS[kind])


def _found(pattern: str, folder: Path, files: str) -> set[str]:
    return {name for file in folder.glob(files) for name in re.findall(pattern, file.read_text())}
