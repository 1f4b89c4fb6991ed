"""Labelled images to train on and to judge with. ``load`` reads any of the kinds that this folder has.

A kind is a module here with ``load(where) -> Dataset``; ``digits`` needs nothing else, ``idx:DIR`` a place.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from dataclasses import dataclass
from typing import Any

import numpy as np

from runtimes.base import Array
from runtimes.errors import UsageError

SIDE = 28
HELDOUT_SHARE = 0.2
SPLIT_SEED = 0
# What makes any picture an image of this size, in the words of ``runtimes.preprocess``.
AS_IMAGE: tuple[dict[str, Any], ...] = (
    {"op": "color", "mode": "L"},
    {"op": "resize", "height": SIDE, "width": SIDE, "filter": "bilinear"},
)


@dataclass(frozen=True)
class Dataset:
    """Images as uint8 (n, 28, 28, 1) and labels as int64 (n,): a training part, and a part never trained on."""

    name: str
    train_images: Array
    train_labels: Array
    heldout_images: Array
    heldout_labels: Array
    labels: tuple[str, ...]


def names() -> list[str]:
    """The kinds of data, as the command line spells them: the folder is the list."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))


def load(spec: str) -> Dataset:
    """The dataset that ``digits``, ``idx:DIR``, ``npz:FILE``, ``folder:DIR``, ``mnist``... names.

    Raises UsageError for an unknown kind and for data that the shipped CNN cannot train on.
    """
    kind, _, where = spec.partition(":")
    if kind not in names():
        close = difflib.get_close_matches(kind, names(), 1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise UsageError(f"there is no data {kind!r}.{hint} The kinds are: {', '.join(names())}.")
    module = importlib.import_module(f"exporter.data.{kind.replace('-', '_')}")
    dataset: Dataset = module.load(where)
    return _checked(spec, dataset)


def need_place(kind: str, where: str) -> str:
    """The part after the colon, or a UsageError that shows how to give it."""
    if not where:
        raise UsageError(f"--data {kind} needs a place: --data {kind}:PATH")
    return where


def no_place(kind: str, where: str) -> None:
    """Raise UsageError when a place was given to a kind that has none: it would not be read."""
    if where:
        raise UsageError(
            f"--data {kind} takes no place, but {where!r} follows it. For a folder, use --data idx:DIR."
        )


def split(name: str, images: Array, labels: Array, classes: tuple[str, ...]) -> Dataset:
    """Hold out 20 % of each class, at least one image where there are two, by a fixed seed."""
    shuffled = np.random.default_rng(SPLIT_SEED).permutation(len(labels))
    held = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = shuffled[labels[shuffled] == label]
        held[members[: max(round(len(members) * HELDOUT_SHARE), int(len(members) > 1))]] = True
    order = shuffled[~held[shuffled]], shuffled[held[shuffled]]
    return Dataset(name, images[order[0]], labels[order[0]], images[order[1]], labels[order[1]], classes)


def as_images(array: Array, where: str) -> Array:
    """uint8 (n, 28, 28, 1) from (n, 28, 28[, 1]) of uint8, or of floats in [0, 1]. Raises UsageError."""
    images = array[..., None] if array.ndim == 3 else array
    if images.shape[1:] != (SIDE, SIDE, 1):
        raise UsageError(
            f"{where} has images of shape {array.shape[1:]}; the shipped CNN takes 28x28 in grey."
        )
    if images.dtype == np.uint8:
        return images
    if not np.issubdtype(images.dtype, np.floating):
        raise UsageError(f"{where} has {images.dtype} images; give uint8, or floats between 0 and 1.")
    if images.size and not (images.min() >= 0 and images.max() <= 1):
        raise UsageError(
            f"{where} has images from {images.min()} to {images.max()}; give uint8, or floats between 0 and 1."
        )
    scaled: Array = np.rint(images * 255).astype(np.uint8)
    return scaled


def as_labels(array: Array, where: str) -> Array:
    """int64 (n,) from integers (n,) or (n, 1). Raises UsageError."""
    labels = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise UsageError(
            f"{where} has labels of {array.dtype} {array.shape}; give the class of each image as an integer, (n,)."
        )
    return labels.astype(np.int64)


def _checked(spec: str, data: Dataset) -> Dataset:
    parts = (
        ("train", data.train_images, data.train_labels),
        ("held-out", data.heldout_images, data.heldout_labels),
    )
    for part, images, labels in parts:
        if len(images) != len(labels):
            raise UsageError(f"{spec}: {len(images)} {part} images, but {len(labels)} labels.")
        if not len(images):
            raise UsageError(f"{spec}: there are no {part} images.")
        if images.shape[1:] != (SIDE, SIDE, 1) or images.dtype != np.uint8:
            raise UsageError(
                f"{spec}: {part} images are {images.dtype} {images.shape[1:]}, not uint8 28x28 in grey."
            )
        if labels.min() < 0 or labels.max() >= len(data.labels):
            raise UsageError(
                f"{spec}: {part} labels run from {labels.min()} to {labels.max()}, for {len(data.labels)} classes."
            )
    if len(np.unique(data.train_labels)) < 2:
        only = data.labels[int(data.train_labels[0])]
        raise UsageError(
            f"{spec}: every image to train on is a {only!r}; a classifier needs two classes or more."
        )
    return data
