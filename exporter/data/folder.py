"""A folder of images, one folder per class: ``folder:DIR``. They become 28x28 in grey; 20 % are held out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from exporter.data import SIDE, Dataset, need_place, split
from runtimes.errors import UsageError


def load(where: str) -> Dataset:
    """Folder names, sorted, are the classes; a file that is no image is an error that names it."""
    from PIL import Image, UnidentifiedImageError

    root = Path(need_place("folder", where))
    if not root.is_dir():
        raise UsageError(f"{root} is no folder.")
    classes = sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    if len(classes) < 2:
        raise UsageError(
            f"{root} has {len(classes)} class folder(s); --data folder:DIR needs one folder per class."
        )
    images, labels = [], []
    for label, name in enumerate(classes):
        for path in sorted(p for p in (root / name).iterdir() if p.is_file() and not p.name.startswith(".")):
            try:
                with Image.open(path) as image:
                    images.append(
                        np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR))
                    )
            except (UnidentifiedImageError, OSError) as error:
                raise UsageError(f"{path} is no image that can be read: {error}") from None
            labels.append(label)
    if not images:
        raise UsageError(f"{root} has no images in its class folders.")
    return split(root.name, np.stack(images)[..., None], np.array(labels, np.int64), tuple(classes))
