"""Fashion-MNIST, downloaded once by Keras into its own cache."""

from __future__ import annotations

from exporter.data import Dataset, no_place
from exporter.frameworks.keras_download import download

LABELS = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def load(where: str = "") -> Dataset:
    """60,000 images to train on and 10,000 held out."""
    no_place("fashion-mnist", where)
    return download("fashion_mnist", LABELS)
