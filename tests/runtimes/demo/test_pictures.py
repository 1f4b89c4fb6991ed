"""Pictures that go through the preprocessing again and give the very inputs that the source was asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtimes.base import Array
from runtimes.bundle import open_bundle
from runtimes.demo.pictures import Picture, as_png, is_drawable, pictures, undone
from runtimes.images import read_image
from runtimes.preprocess import apply, model_input
from runtimes.reference import REFERENCE, open_reference
from runtimes.scores import as_shown

COLOUR = np.random.default_rng(0).integers(0, 256, (3, 6, 5, 3), np.uint8)
NORMALIZE = {"op": "normalize", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
SCALE = {"op": "scale", "factor": 1 / 255}


@pytest.mark.parametrize(
    "operations",
    [
        [SCALE],
        [SCALE, NORMALIZE],
        [{"op": "color", "mode": "BGR"}, SCALE, NORMALIZE],
        [{"op": "color", "mode": "RGB"}, {"op": "normalize", "mean": [127.5], "std": [127.5]}],
        [],
    ],
    ids=lambda operations: "-".join(one["op"] for one in operations) or "none",
)
def test_what_was_scaled_and_normalised_comes_back(operations: list[dict[str, Any]]) -> None:
    found = undone(apply(COLOUR, operations), operations)
    assert found is not None
    np.testing.assert_array_equal(found, COLOUR)


def test_resizing_and_cropping_are_left_as_they_are() -> None:
    found = undone(apply(COLOUR, [SCALE]), [{"op": "resize", "shortest": 9, "filter": "bilinear"}, SCALE])
    np.testing.assert_array_equal(found, COLOUR)


@pytest.mark.parametrize(
    "images",
    [np.random.default_rng(0).normal(size=(2, 4, 4, 3)), np.zeros((2, 4, 4, 2))],
    ids=["noise", "two"],
)
def test_inputs_that_never_were_pictures_are_none(images: Array) -> None:
    assert undone(images.astype(np.float32), [SCALE]) is None


@pytest.mark.parametrize("source", ["torch", "keras"])
def test_the_pictures_of_a_bundle_are_its_held_out_samples(
    source: str, bundles: dict[str, Path], tmp_path: Path
) -> None:
    bundle = open_bundle(bundles[source])
    reference = open_reference(bundle.folder / REFERENCE)
    found = pictures(bundle.manifest.model, reference)
    assert [picture.label for picture in found] == list(range(10))
    held, y64 = reference.heldout["image"], next(iter(reference.heldout_y64.values()))
    for number, picture in enumerate(found):
        at = int(np.flatnonzero(reference.heldout_labels == number)[0])
        (tmp_path / "picture.png").write_bytes(as_png(picture.pixels))
        given = model_input(read_image(tmp_path / "picture.png")[None], bundle.manifest.model)
        np.testing.assert_allclose(given[0], held[at], rtol=1e-6)
        assert picture.y.sum() == pytest.approx(1)
        assert picture.y.argmax() == y64[at].argmax()
    assert is_drawable(found)


def test_generated_inputs_have_no_pictures(bundles: dict[str, Path]) -> None:
    bundle = open_bundle(bundles["torch"])
    reference = open_reference(bundle.folder / REFERENCE)
    none = reference.part(np.arange(8), np.arange(0))
    assert len(pictures(bundle.manifest.model, none)) == 8
    made = replace(none, roles=np.full(8, "generated"))
    assert pictures(bundle.manifest.model, made) == []


def test_what_can_be_drawn_is_small_and_grey_on_dark_ground() -> None:
    ink = np.zeros((28, 28, 1), np.uint8)
    ink[8:20, 12:15] = 255
    cases = {
        "ink": (ink, True),
        "paper": (255 - ink, False),
        "colour": (np.repeat(ink, 3, axis=-1), False),
        "large": (np.kron(ink, np.ones((8, 8, 1), np.uint8)), False),
    }
    for name, (pixels, wanted) in cases.items():
        assert is_drawable([Picture(pixels, None, np.zeros(1))]) is wanted, name
    assert not is_drawable([])


def test_logits_are_shown_as_probabilities() -> None:
    logits = np.array([1000.0, 999.0, -1000.0])
    np.testing.assert_allclose(
        as_shown(logits, "logits"), [1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1)), 0], atol=1e-15
    )
    assert as_shown(logits, "tensor") is logits
