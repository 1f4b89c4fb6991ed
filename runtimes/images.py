"""An image file as an array: upright, 8 bits, grey or RGB."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from runtimes.base import Array
from runtimes.errors import UsageError

# Pillow's modes that hold nothing but grey; all others become RGB.
GREY = ("1", "L", "LA", "La")


def read_image(path: Path) -> Array:
    """uint8 (H, W, 1) of a grey image, (H, W, 3) of any other.

    It is turned as its EXIF orientation says. 16 bits keep their upper 8. Transparency is dropped and the colours below
    it show, as training code has it that calls Pillow's ``convert``. Raises UsageError for a file that is missing,
    broken, no image, or larger than Pillow's guard against decompression bombs lets through.
    """
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # large, or with odd EXIF data, but readable
            with Image.open(path) as image:
                upright = ImageOps.exif_transpose(image)
                if upright.mode == "F":
                    raise ValueError("its pixels are floating-point numbers")
                if upright.mode.startswith("I"):
                    deep = np.asarray(upright).astype(np.int64)
                    return (deep.clip(0, 0xFFFF) >> 8).astype(np.uint8)[..., None]
                if upright.mode in GREY:
                    return np.asarray(upright.convert("L"))[..., None]
                return np.asarray(upright.convert("RGB"))
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist.") from None
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise UsageError(f"{path} is no image that can be read: {error}") from None
