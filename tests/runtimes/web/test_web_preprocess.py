"""The preprocessing of a page gives the very numbers of the one in Python."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import PIL
import pytest
from javascript import run_javascript

from runtimes import preprocess
from runtimes.base import Array
from runtimes.bundle import ModelSpec, TensorSpec

RANDOM = np.random.default_rng(11)
# Older ones resize in the other order where that is more work, and round in between.
LEVELS = 0 if int(PIL.__version__.partition(".")[0]) >= 13 else 1
IMAGENET = [
    {"op": "color", "mode": "RGB"},
    {"op": "resize", "shortest": 64, "filter": "bilinear"},
    {"op": "center_crop", "height": 56, "width": 56},
    {"op": "scale", "factor": 1 / 255},
    {"op": "normalize", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
]

MAIN = """
import { apply, modelInput } from './preprocess.mjs';
const main = (cases) => cases.map(({ image, operations, spec }) =>
    spec ? modelInput(image, spec, operations) : apply(image, operations));
"""


def picture(height: int, width: int, channels: int = 3) -> Array:
    return RANDOM.integers(0, 256, (height, width, channels), np.uint8)


def resizes() -> dict[str, tuple[Array, list[dict[str, Any]]]]:
    """Every filter, to smaller and larger, the identity in one direction, and the shorter side alone."""
    sizes = [(31, 17, 40, 24), (97, 64, 11, 30), (28, 28, 20, 28), (5, 301, 7, 3), (64, 48, 64, 48)]
    return {
        f"{filter} {h}x{w} to {to_h}x{to_w}": (
            picture(h, w, 1 + 2 * (h % 2)),
            [{"op": "resize", "height": to_h, "width": to_w, "filter": filter}],
        )
        for filter, (h, w, to_h, to_w) in product(preprocess.FILTERS, sizes)
    } | {
        f"{filter} shortest {side} of {h}x{w}": (
            picture(h, w),
            [{"op": "resize", "shortest": side, "filter": filter}],
        )
        for filter, side, (h, w) in product(("nearest", "bilinear"), (33, 120), ((70, 101), (257, 64)))
    }


def others() -> dict[str, tuple[Array, list[dict[str, Any]]]]:
    crops = [(24, 24), (90, 30), (31, 80), (101, 99)]
    return {
        **{f"{mode} of {c}": (picture(9, 7, c), [{"op": "color", "mode": mode}]) for mode in preprocess.MODES for c in (1, 3)},
        **{f"crop {h}x{w}": (picture(60, 71), [{"op": "center_crop", "height": h, "width": w}]) for h, w in crops},
        "scale": (picture(8, 9), [{"op": "scale", "factor": 1 / 127.5}]),
        "one mean": (picture(8, 9), [{"op": "normalize", "mean": 127.5, "std": [58.1]}]),
        "all": (picture(80, 131), IMAGENET),
        "black and white": (np.where(picture(40, 40) > 127, 255, 0).astype(np.uint8), IMAGENET[1:2]),
    }  # fmt: skip


CASES = resizes() | others()
SPECS = {
    "NCHW": TensorSpec("x", "float32", (None, 3, 56, 56), "NCHW", "image"),
    "NHWC": TensorSpec("x", "float32", (1, 56, 56, 3), "NHWC", "image"),
    "NHWC grey": TensorSpec("x", "float32", (None, 56, 56, 1), "NHWC", "image"),
    "uint8": TensorSpec("x", "uint8", (None, 56, 56, 3), "NHWC", "image"),
}
IMAGE = picture(77, 90)


def operations(spec: TensorSpec) -> list[dict[str, Any]]:
    """Without colours: those that the model's channels call for."""
    return IMAGENET[1:3] if spec.dtype == "uint8" else IMAGENET[1:4]


@cache
def answers() -> dict[str, Any]:
    """All cases in one Node process."""
    given: list[dict[str, Any]] = [{"image": described(i), "operations": o} for i, o in CASES.values()]
    given += [
        {"image": described(IMAGE), "operations": operations(spec), "spec": asdict(spec)}
        for spec in SPECS.values()
    ]
    return dict(zip([*CASES, *SPECS], run_javascript(MAIN, given), strict=True))


def described(image: Array) -> dict[str, Any]:
    height, width, channels = image.shape
    return {"height": height, "width": width, "channels": channels, "data": image}


@pytest.mark.parametrize("name", CASES)
def test_every_operation_gives_the_same_numbers(name: str) -> None:
    image, steps = CASES[name]
    wanted, found = preprocess.apply(image[None], steps)[0], answers()[name]
    assert (found["height"], found["width"], found["channels"]) == wanted.shape
    assert found["data"].dtype == wanted.dtype
    np.testing.assert_allclose(found["data"].reshape(wanted.shape), wanted, rtol=0, atol=LEVELS)


@pytest.mark.parametrize("name", SPECS)
def test_an_image_becomes_the_same_input(name: str) -> None:
    spec, found = SPECS[name], answers()[name]
    model = ModelSpec("net", (spec,), (), (), tuple(operations(spec)))
    wanted = preprocess.model_input(IMAGE[None], model)
    assert (found["name"], found["dtype"], tuple(found["shape"])) == ("x", spec.dtype, wanted.shape)
    np.testing.assert_array_equal(found["data"].reshape(wanted.shape), wanted)


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ([{"op": "sharpen"}], "preprocessing names sharpen; known are color, resize"),
        ([{"op": "resize", "shortest": 1 << 16, "filter": "box"}], "too large"),
        ([{"op": "scale", "factor": 2}], "ends as 77x90x3 .* takes 56x56x3"),
    ],
)
def test_what_cannot_be_is_said(steps: list[dict[str, Any]], says: str) -> None:
    given = [{"image": described(IMAGE), "operations": steps, "spec": asdict(SPECS["NCHW"])}]
    with pytest.raises(AssertionError, match=says):
        run_javascript(MAIN, given)
