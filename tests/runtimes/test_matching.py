"""Tensors of a foreign file beside the model's: which is which, and in what order their axes lie."""

from __future__ import annotations

import numpy as np
import pytest

from runtimes.bundle import Quantization, TensorSpec
from runtimes.errors import UsageError
from runtimes.matching import match
from runtimes.preprocess import to_layout

IMAGE = TensorSpec("image", "float32", (None, 3, 32, 48), "NCHW", "image")
SCORES = TensorSpec("scores", "float32", (None, 10), "NC", "logits")


def tensor(name: str, *sizes: int | None, dtype: str = "float32", layout: str = "") -> TensorSpec:
    return TensorSpec(name, dtype, sizes, layout)


@pytest.mark.parametrize(
    ("sizes", "layout"),
    [((None, 32, 48, 3), "NHWC"), ((1, 3, 32, 48), "NCHW"), ((7, None, None, 3), "NHWC"), ((), "NCHW")],
)
def test_the_sizes_say_where_the_channels_are(sizes: tuple[int | None, ...], layout: str) -> None:
    found = match("input", [IMAGE], [tensor("x", *sizes)])
    assert (found.fault, found.file[0].layout, found.file[0].kind) == ("", layout, "image")


def test_a_file_without_sizes_has_the_layout_of_its_format() -> None:
    assert match("input", [IMAGE], [tensor("x")], usual="NHWC").file[0].layout == "NHWC"
    assert match("input", [IMAGE], [tensor("x")], layout="NCHW", usual="NHWC").file[0].layout == "NCHW"


@pytest.mark.parametrize(
    ("wanted", "own"), [((2, 64), (64, 2)), ((1, 8, 16, 17), (8, 16, 17, 1)), ((9, 9, 1), (1, 9, 9))]
)
def test_unnamed_axes_of_any_image_are_brought_to_the_files(
    wanted: tuple[int, ...], own: tuple[int, ...]
) -> None:
    found = match("input", [tensor("x", None, *wanted)], [tensor("y", None, *own)])
    brought = to_layout(np.zeros((5, *wanted)), found.model[0].layout, found.file[0].layout)
    assert brought.shape == (5, *own)


def test_an_axis_of_one_makes_no_second_order() -> None:
    grey = TensorSpec("image", "float32", (None, 1, 8, 8), "NCHW", "image")
    assert match("input", [grey], [tensor("x", None, 8, 8, 1)]).file[0].layout == "NHWC"
    flat = TensorSpec("image", "float32", (None, 5, 1, 1), "NCHW")
    assert match("output", [flat], [tensor("x", None, 5, 1, 1)]).file[0].layout == "NCHW"
    assert match("output", [flat], [tensor("x", None, 1, 1, 5)]).file[0].layout == "NHWC"


def test_more_than_one_order_is_asked_for() -> None:
    cube = TensorSpec("image", "float32", (None, 4, 4, 4), "NCHW", "image")
    with pytest.raises(UsageError, match=r"may be NCHW or NHWC.*--layout NCHW or --layout NHWC"):
        match("input", [cube], [tensor("x", None, 4, 4, 4)])
    assert match("input", [cube], [tensor("x", None, 4, 4, 4)], layout="NHWC").file[0].layout == "NHWC"
    assert match("input", [cube], [tensor("x", None, 4, 4, 4, layout="NHWC")]).file[0].layout == "NHWC"
    assert match("input", [cube], [tensor("x", None, 4, 4, 4)], alike=True).file[0].layout == "NCHW"
    with pytest.raises(UsageError, match="which is not"):
        match("input", [IMAGE], [tensor("x", None, 32, 48, 3)], layout="NCHW")


def test_names_come_before_places() -> None:
    model = [tensor("left", None, 5), tensor("right", None, 5), tensor("ids", None, 3, dtype="int64")]
    file = [
        tensor("serving_default_ids:0", None, 3, dtype="int32"),
        tensor("serving_default_right:0", None, 5),
        tensor("serving_default_left:0", None, 5),
    ]
    found = match("input", model, file)
    assert [spec.name.split("_")[2] for spec in found.file] == ["left:0", "right:0", "ids:0"]
    assert [spec.name for spec in found.model] == ["left", "right", "ids"]


def test_without_names_the_first_that_fits_is_taken() -> None:
    model = [tensor("boxes", None, 4), tensor("scores", None, 10), tensor("more", None, 4)]
    found = match("output", model, [tensor("a", None, 10), tensor("b", None, 4), tensor("c", None, 4)])
    assert [spec.name for spec in found.file] == ["b", "a", "c"]


@pytest.mark.parametrize(
    "file",
    [
        [tensor("y", None, 1000)],
        [tensor("y", None, 10), tensor("z", None, 10)],
        [tensor("scores", None, 10, dtype="int64")],
        [tensor("y", None, 10, 1)],
        [],
    ],
)
def test_what_cannot_be_paired_is_listed_from_both(file: list[TensorSpec]) -> None:
    found = match("output", [SCORES], file)
    assert found.file == ()
    assert "the model's are scores (float32 [?, 10])" in found.fault
    assert all(spec.name in found.fault for spec in file)


def test_quantised_integers_are_numbers_and_others_are_not() -> None:
    scaled = TensorSpec("y", "uint8", (1, 10), quantization=Quantization(0.1, 3))
    assert match("output", [SCORES], [scaled]).file[0].quantization == Quantization(0.1, 3)
    assert match("output", [SCORES], [tensor("y", 1, 10, dtype="uint8")]).fault
