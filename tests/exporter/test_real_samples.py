"""``--samples``: a person's own inputs, from a NumPy file or a folder of images."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from exporter import data, real_samples
from exporter.preprocess_option import parse
from exporter.real_samples import load
from runtimes.bundle import ModelSpec, TensorSpec
from runtimes.errors import UsageError

RANDOM = np.random.default_rng(8)
PIXELS = RANDOM.integers(0, 256, (12, 9, 7, 3), np.uint8)
CLASSES = np.arange(12) % 3


def image_model(
    preprocess: str = "color=BGR,resize=9x7,scale=1/255", labels: tuple[str, ...] = ()
) -> ModelSpec:
    image = TensorSpec("image", "float32", (None, 3, 9, 7), "NCHW", "image")
    scores = TensorSpec("logits", "float32", (None, 3), "NC", "logits")
    return ModelSpec("net", (image,), (scores,), labels, parse(preprocess) if preprocess else ())


TWO_INPUTS = ModelSpec(
    "two",
    (TensorSpec("ids", "int32", (None, 5), "NC"), TensorSpec("mask", "float32", (None, 4), "NC")),
    (TensorSpec("y", "float32", (None, 2), "NC"),),
)


def saved(path: Path, **arrays: Any) -> str:
    np.savez(path / "samples.npz", **arrays)
    return f"npz:{path / 'samples.npz'}"


@pytest.mark.parametrize("name", ["image", "x_test", "images", "x"])
@pytest.mark.parametrize("label", ["labels", "y_test", "y"])
def test_pictures_of_an_npz_go_through_the_preprocessing(tmp_path: Path, name: str, label: str) -> None:
    found = load(saved(tmp_path, **{name: PIXELS, label: CLASSES.astype(np.uint8)}), image_model())
    wanted = PIXELS[..., ::-1].transpose(0, 3, 1, 2) * np.float32(1 / 255)
    np.testing.assert_array_equal(found.inputs["image"], wanted)
    np.testing.assert_array_equal(found.labels, CLASSES)
    assert (found.generated, found.notes) == (False, ())


def test_grey_pictures_without_a_channel_axis_are_pictures(tmp_path: Path) -> None:
    found = load(saved(tmp_path, x=PIXELS[..., 0]), image_model())
    assert found.inputs["image"].shape == (12, 3, 9, 7)
    assert set(found.labels) == {-1}


def test_arrays_are_taken_as_the_model_takes_them(tmp_path: Path) -> None:
    floats = RANDOM.random((5, 3, 9, 7))
    found = load(saved(tmp_path, image=floats), image_model())
    np.testing.assert_array_equal(found.inputs["image"], floats.astype(np.float32))
    ids, mask = np.ones((4, 5), np.int64), np.zeros((4, 4), np.float32)
    two = load(saved(tmp_path, ids=ids, mask=mask), TWO_INPUTS)
    assert {name: array.dtype.name for name, array in two.inputs.items()} == {
        "ids": "int32",
        "mask": "float32",
    }


@pytest.mark.parametrize(
    ("arrays", "model", "says"),
    [
        (
            {"pixels": PIXELS},
            image_model(),
            "holds pixels; input image needs an array called image or x_test",
        ),
        ({"x": PIXELS}, image_model(""), "--preprocess"),
        ({"x": PIXELS[:, :8]}, image_model("scale=1"), "8x7 with 3 channel.*takes 9x7"),
        ({"x": PIXELS[..., :2]}, image_model(), "uint8 pictures are"),
        (
            {"x": np.zeros((2, 9, 7, 3))},
            image_model(),
            r"shape \[9, 7, 3\]; the model takes \[3, 9, 7\] \(CHW\)",
        ),
        ({"x": np.full((2, 3, 9, 7), np.nan)}, image_model(), "not finite"),
        ({"x": PIXELS, "y": CLASSES[:5]}, image_model(), "12 of image, 5 of labels"),
        (
            {"x": PIXELS, "y": CLASSES + 1},
            image_model(),
            "labels from 1 to 3; the model's classes are 0 to 2",
        ),
        ({"x": PIXELS, "y": CLASSES / 2}, image_model(), "as an integer"),
        ({"x": PIXELS, "y": np.array(3)}, image_model(), r"labels of int64 \(\)"),
        ({"x": PIXELS[:0]}, image_model(), "0 of image"),
        ({"ids": np.zeros((2, 5), int)}, TWO_INPUTS, "input mask needs an array called mask"),
        (
            {"ids": np.zeros((2, 5)), "mask": np.zeros((2, 4))},
            TWO_INPUTS,
            "are float64; the model takes int32",
        ),
        ({"ids": np.zeros((2, 5), int), "mask": np.zeros((3, 4))}, TWO_INPUTS, "2 of ids, 3 of mask"),
        ({"x": np.array([{}, {}])}, image_model(), "cannot be read as .npz"),
    ],
)
def test_an_npz_that_does_not_fit_says_why(
    tmp_path: Path, arrays: dict[str, Any], model: ModelSpec, says: str
) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        load(saved(tmp_path, **arrays), model)
    assert "samples.npz" in str(caught.value) or "preprocess" in str(caught.value).lower()


@pytest.mark.parametrize(
    "chosen", ["samples.npz", "npz:", "zip:a", "npz:no.npz", "npz:text.npz", "folder:no"]
)
def test_what_is_no_place_for_samples_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chosen: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.npz").write_text("no zip")
    with pytest.raises(UsageError, match=r"npz:FILE or folder:DIR|does not exist|cannot be read|no folder"):
        load(chosen, image_model())


def write_images(root: Path, folders: tuple[str, ...]) -> dict[str, list[np.ndarray]]:
    """Three images a folder, of sizes of their own; "" is the root itself."""
    written: dict[str, list[np.ndarray]] = {}
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for number in range(3):
            pixels = RANDOM.integers(0, 256, (20 + number, 30, 3), np.uint8)
            Image.fromarray(pixels).save(root / folder / f"{number}.png")
            written.setdefault(folder, []).append(pixels)
    (root / folders[0] / ".DS_Store").write_text("hidden")
    return written


def by_hand(pixels: np.ndarray) -> np.ndarray:
    small = np.asarray(Image.fromarray(pixels).resize((7, 9), Image.Resampling.BILINEAR))
    return small[..., ::-1].transpose(2, 0, 1) * np.float32(1 / 255)


def test_a_flat_folder_has_no_labels(tmp_path: Path) -> None:
    written = write_images(tmp_path, ("",))
    found = load(f"folder:{tmp_path}", image_model())
    np.testing.assert_array_equal(found.labels, [-1] * 3)
    assert np.abs(found.inputs["image"][0] - by_hand(written[""][0])).max() < 0.005


@pytest.mark.parametrize(
    ("labels", "wanted"),
    [(("dog", "cat", "owl"), [1, 0]), (("owl", "dog", "cat"), [2, 1])],
)
def test_folders_are_classes_by_name(tmp_path: Path, labels: tuple[str, ...], wanted: list[int]) -> None:
    write_images(tmp_path, ("cat", "dog"))
    np.testing.assert_array_equal(
        load(f"folder:{tmp_path}", image_model(labels=labels)).labels, np.repeat(wanted, 3)
    )


@pytest.mark.parametrize("labels", [(), ("one", "two", "three")])
def test_folders_are_classes_by_their_order_when_there_is_one_for_each(
    tmp_path: Path, labels: tuple[str, ...]
) -> None:
    write_images(tmp_path, ("n03", "n01", "n02"))
    found = load(f"folder:{tmp_path}", image_model(labels=labels))
    np.testing.assert_array_equal(found.labels, np.repeat([0, 1, 2], 3))


def test_folders_that_are_no_classes_are_refused(tmp_path: Path) -> None:
    write_images(tmp_path, ("cat", "dog"))
    with pytest.raises(UsageError, match=r"2 class folders; cat, dog are none of the 3 labels"):
        load(f"folder:{tmp_path}", image_model(labels=("a", "b", "c")))
    with pytest.raises(
        UsageError, match=r"cannot be named: there are no --labels, and the model has 3 classes"
    ):
        load(f"folder:{tmp_path}", image_model())


def test_all_bad_images_are_named_at_once(tmp_path: Path) -> None:
    write_images(tmp_path, ("",))
    for number in range(7):
        (tmp_path / f"bad{number}.jpg").write_bytes(b"\xff\xd8 cut")
    with pytest.raises(UsageError, match=r"bad0.jpg.*bad4.jpg.*2 more cannot be used") as caught:
        load(f"folder:{tmp_path}", image_model())
    assert "bad5" not in str(caught.value)


@pytest.mark.parametrize(("limit", "value"), [("MOST", 4), ("MOST_BYTES", 4 * 9 * 7 * 3 * 4)])
def test_more_than_enough_is_picked_by_a_seed_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(real_samples, limit, value)
    chosen = saved(tmp_path, x=PIXELS, y=CLASSES)
    found, again = load(chosen, image_model()), load(chosen, image_model())
    assert found.notes == ("4 of 12 samples were taken, by a fixed seed",)
    assert len(found.labels) == 4
    np.testing.assert_array_equal(found.inputs["image"], again.inputs["image"])


@pytest.fixture(scope="module")
def fashion() -> data.Dataset:
    folder = os.environ.get("FWEXPORT_FASHION_MNIST")
    if not folder:
        pytest.skip("FWEXPORT_FASHION_MNIST does not name a folder with Fashion-MNIST's four files")
    return data.load(f"idx:{folder}")


def test_fashion_mnist_is_the_same_from_an_npz_and_from_png_files(
    tmp_path: Path, fashion: data.Dataset
) -> None:
    image = TensorSpec("image", "float32", (None, 1, 28, 28), "NCHW", "image")
    scores = TensorSpec("logits", "float32", (None, 10), "NC", "logits")
    labels = tuple(f"{number} {name}".replace("/", "-") for number, name in enumerate(fashion.labels))
    model = ModelSpec("cnn", (image,), (scores,), labels, parse("color=L,resize=28x28,scale=1/255"))
    few = slice(0, 300)
    pixels, classes = fashion.heldout_images[few], fashion.heldout_labels[few]
    whole = load(saved(tmp_path, x_test=fashion.heldout_images, y_test=fashion.heldout_labels), model)
    assert whole.notes == ("2000 of 10000 samples were taken, by a fixed seed",)
    assert np.bincount(whole.labels).min() > 150
    order = np.argsort(classes, kind="stable")
    for number, place in enumerate(order):
        folder = tmp_path / "images" / labels[classes[place]]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[place, :, :, 0]).save(folder / f"{number:04}.png")
    (tmp_path / "few").mkdir()
    found = load(f"folder:{tmp_path / 'images'}", model)
    same = load(saved(tmp_path / "few", x=pixels[order], y=classes[order]), model)
    np.testing.assert_array_equal(found.inputs["image"], same.inputs["image"])
    np.testing.assert_array_equal(found.labels, same.labels)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_many_samples_take_no_more_memory_than_few(tmp_path: Path, save: Any) -> None:
    image = TensorSpec("image", "float32", (None, 1, 8, 8), "NCHW", "image")
    model = ModelSpec("cnn", (image,), (TensorSpec("y", "float32", (None, 10), "NC", "logits"),))
    random, peaks, found = np.random.default_rng(0), [], []
    for count in (4_000, 40_000):
        images, labels = random.random((count, 1, 8, 8), np.float32), random.integers(0, 10, count)
        save(tmp_path / "samples.npz", x=images, y=labels)
        tracemalloc.start()
        found.append(load(f"npz:{tmp_path / 'samples.npz'}", model))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        rows = [
            int(np.flatnonzero((images == one).all((1, 2, 3)))[0]) for one in found[-1].inputs["image"][:20]
        ]
        np.testing.assert_array_equal(found[-1].labels[:20], labels[rows])
    assert [len(one.labels) for one in found] == [2000, 2000]
    assert peaks[1] < peaks[0] + 500_000, peaks


def test_a_npy_holds_the_one_input(tmp_path: Path) -> None:
    pixels = np.arange(5 * 3 * 9 * 7, dtype=np.float32).reshape(5, 3, 9, 7)
    np.save(tmp_path / "x.npy", pixels)
    found = load(f"npz:{tmp_path / 'x.npy'}", image_model())
    np.testing.assert_array_equal(found.inputs["image"], pixels)
    np.testing.assert_array_equal(found.labels, [-1] * 5)
