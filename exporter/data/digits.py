"""scikit-learn's handwritten digits: 1797 real ones, 8x8, inside the package. Nothing is downloaded."""

from __future__ import annotations

import numpy as np

from exporter.data import Dataset, no_place, split
from runtimes.errors import UnavailableError


def load(where: str = "") -> Dataset:
    """The digits as MNIST shows them: 20x20 in the middle of 28x28."""
    no_place("digits", where)
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError:
        raise UnavailableError(
            "scikit-learn, which holds the digits, is missing: pip install 'fwexport[torch]' or [tensorflow]"
        ) from None
    from PIL import Image

    found = load_digits()
    images = np.zeros((len(found.images), 28, 28, 1), np.uint8)
    for target, image in zip(images, found.images, strict=True):
        grey = Image.fromarray(np.rint(image * (255 / 16)).astype(np.uint8))
        target[4:24, 4:24, 0] = np.asarray(grey.resize((20, 20), Image.Resampling.BICUBIC))
    return split("digits", images, found.target.astype(np.int64), tuple("0123456789"))
