"""``--samples``: a person's own inputs, which the verdict is then reached on.

npz:FILE     an array (n, ...) for each input, by its name, as the model takes it; for a model of one input also
             x_test, images or x. Pictures as uint8 (n, H, W[, C]) go through the model's preprocessing.
             labels, y_test or y: the class of each, (n,) integers; may be missing
folder:DIR   images in one folder a class, or in one folder alone without labels
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from exporter.data import as_labels
from exporter.samples import Samples
from runtimes import preprocess
from runtimes.base import Array
from runtimes.bundle import ModelSpec
from runtimes.errors import UsageError
from runtimes.images import read_image
from runtimes.inputs import as_input, check_counts, named, read_npz

MOST = 2000
MOST_BYTES = 256 << 20
SEED = 20260103
# How training code calls the pictures and the labels, what is held out first.
INPUTS = ("x_test", "images", "x")
LABELS = ("labels", "y_test", "y")
UNKNOWN = -1


def load(chosen: str, model: ModelSpec) -> Samples:
    """The samples that ``chosen`` names, as the model takes them: at most MOST, and MOST_BYTES, picked by a seed.

    Raises UsageError for what is missing, cannot be read, or does not fit the model.
    """
    kind, _, where = chosen.partition(":")
    if kind not in _KINDS or not where:
        raise UsageError(f"--samples {chosen} cannot be read: use npz:FILE or folder:DIR.")
    return _KINDS[kind](Path(where), model)


def _from_npz(path: Path, model: ModelSpec) -> Samples:
    arrays = read_npz(path)
    others = INPUTS if len(model.inputs) == 1 else ()
    inputs = {spec.name: named(path, arrays, spec, others) for spec in model.inputs}
    counts = {name: len(array) for name, array in inputs.items()}
    labels = np.full(min(counts.values()), UNKNOWN, np.int64)
    label = next((arrays[name] for name in LABELS if name in arrays), None)
    if label is not None:
        labels = as_labels(label, str(path))
        counts["labels"] = len(labels)
        _check_labels(path, labels, model)
    check_counts(path, counts)
    chosen, notes = _chosen(len(labels), model)
    made = {spec.name: as_input(path, inputs[spec.name][chosen], spec, model) for spec in model.inputs}
    return Samples(made, labels[chosen], notes=notes)


def _check_labels(path: Path, labels: Array, model: ModelSpec) -> None:
    classes = _class_count(model)
    if classes and len(labels) and not UNKNOWN <= labels.min() <= labels.max() < classes:
        raise UsageError(
            f"{path} has labels from {labels.min()} to {labels.max()}; the model's classes are 0 to {classes - 1}."
        )


def _from_folder(root: Path, model: ModelSpec) -> Samples:
    preprocess.image_input(model)
    if not root.is_dir():
        raise UsageError(f"{root} is no folder.")
    folders = _listed(root, files=False)
    if folders:
        classes = class_indices(root, [folder.name for folder in folders], model)
        found = [
            (file, label) for folder, label in zip(folders, classes, strict=True) for file in _listed(folder)
        ]
    else:
        found = [(file, UNKNOWN) for file in _listed(root)]
    if not found:
        raise UsageError(f"{root} has no images.")
    chosen, notes = _chosen(len(found), model)
    made, bad = [], []
    for path, _ in (found[place] for place in chosen):
        try:
            made.append(preprocess.model_input(read_image(path)[None], model))
        except UsageError as error:
            bad.append(str(error))
    if bad:
        more = f" {len(bad) - 5} more cannot be used either." if len(bad) > 5 else ""
        raise UsageError(" ".join(bad[:5]) + more)
    labels = np.array([found[place][1] for place in chosen], np.int64)
    return Samples({model.inputs[0].name: np.concatenate(made)}, labels, notes=notes)


def class_indices(root: Path, names: Sequence[str], model: ModelSpec) -> list[int]:
    """The class of each folder: by its name among the labels, else by its place when there is one for every class.

    Raises UsageError when neither holds.
    """
    if set(names) <= set(model.labels):
        return [model.labels.index(name) for name in names]
    classes = _class_count(model)
    if classes == len(names):
        return list(range(len(names)))
    unknown = sorted(set(names) - set(model.labels))
    labels = (
        f"are none of the {len(model.labels)} labels"
        if model.labels
        else "cannot be named: there are no --labels"
    )
    raise UsageError(
        f"{root} has {len(names)} class folders; {', '.join(unknown[:12])} {labels}, and the model has "
        f"{classes or 'no'} classes. Name the folders as the labels, or put the images into one folder."
    )


def _class_count(model: ModelSpec) -> int:
    first = model.outputs[0]
    return int(first.shape[1] or 0) if first.kind in ("logits", "probabilities") else 0


def _listed(folder: Path, files: bool = True) -> list[Path]:
    """What is in a folder, sorted by name, without what a file manager hides there."""
    hidden = (".", "Thumbs.db", "desktop.ini")
    return sorted(
        path
        for path in folder.iterdir()
        if not path.name.startswith(hidden) and (path.is_file() if files else path.is_dir())
    )


def _chosen(total: int, model: ModelSpec) -> tuple[Array, tuple[str, ...]]:
    """Which of ``total`` samples are kept, in their order, and a note when that is not all."""
    each = sum(
        int(np.prod([size or 1 for size in spec.shape[1:]])) * np.dtype(spec.dtype).itemsize
        for spec in model.inputs
    )
    keep = max(1, min(total, MOST, MOST_BYTES // max(each, 1)))
    if keep == total:
        return np.arange(total), ()
    chosen = np.sort(np.random.default_rng(SEED).choice(total, keep, replace=False))
    return chosen, (f"{keep} of {total} samples were taken, by a fixed seed",)


_KINDS = {"npz": _from_npz, "folder": _from_folder}
