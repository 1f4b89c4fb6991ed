"""Labelled images to train on and to judge with. ``load`` reads any of the kinds that this folder has."""

from __future__ import annotations

from dataclasses import dataclass

from runtimes.base import Array


@dataclass(frozen=True)
class Dataset:
    """Images as uint8 (n, H, W, C) and labels as int64 (n,): a training part, and a held-out part never trained on."""

    name: str
    train_images: Array
    train_labels: Array
    heldout_images: Array
    heldout_labels: Array
    labels: tuple[str, ...]
