"""A folder of images, one folder per class: ``folder:DIR``. They become 28x28 in grey; 20 % are held out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from exporter.data import SIDE, Dataset, need_place, split
from runtimes.base import Array
from runtimes.errors import UsageError


def load(where: str) -> Dataset:
    """Folder names, sorted, are the classes; a file that is no image is an error that names it."""
    root = Path(need_place("folder", where))
    if not root.is_dir():
        raise UsageError(f"{root} is no folder.")
    classes = sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    if len(classes) < 2:
        raise UsageError(
            f"{root} has {len(classes)} class folder(s); --data folder:DIR needs one folder per class."
        )
    images: list[Array] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        files = sorted(p for p in (root / name).iterdir() if p.is_file() and not p.name.startswith("."))
        if not files:
            raise UsageError(f"{root / name} has no images; every folder in {root} is a class.")
        images += [read(path) for path in files]
        labels += [label] * len(files)
    return split(root.resolve().name, np.stack(images)[..., None], np.array(labels, np.int64), tuple(classes))


def read(path: Path) -> Array:
    """An image file, upright, as uint8 (28, 28) in grey. Raises UsageError for a file that is none."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I;16"):  # Pillow would clip 16 bits to 8, not scale them
                upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
            return np.asarray(upright.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UsageError(f"{path} is no image that can be read: {error}") from None
