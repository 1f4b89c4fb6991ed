"""One NumPy file: ``npz:FILE`` with x_train, y_train, x_test, y_test; or x and y, of which 20 % are held out."""

from __future__ import annotations

from pathlib import Path

from exporter.data import Dataset, as_images, as_labels, need_place, split
from runtimes.base import Array
from runtimes.errors import UsageError
from runtimes.inputs import read_npz


def load(where: str) -> Dataset:
    """Read the file without unpickling anything."""
    path = Path(need_place("npz", where))
    arrays = read_npz(path)
    if {"x_train", "y_train", "x_test", "y_test"} <= arrays.keys():
        train, test = as_labels(arrays["y_train"], str(path)), as_labels(arrays["y_test"], str(path))
        classes = _classes(path, train)
        return Dataset(
            path.stem,
            as_images(arrays["x_train"], str(path)),
            train,
            as_images(arrays["x_test"], str(path)),
            test,
            classes,
        )
    if {"x", "y"} <= arrays.keys():
        labels = as_labels(arrays["y"], str(path))
        images = as_images(arrays["x"], str(path))
        if len(images) != len(labels):
            raise UsageError(f"{path}: {len(images)} images, but {len(labels)} labels.")
        return split(path.stem, images, labels, _classes(path, labels))
    raise UsageError(
        f"{path} holds {', '.join(arrays) or 'nothing'}; it needs x_train, y_train, x_test, y_test, or x and y."
    )


def _classes(path: Path, labels: Array) -> tuple[str, ...]:
    """The numbers from 0 to the largest label. One beyond the number of images is no class number."""
    count = int(labels.max(initial=0)) + 1
    if count > max(2, len(labels)):
        raise UsageError(
            f"{path} has labels up to {count - 1} for {len(labels)} images; number the classes from 0."
        )
    return tuple(str(k) for k in range(count))
