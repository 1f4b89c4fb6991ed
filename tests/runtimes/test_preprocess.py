"""Preprocessing as data: what each operation computes, what a list of them ends in, and what is refused."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from PIL import Image

from runtimes import preprocess
from runtimes.bundle import ModelSpec, TensorSpec
from runtimes.errors import UsageError

RANDOM = np.random.default_rng(5)
RGB = {"op": "color", "mode": "RGB"}
CROP = {"op": "center_crop", "height": 224, "width": 224}
IMAGENET: list[dict[str, Any]] = [
    RGB,
    {"op": "resize", "shortest": 256, "filter": "bilinear"},
    CROP,
    {"op": "scale", "factor": 1 / 255},
    {"op": "normalize", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
]


def picture(height: int, width: int, channels: int = 3, n: int = 1) -> np.ndarray:
    return RANDOM.integers(0, 256, (n, height, width, channels), np.uint8)


def model(
    operations: list[dict[str, Any]], shape: tuple[int | None, ...], dtype: str = "float32"
) -> ModelSpec:
    layout = "NCHW" if shape[1] in (1, 3) else "NHWC"
    image = TensorSpec("image", dtype, shape, layout, "image")
    return ModelSpec(
        "net", (image,), (TensorSpec("logits", "float32", (None, 2), "NC", "logits"),), (), tuple(operations)
    )


@pytest.mark.parametrize("size", [(480, 640), (640, 480), (300, 300), (30, 20), (257, 1001)])
def test_the_usual_pipeline_is_what_pillow_and_numpy_give_by_hand(size: tuple[int, int]) -> None:
    images = picture(*size)
    photo = Image.fromarray(images[0])
    short = min(photo.size)
    photo = photo.resize(
        (int(256 * photo.width / short), int(256 * photo.height / short)), Image.Resampling.BILINEAR
    )
    left, top = (photo.width - 224) // 2, (photo.height - 224) // 2
    pixels = np.asarray(photo.crop((left, top, left + 224, top + 224)), np.float32) * np.float32(1 / 255)
    wanted = (pixels - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
    found = preprocess.model_input(images, model(IMAGENET, (None, 3, 224, 224)))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[0], wanted.transpose(2, 0, 1))


def test_a_batch_goes_as_its_images_go_alone() -> None:
    images = picture(40, 60, n=3)
    operations = [
        {"op": "resize", "height": 20, "width": 50, "filter": "lanczos"},
        {"op": "scale", "factor": 0.5},
    ]
    alone = [preprocess.apply(image[None], operations) for image in images]
    np.testing.assert_array_equal(preprocess.apply(images, operations), np.concatenate(alone))


@pytest.mark.parametrize("filter", preprocess.FILTERS)
def test_every_filter_is_pillow_s(filter: str) -> None:
    images = picture(31, 17, 1)
    how = Image.Resampling[filter.upper()]
    wanted = np.asarray(Image.fromarray(images[0, :, :, 0]).resize((24, 40), how))
    operation = {"op": "resize", "height": 40, "width": 24, "filter": filter}
    np.testing.assert_array_equal(preprocess.apply(images, [operation])[0, :, :, 0], wanted)


def test_colours() -> None:
    colour, grey = picture(4, 5), picture(4, 5, 1)
    np.testing.assert_array_equal(
        preprocess.apply(colour, [{"op": "color", "mode": "BGR"}]), colour[..., [2, 1, 0]]
    )
    by_weights = (colour @ np.array([0.299, 0.587, 0.114]))[..., None]
    assert np.abs(preprocess.apply(colour, [{"op": "color", "mode": "L"}]) - by_weights).max() <= 1
    np.testing.assert_array_equal(preprocess.apply(grey, [RGB]), np.concatenate([grey] * 3, axis=-1))
    np.testing.assert_array_equal(preprocess.apply(grey, [{"op": "color", "mode": "L"}]), grey)


def test_a_crop_larger_than_the_image_is_black_around_it() -> None:
    image = np.full((1, 3, 6, 1), 9, np.uint8)
    found = preprocess.apply(image, [{"op": "center_crop", "height": 6, "width": 4}])[0, :, :, 0]
    np.testing.assert_array_equal(found, [[0] * 4] * 2 + [[9] * 4] * 3 + [[0] * 4])


def test_images_of_the_right_size_are_only_scaled() -> None:
    """What the shipped CNN trains on and what it is judged on are the same bits."""
    images = picture(28, 28, 1, n=20)
    operations = [
        {"op": "color", "mode": "L"},
        {"op": "resize", "height": 28, "width": 28, "filter": "bilinear"},
        {"op": "scale", "factor": 1 / 255},
    ]
    np.testing.assert_array_equal(
        preprocess.apply(images, operations), images.astype(np.float32) * np.float32(1 / 255)
    )


def test_a_model_of_uint8_pixels_needs_no_words_but_the_size() -> None:
    images = picture(8, 9)
    np.testing.assert_array_equal(preprocess.model_input(images, model([], (1, 8, 9, 3), "uint8")), images)
    with pytest.raises(UsageError, match=r"ends as 8x9 with 3 channel.*takes 8x8 with 3"):
        preprocess.model_input(images, model([], (1, 8, 8, 3), "uint8"))


def test_floats_without_preprocessing_are_refused() -> None:
    with pytest.raises(UsageError, match="--preprocess"):
        preprocess.model_input(picture(8, 8), model([], (None, 3, 8, 8)))


def test_an_older_bundle_that_only_scales_takes_images_of_its_size() -> None:
    old = model([{"op": "scale", "factor": 1 / 255}], (None, 1, 28, 28))
    assert preprocess.model_input(picture(28, 28), old).shape == (1, 1, 28, 28)
    with pytest.raises(
        UsageError, match=r"an image of 30x28 with 3.*ends as 30x28 with 1.*takes 28x28 with 1"
    ):
        preprocess.model_input(picture(30, 28), old)


def test_a_model_without_an_image_input_is_refused() -> None:
    table = ModelSpec("table", (TensorSpec("x", "float32", (None, 7), "NC"),), ())
    with pytest.raises(UsageError, match=r"takes no single image, but x: float32 \[None, 7\].*\.npy"):
        preprocess.model_input(picture(8, 8), table)


def test_a_long_thin_image_is_no_way_to_fill_the_memory() -> None:
    with pytest.raises(UsageError, match="too large"):
        preprocess.apply(picture(1, 2000), [{"op": "resize", "shortest": 256, "filter": "box"}])


@pytest.mark.parametrize(
    ("operations", "says"),
    [
        (IMAGENET, ""),
        ([RGB, {"op": "resize", "height": 224, "width": 224, "filter": "box"}], ""),
        (IMAGENET[:2], "does not fix height and width; the model takes 224x224"),
        ([RGB, CROP | {"height": 200}], "ends in 200x224; the model takes 224x224"),
        ([{"op": "color", "mode": "L"}, CROP], "ends in 1 channel.*takes 3"),
        ([RGB, CROP, {"op": "normalize", "mean": [0, 0], "std": 1}], "mean has 2 numbers for 3 channel"),
        ([CROP, {"op": "normalize", "mean": [0, 0, 0], "std": [1, 0, 1]}], r"cannot have std \[1, 0, 1\]"),
        ([CROP, RGB], "color comes too late"),
        ([{"op": "sharpen"}], "no operation 'sharpen'"),
        ([{"op": ["scale"]}], "no operation"),
        ([CROP | {"size": 3}], "center_crop has height, size, width; it needs height, width"),
        ([{"op": "resize", "shortest": 0, "filter": "box"}], "cannot have shortest 0"),
        ([{"op": "resize", "shortest": 256, "filter": "best"}], "cannot have filter 'best'"),
        ([{"op": "scale", "factor": float("nan")}], "cannot have factor nan"),
        ([{"op": "color", "mode": ["RGB"]}], "cannot have mode"),
    ],
)
def test_a_list_that_does_not_end_in_the_model_s_input_says_why(
    operations: list[dict[str, Any]], says: str
) -> None:
    found = preprocess.fault(operations, model([], (None, 3, 224, 224)).inputs[0])
    assert re.search(says, found) if says else found == "", found


def test_arithmetic_cannot_end_in_uint8() -> None:
    spec = model([], (None, 224, 224, 3), "uint8").inputs[0]
    assert preprocess.fault([RGB, CROP], spec) == ""
    assert (
        preprocess.fault([RGB, CROP, {"op": "scale", "factor": 1}], spec)
        == "it ends in float32; the model takes uint8"
    )
