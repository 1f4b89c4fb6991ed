"""Hugging Face folders: described as their files say, the same pixels as transformers, and what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_child
import numpy as np
import pytest
from conftest import fwexport
from PIL import Image

from exporter.bring import bring
from exporter.build import build
from exporter.converters import Converters
from exporter.frameworks.huggingface_pixels import operations
from exporter.preprocess_option import parse
from exporter.reference import write_reference
from exporter.source_folder import open_source
from exporter.source_kind import Given, recognise, source_kind
from exporter.sources.huggingface import labels
from runtimes import preprocess
from runtimes.bundle import TensorSpec
from runtimes.errors import NotAModelError, UsageError
from runtimes.pool import Pool
from runtimes.reference import open_reference
from runtimes.verify import VerifyOptions, verify
from tests.zoo import huggingface
from tests.zoo.registry import MODELS

RANDOM = np.random.default_rng(12)
_MISSING = source_kind("huggingface").check()
pytestmark = pytest.mark.skipif(_MISSING is not None, reason=str(_MISSING))


@pytest.fixture(scope="module")
def converters(children: Converters) -> Converters:
    return children


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, converters: Converters) -> dict[str, Path]:
    """A folder of each of four families."""
    place = tmp_path_factory.mktemp("hub")
    for name in ("hf_vit", "hf_resnet", "hf_mobilenet_v2", "hf_convnext"):
        converters.get("torch").call(huggingface.make, MODELS[name], place / name)
    return {path.name: path for path in place.iterdir()}


@pytest.mark.parametrize("name", ["hf_vit", "hf_resnet", "hf_mobilenet_v2", "hf_convnext"])
def test_a_folder_describes_itself(
    folders: dict[str, Path], converters: Converters, tmp_path: Path, name: str
) -> None:
    given = Given(str(folders[name]))
    assert recognise(given) == "huggingface"
    source = bring(given, None, tmp_path / "source", converters)
    assert source.model.inputs == (TensorSpec("pixel_values", "float32", (None, 3, 32, 32), "NCHW", "image"),)
    assert source.model.outputs == (TensorSpec("logits", "float32", (None, 5), "NC", "logits"),)
    assert source.model.labels == huggingface.LABELS
    assert preprocess.fault(source.model.preprocessing, source.model.inputs[0]) == ""
    assert open_source(tmp_path / "source") == source
    assert source.parameters
    converters.get("torch").call(write_reference, tmp_path / "source", tmp_path / "reference.npz")
    reference = open_reference(tmp_path / "reference.npz")
    assert reference.refused == ""
    size = np.linalg.norm(reference.y64["logits"], axis=1)
    assert 1e-8 < np.median(reference.noise["logits"] / size) < 1e-4


def test_float64_is_float64_through_an_attention_that_asks_for_float32(
    folders: dict[str, Path], converters: Converters, tmp_path: Path
) -> None:
    bring(Given(str(folders["hf_vit"])), None, tmp_path, converters)
    images = RANDOM.normal(size=(3, 3, 32, 32)).astype(np.float32)
    child = converters.get("torch")
    ours, other = child.call(huggingface_child.in_double, tmp_path, images)
    np.testing.assert_allclose(ours, other, rtol=1e-12, atol=1e-13)


PROCESSORS: list[tuple[str, dict[str, Any]]] = [
    ("ViT", {}),
    ("ViT", {"size": {"height": 40, "width": 24}, "resample": 3}),
    ("ViT", {"size": 48, "do_normalize": False}),
    ("DeiT", {}),
    ("DeiT", {"size": {"height": 50, "width": 50}, "crop_size": 64}),
    ("Beit", {"do_center_crop": True, "crop_size": {"height": 200, "width": 180}}),
    ("MobileNetV1", {"size": {"shortest_edge": 37}, "crop_size": {"height": 32, "width": 31}}),
    ("MobileNetV2", {"resample": 1}),
    ("ConvNext", {"size": {"shortest_edge": 224}}),
    ("ConvNext", {"size": {"shortest_edge": 100}, "crop_pct": 0.95, "resample": 2}),
    ("ConvNext", {"size": {"shortest_edge": 384}}),
    ("EfficientNet", {}),
    (
        "EfficientNet",
        {"rescale_offset": True, "rescale_factor": 1 / 127.5, "include_top": False, "do_center_crop": True},
    ),
    ("MobileViT", {}),
]


@pytest.mark.parametrize(("name", "values"), PROCESSORS, ids=lambda value: str(value)[:60])
@pytest.mark.parametrize("size", [(301, 199), (97, 130)])
def test_pixels_are_those_of_transformers(
    converters: Converters, tmp_path: Path, name: str, values: dict[str, Any], size: tuple[int, int]
) -> None:
    image = RANDOM.integers(0, 256, (*size, 3), np.uint8)
    child = converters.get("torch")
    ours = child.call(huggingface_child.operations, name, values, tmp_path)
    theirs = child.call(huggingface_child.pixels, tmp_path, image)
    found = preprocess.apply(image[None], ours).transpose(0, 3, 1, 2)
    assert found.dtype == theirs.dtype
    np.testing.assert_allclose(found, theirs, atol=2e-6, rtol=2e-6)


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ({"feature_extractor_type": "ViTFeatureExtractor", "size": 224}, "resize=224x224"),
        ({"size": 224, "resample": 3}, "resize=224x224,filter=bicubic"),
        (
            {
                "feature_extractor_type": "DeiTFeatureExtractor",
                "size": 256,
                "crop_size": 224,
                "do_center_crop": True,
            },
            "resize=256x256,crop=224,filter=bicubic",
        ),
        (
            {
                "feature_extractor_type": "ConvNextFeatureExtractor",
                "size": 224,
                "crop_pct": 0.875,
                "resample": 3,
            },
            "resize=256,crop=224,filter=bicubic",
        ),
        (
            {"image_processor_type": "ViTImageProcessorFast", "size": {"height": 224, "width": 224}},
            "resize=224x224",
        ),
    ],
    ids=str,
)
def test_files_of_earlier_years_are_read(
    folders: dict[str, Path], converters: Converters, tmp_path: Path, written: dict[str, Any], wanted: str
) -> None:
    """They name feature extractors, give a side as a number, and leave out what was the default."""
    shutil.copy(folders["hf_vit"] / "config.json", tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(written))
    found = converters.get("torch").call(huggingface_child.read_operations, tmp_path)
    assert tuple(found[:-2]) == parse(wanted)
    assert [one["op"] for one in found[-2:]] == ["scale", "normalize"]


def test_the_person_s_words_come_before_the_folder_s(
    folders: dict[str, Path], converters: Converters, tmp_path: Path
) -> None:
    larger = Given(
        str(folders["hf_resnet"]),
        inputs=(TensorSpec("", "", (4, 3, 64, 48)),),
        labels=("a", "b", "c", "d", "e"),
        preprocessing=parse("resize=64x48,scale=1/255"),
    )
    model = bring(larger, None, tmp_path / "source", converters).model
    assert model.inputs[0].shape == (4, 3, 64, 48)
    assert model.outputs[0].shape == (4, 5)
    assert model.labels[0] == "a"
    assert [one["op"] for one in model.preprocessing] == ["color", "resize", "scale"]
    with pytest.raises(UsageError, match="ends in 32x32; the model takes 64x48"):
        bring(replace(larger, preprocessing=None), None, tmp_path / "other", converters)


def test_a_folder_without_a_processor_takes_the_size_of_its_configuration(
    folders: dict[str, Path], converters: Converters, tmp_path: Path
) -> None:
    copied = shutil.copytree(folders["hf_vit"], tmp_path / "vit", ignore=shutil.ignore_patterns("pre*"))
    model = bring(Given(str(copied)), None, tmp_path / "source", converters).model
    assert (model.inputs[0].shape, model.preprocessing) == ((None, 3, 32, 32), ())


def test_weights_in_parts_and_of_half_precision_run_in_float32(
    folders: dict[str, Path], converters: Converters, tmp_path: Path
) -> None:
    converters.get("torch").call(huggingface_child.save_in_parts, folders["hf_vit"], tmp_path / "parts")
    assert len(list((tmp_path / "parts").glob("*.safetensors"))) > 1
    model = bring(Given(str(tmp_path / "parts")), None, tmp_path / "source", converters).model
    assert model.outputs[0].dtype == "float32"
    assert model.labels == huggingface.LABELS


def _without_weights(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _cut_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])


def _code_of_its_own(folder: Path) -> None:
    (folder / "modeling_evil.py").write_text(f"open({str(folder / 'owned')!r}, 'w')\n")
    config = {
        "model_type": "evil",
        "auto_map": {"AutoConfig": "modeling_evil.C", "AutoModelForImageClassification": "modeling_evil.M"},
    }
    (folder / "config.json").write_text(json.dumps(config))


def _processor(**values: object) -> Any:
    def change(folder: Path) -> None:
        path = folder / "preprocessor_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (_without_weights, NotAModelError, r"no \.safetensors file.*save_pretrained"),
        (_cut_weights, NotAModelError, "cannot load an image classifier"),
        (_code_of_its_own, NotAModelError, "cannot load an image classifier"),
        (huggingface_child.save_headless, NotAModelError, r"lack classifier\.bias, classifier\.weight"),
        (_processor(do_pad=True), UsageError, "asks for do_pad, for which there is no operation"),
        (_processor(size={"shortest_edge": 9, "longest_edge": 12}), UsageError, "has the size.*--preprocess"),
        (
            _processor(image_processor_type="DonutImageProcessor"),
            UsageError,
            "DonutImageProcessor are not known",
        ),
        (_processor(image_processor_type="NoSuchProcessor"), NotAModelError, "cannot read"),
    ],
)
def test_what_cannot_be_taken_is_said(
    folders: dict[str, Path],
    converters: Converters,
    tmp_path: Path,
    change: Any,
    error: type[Exception],
    says: str,
) -> None:
    folder = shutil.copytree(folders["hf_vit"], tmp_path / "vit")
    if change is huggingface_child.save_headless:
        converters.get("torch").call(change, folder)
    else:
        change(folder)
    with pytest.raises(error, match=says):
        bring(Given(str(folder)), None, tmp_path / "source", converters)
    assert not (folder / "owned").exists()


def test_labels_that_nobody_gave_are_none() -> None:
    assert labels({"0": "cat", "1": "dog"}) == labels({1: "dog", 0: "cat"}) == ("cat", "dog")
    assert labels({0: "LABEL_0", 1: "LABEL_1"}) == labels({0: "a", 2: "b"}) == labels(None) == ()


def test_an_old_configuration_names_its_class_otherwise() -> None:
    size = {"height": 9, "width": 9}
    found = operations(
        {"image_processor_type": "ViTImageProcessorFast", "do_resize": True, "size": size, "resample": 0}, "x"
    )
    assert found == ({"op": "resize", **size, "filter": "nearest"},)


def test_from_the_folder_to_the_verdict_and_the_same_label_as_transformers(
    folders: dict[str, Path], converters: Converters, pool: Pool, tmp_path: Path
) -> None:
    """Every format of a ViT; an image of another size, labelled by transformers alone and by two of our runtimes."""
    source, out = tmp_path / "source", tmp_path / "out"
    bring(Given(str(folders["hf_vit"])), None, source, converters)
    build(source, out, (), converters)
    pool.next_bundle()
    assert [row.outcome for row in verify(out, VerifyOptions(), pool).rows] == ["passed"] * 7
    _same_label(folders["hf_vit"], tmp_path, converters, "onnxruntime", "litert")


def test_a_convolutional_family_goes_to_tf_lite(
    folders: dict[str, Path], converters: Converters, tmp_path: Path
) -> None:
    """By the command line."""
    out = tmp_path / "out"
    done = fwexport("export", folders["hf_mobilenet_v2"], "--format", "tflite", "-o", out)
    assert done.returncode == 0, done.stderr
    verified = fwexport("verify", out, "--json")
    assert verified.returncode == 0, verified.stdout[-2000:]
    _same_label(folders["hf_mobilenet_v2"], tmp_path, converters, "litert")


def _same_label(folder: Path, place: Path, converters: Converters, *runtimes: str) -> None:
    wanted, files = [], []
    for number in range(4):
        image = RANDOM.integers(0, 256, (4, 5, 3), np.uint8)
        photo = np.asarray(Image.fromarray(image).resize((70, 51), Image.Resampling.BICUBIC))
        files.append(place / f"{number}.png")
        Image.fromarray(photo).save(files[-1])
        wanted.append(converters.get("torch").call(huggingface_child.label, folder, photo))
    asked = [word for name in runtimes for word in ("--runtime", name)]
    done = fwexport("predict", place / "out", *files, *asked, "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert [row["top"][0]["label"] for row in rows] == [label for label in wanted for _ in runtimes]
