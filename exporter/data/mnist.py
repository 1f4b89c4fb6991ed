"""MNIST, downloaded once by Keras into its own cache."""

from __future__ import annotations

from exporter.data import Dataset, no_place
from exporter.frameworks.keras_download import download

LABELS = tuple("0123456789")


def load(where: str = "") -> Dataset:
    """60,000 images to train on and 10,000 held out."""
    no_place("mnist", where)
    return download("mnist", LABELS)
