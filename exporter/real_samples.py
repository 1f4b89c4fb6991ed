"""``--samples``: a person's own inputs, which the verdict is then reached on.

npz:FILE     an array (n, ...) for each input, by its name, as the model takes it; for a model of one input also
             x_test, images or x, or a .npy of it. Pictures as uint8 (n, H, W[, C]) go through the model's preprocessing.
             labels, y_test or y: the class of each, (n,) integers; may be missing
folder:DIR   images in one folder a class, or in one folder alone without labels

Files are read a few samples at a time, so that a million take no more memory than a thousand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from exporter.data import as_labels
from exporter.samples import Samples
from runtimes import preprocess
from runtimes.array_files import ArrayFile, open_arrays
from runtimes.base import Array
from runtimes.bundle import ModelSpec, TensorSpec
from runtimes.errors import UsageError
from runtimes.images import read_image
from runtimes.inputs import as_input, check_counts, named

# Samples that are read at once, and the most that their arrays may take.
CHUNK = 1024
CHUNK_BYTES = 8 << 20
MOST = 2000
MOST_BYTES = 256 << 20
SEED = 20260103
# How training code calls the pictures and the labels, what is held out first.
INPUTS = ("x_test", "images", "x")
LABELS = ("labels", "y_test", "y")
UNKNOWN = -1


class Stream(Protocol):
    """A person's samples, one after another."""

    def __len__(self) -> int:
        """How many there are."""

    def chunks(self, wanted: Array | None = None) -> Iterator[Samples]:
        """All of them, or those at the sorted indices ``wanted``, in parts: as the model takes them, with their labels.

        Raises UsageError for those that cannot be read, or do not fit the model.
        """


def load(chosen: str, model: ModelSpec) -> Samples:
    """The samples that ``chosen`` names, as the model takes them: at most MOST, and MOST_BYTES, picked by a seed.

    Raises UsageError for what is missing, cannot be read, or does not fit the model.
    """
    stream = opened(chosen, model)
    wanted, notes = _chosen(len(stream), model)
    parts = list(stream.chunks(wanted))
    inputs = {spec.name: np.concatenate([part.inputs[spec.name] for part in parts]) for spec in model.inputs}
    return Samples(inputs, np.concatenate([part.labels for part in parts]), notes=notes)


def opened(chosen: str, model: ModelSpec) -> Stream:
    """The samples that ``chosen`` names, none of them read yet. Raises UsageError."""
    kind, _, where = chosen.partition(":")
    if kind not in _KINDS or not where:
        raise UsageError(f"--samples {chosen} cannot be read: use npz:FILE or folder:DIR.")
    return _KINDS[kind](Path(where), model)


@dataclass(frozen=True)
class _Arrays:
    """Samples in the arrays of a file; ``labels`` is None where it has none."""

    path: Path
    model: ModelSpec
    inputs: Mapping[str, ArrayFile]
    labels: ArrayFile | None

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def chunks(self, wanted: Array | None = None) -> Iterator[Samples]:
        rows = _chunk_rows(self.model)
        streams = [self.inputs[spec.name].chunks(rows) for spec in self.model.inputs]
        classes = self.labels.chunks(rows) if self.labels else self._unknown(rows)
        at = 0
        for label, *arrays in zip(classes, *streams, strict=True):
            keep: slice | Array = slice(None)
            if wanted is not None:
                first, last = np.searchsorted(wanted, [at, at + len(label)])
                keep = wanted[first:last] - at
            at += len(label)
            if len(label[keep]):
                yield self._samples([array[keep] for array in arrays], label[keep])

    def _unknown(self, rows: int) -> Iterator[Array]:
        for at in range(0, len(self), rows):
            yield np.full(min(rows, len(self) - at), UNKNOWN, np.int64)

    def _samples(self, arrays: Sequence[Array], classes: Array) -> Samples:
        pairs = zip(self.model.inputs, arrays, strict=True)
        made = {spec.name: as_input(self.path, array, spec, self.model) for spec, array in pairs}
        labels = as_labels(classes, str(self.path))
        _check_labels(self.path, labels, self.model)
        return Samples(made, labels)


def _from_npz(path: Path, model: ModelSpec) -> _Arrays:
    arrays = open_arrays(path)
    others = ("", *INPUTS) if len(model.inputs) == 1 else ()
    inputs = {spec.name: named(path, arrays, spec, others) for spec in model.inputs}
    counts = {name: len(array) for name, array in inputs.items()}
    labels = next((arrays[name] for name in LABELS if name in arrays), None)
    if labels is not None:
        as_labels(np.empty((0, *labels.shape[1:]) if labels.ndim else (), labels.dtype), str(path))
        counts["labels"] = len(labels)
    check_counts(path, counts)
    return _Arrays(path, model, inputs, labels)


def _check_labels(path: Path, labels: Array, model: ModelSpec) -> None:
    classes = _class_count(model)
    if classes and len(labels) and not UNKNOWN <= labels.min() <= labels.max() < classes:
        raise UsageError(
            f"{path} has labels from {labels.min()} to {labels.max()}; the model's classes are 0 to {classes - 1}."
        )


@dataclass(frozen=True)
class _Images:
    """Samples in image files, each with its class."""

    files: Sequence[tuple[Path, int]]
    model: ModelSpec

    def __len__(self) -> int:
        return len(self.files)

    def chunks(self, wanted: Array | None = None) -> Iterator[Samples]:
        every = np.arange(len(self)) if wanted is None else wanted
        rows = _chunk_rows(self.model)
        bad: list[str] = []
        for at in range(0, len(every), rows):
            made, labels = [], []
            for path, label in (self.files[place] for place in every[at : at + rows]):
                try:
                    made.append(preprocess.model_input(read_image(path)[None], self.model))
                    labels.append(label)
                except UsageError as error:
                    bad.append(str(error))
            if made and not bad:
                inputs = {self.model.inputs[0].name: np.concatenate(made)}
                yield Samples(inputs, np.array(labels, np.int64))
        if bad:
            more = f" {len(bad) - 5} more cannot be used either." if len(bad) > 5 else ""
            raise UsageError(" ".join(bad[:5]) + more)


def _from_folder(root: Path, model: ModelSpec) -> _Images:
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
    return _Images(found, model)


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


def _chunk_rows(model: ModelSpec) -> int:
    return max(1, min(CHUNK, CHUNK_BYTES // max(_sample_bytes(model.inputs), 1)))


def _sample_bytes(inputs: Sequence[TensorSpec]) -> int:
    sizes = (
        np.prod([size or 1 for size in spec.shape[1:]]) * np.dtype(spec.dtype).itemsize for spec in inputs
    )
    return int(sum(sizes))


def _chosen(total: int, model: ModelSpec) -> tuple[Array, tuple[str, ...]]:
    """Which of ``total`` samples are kept, in their order, and a note when that is not all."""
    keep = max(1, min(total, MOST, MOST_BYTES // max(_sample_bytes(model.inputs), 1)))
    if keep == total:
        return np.arange(total), ()
    chosen = np.sort(np.random.default_rng(SEED).choice(total, keep, replace=False))
    return chosen, (f"{keep} of {total} samples were taken, by a fixed seed",)


_KINDS: dict[str, Callable[[Path, ModelSpec], Stream]] = {"npz": _from_npz, "folder": _from_folder}
