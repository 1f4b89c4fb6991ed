"""The stage ``agreement``: on how many held-out samples does each pair of rows, of any bundle, name the same class?"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from runtimes.base import Array
from runtimes.bundle import find_bundles
from runtimes.files import read_npz
from runtimes.reference import REFERENCE, open_reference
from runtimes.rows import AGREEMENT, PREDICTIONS, SCHEMA, Agreement, save
from runtimes.verdict.parity import pairwise_top1


def agreement(folder: Path, out: Path | None = None) -> Agreement | None:
    """Compare what ``verify`` predicted in the bundle, or in the bundles, of ``folder``; save ``agreement.json``.

    Bundles are compared with each other when their held-out labels are the same, one by one; one with other data
    is left out. None when nothing was predicted.
    """
    predictions: dict[str, Array] = {}
    shared: Array | None = None
    for bundle in find_bundles(folder):
        path = bundle.folder / PREDICTIONS
        if not path.exists():
            continue
        labels = open_reference(bundle.folder / REFERENCE).heldout_labels
        if shared is not None and not np.array_equal(labels, shared):
            continue
        shared = labels
        predictions |= read_npz(path)
    if shared is None or not predictions:
        return None
    names, square = pairwise_top1(predictions)
    result = Agreement(SCHEMA, len(shared), names, square)
    save((out or folder) / AGREEMENT, result)
    return result
