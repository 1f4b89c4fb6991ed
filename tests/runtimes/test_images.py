"""Image files of every kind as arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from runtimes.errors import UsageError
from runtimes.images import read_image

PIXELS = np.random.default_rng(6).integers(0, 256, (12, 20, 3), np.uint8)


@pytest.mark.parametrize(
    ("mode", "channels"), [("1", 1), ("L", 1), ("LA", 1), ("P", 3), ("RGB", 3), ("RGBA", 3)]
)
def test_every_mode_is_grey_or_rgb(tmp_path: Path, mode: str, channels: int) -> None:
    image = Image.fromarray(PIXELS).convert(mode)
    image.save(tmp_path / "image.png")
    wanted = np.asarray(image.convert("L" if channels == 1 else "RGB")).reshape(12, 20, channels)
    np.testing.assert_array_equal(read_image(tmp_path / "image.png"), wanted)


def test_cmyk_jpeg_is_rgb(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).convert("CMYK").save(tmp_path / "image.jpg")
    assert read_image(tmp_path / "image.jpg").shape == (12, 20, 3)


def test_16_bits_keep_the_upper_8(tmp_path: Path) -> None:
    deep = np.arange(240, dtype=np.uint16).reshape(12, 20) * 273
    Image.fromarray(deep).save(tmp_path / "image.png")
    np.testing.assert_array_equal(read_image(tmp_path / "image.png")[..., 0], deep >> 8)


def test_a_photograph_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the first row of the file is the right side
    Image.fromarray(PIXELS).save(tmp_path / "image.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "image.png"), np.rot90(PIXELS, -1))


def _bomb(path: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(path)


def _cut(path: Path) -> None:
    Image.fromarray(PIXELS).save(path)
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (_bomb, "exceeds limit"),
        (_cut, "no image that can be read"),
        (lambda path: path.write_text("no image"), "cannot identify"),
        (lambda path: path.write_bytes(b""), "cannot identify"),
        (lambda path: path.mkdir(), "Is a directory"),
        (lambda path: Image.fromarray(np.ones((3, 3), np.float32)).save(path, "TIFF"), "floating-point"),
        (lambda path: None, "does not exist"),
    ],
)
def test_what_is_no_image_is_one_error_that_names_it(tmp_path: Path, make: object, says: str) -> None:
    make(tmp_path / "image.png")  # type: ignore[operator]
    with pytest.raises(UsageError, match=says) as caught:
        read_image(tmp_path / "image.png")
    assert "image.png" in str(caught.value)
