"""A folder of images, one folder per class: ``folder:DIR``. They become 28x28 in grey; 20 % are held out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from exporter.data import AS_IMAGE, Dataset, need_place, split
from runtimes import preprocess
from runtimes.base import Array
from runtimes.errors import UsageError
from runtimes.images import read_image


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
    grey: Array = preprocess.apply(read_image(path)[None], AS_IMAGE)[0, :, :, 0]
    return grey
