"""One NumPy file: ``npz:FILE`` with x_train, y_train, x_test, y_test; or x and y, of which 20 % are held out."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from exporter.data import Dataset, as_images, need_place, split
from runtimes.errors import UsageError


def load(where: str) -> Dataset:
    """Read the file without unpickling anything."""
    path = Path(need_place("npz", where))
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise UsageError(f"{path} cannot be read as .npz: {error}") from None
    if {"x_train", "y_train", "x_test", "y_test"} <= arrays.keys():
        train, test = arrays["y_train"].ravel().astype(np.int64), arrays["y_test"].ravel().astype(np.int64)
        classes = tuple(str(k) for k in range(int(train.max(initial=0)) + 1))
        return Dataset(
            path.stem,
            as_images(arrays["x_train"], str(path)),
            train,
            as_images(arrays["x_test"], str(path)),
            test,
            classes,
        )
    if {"x", "y"} <= arrays.keys():
        labels = arrays["y"].ravel().astype(np.int64)
        images = as_images(arrays["x"], str(path))
        if len(images) != len(labels):
            raise UsageError(f"{path}: {len(images)} images, but {len(labels)} labels.")
        return split(path.stem, images, labels, tuple(str(k) for k in range(int(labels.max(initial=0)) + 1)))
    raise UsageError(
        f"{path} holds {', '.join(arrays) or 'nothing'}; it needs x_train, y_train, x_test, y_test, or x and y."
    )
