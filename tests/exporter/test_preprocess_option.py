"""``--preprocess`` as typed, and whether it fits the model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exporter import describe
from exporter.given import SourceOptions, given
from exporter.preprocess_option import PRESETS, parse
from runtimes.bundle import ModelSpec, TensorSpec
from runtimes.errors import UsageError
from runtimes.preprocess import fault

IMAGE = TensorSpec("x", "float32", (None, 3, 224, 224), "NCHW", "image")
SCORES = TensorSpec("y", "float32", (None, 3), "NC", "logits")


def test_words_are_operations_in_their_order() -> None:
    text = "scale=1/255,mean=0.485:0.456:0.406,std=0.229:0.224:0.225,color=bgr,crop=224x200,resize=256,filter=bicubic"
    assert parse(text) == (
        {"op": "color", "mode": "BGR"},
        {"op": "resize", "shortest": 256, "filter": "bicubic"},
        {"op": "center_crop", "height": 224, "width": 200},
        {"op": "scale", "factor": 1 / 255},
        {"op": "normalize", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
    )
    assert parse("resize=30x20,mean=1") == (
        {"op": "resize", "height": 30, "width": 20, "filter": "bilinear"},
        {"op": "normalize", "mean": 1.0, "std": 1.0},
    )


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_fits_224_and_can_be_changed(preset: str) -> None:
    assert fault(parse(preset), IMAGE) == ""
    larger = replace(IMAGE, shape=(None, 3, 299, 299))
    assert fault(parse(f"{preset},resize=342,crop=299"), larger) == ""
    assert parse(f"{preset},scale=2") != parse(preset)


def test_a_file_holds_operations(tmp_path: Path) -> None:
    operations: list[dict[str, Any]] = [{"op": "center_crop", "height": 5, "width": 6}]
    (tmp_path / "ops.json").write_text(json.dumps(operations))
    assert parse(str(tmp_path / "ops.json")) == tuple(operations)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rezise=256", "'rezise=256' cannot be read.*resize.*imagenet"),
        ("imagnet", "a preset: imagenet"),
        ("scale", "'scale' cannot be read"),
        ("scale=1/0", "no number"),
        ("scale=one", "no number"),
        ("std=0", "std 0.0"),
        ("resize=0", "is no size"),
        ("crop=224x", "is no size"),
        ("color=CMYK", "mode 'CMYK'"),
        ("resize=9,filter=sharp", "filter 'sharp'"),
        ("filter=box", "belongs to a resize"),
        ("missing.json", "missing.json cannot be read"),
        ("object.json", "must hold a list"),
        ("wrong.json", "no operation 'blur'"),
    ],
)
def test_what_cannot_be_read_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("object.json").write_text("{}")
    Path("wrong.json").write_text('[{"op": "blur"}]')
    with pytest.raises(UsageError, match=says):
        parse(text)


def test_the_option_reaches_what_was_given() -> None:
    assert given("net.onnx", SourceOptions(preprocess="scale=2")).preprocessing == (
        {"op": "scale", "factor": 2.0},
    )
    assert given("net.onnx", SourceOptions()).preprocessing is None


def test_a_described_model_is_checked_and_completed() -> None:
    model = ModelSpec("net", (IMAGE,), (SCORES,), ("a", "b", "c"), parse("crop=224"))
    assert describe.checked(model).preprocessing[0] == {"op": "color", "mode": "RGB"}
    with pytest.raises(UsageError, match="names 2 classes; the output y has 3"):
        describe.checked(replace(model, labels=("a", "b")))
    with pytest.raises(UsageError, match="input x: it ends in 200x200; the model takes 224x224"):
        describe.checked(replace(model, preprocessing=parse("crop=200")))
    with pytest.raises(UsageError, match="takes no single image"):
        describe.checked(replace(model, inputs=(SCORES,)))
