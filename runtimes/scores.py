"""The scores of classes, as a person reads them."""

from __future__ import annotations

import numpy as np

from runtimes.base import Array
from runtimes.bundle import Kind


def as_shown(y: Array, kind: Kind) -> Array:
    """The output of one sample: logits as their softmax in float64, anything else as it is."""
    if kind != "logits":
        return y
    exact = np.exp(y.astype(np.float64) - y.max())
    shown: Array = exact / exact.sum()
    return shown
