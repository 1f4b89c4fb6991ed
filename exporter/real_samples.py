"""``--samples``: a person's own inputs, which the verdict is then reached on.

npz:FILE     an array (n, ...) for each input, by its name, as the model takes it; for a model of one input also
             x_test, images or x. Pictures as uint8 (n, H, W[, C]) go through the model's preprocessing.
             labels, y_test or y: the class of each, (n,) integers; may be missing
folder:DIR   images in one folder a class, or in one folder alone without labels
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from exporter.data import as_labels
from exporter.samples import Samples
from runtimes import preprocess
from runtimes.base import Array
from runtimes.bundle import ModelSpec, TensorSpec
from runtimes.errors import UsageError
from runtimes.images import read_image

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
    samples = _KINDS[kind](Path(where), model)
    for name, array in samples.inputs.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise UsageError(f"{where}: input {name} holds numbers that are not finite.")
    return samples


def _from_npz(path: Path, model: ModelSpec) -> Samples:
    arrays = _read(path)
    inputs = {spec.name: _find(path, arrays, spec, len(model.inputs) == 1) for spec in model.inputs}
    label = next((arrays[name] for name in LABELS if name in arrays), None)
    counts = {name: len(array) for name, array in inputs.items()}
    labels = np.full(min(counts.values()), UNKNOWN, np.int64)
    if label is not None:
        labels = as_labels(label, str(path))
        counts["labels"] = len(labels)
        _check_labels(path, labels, model)
    if len(set(counts.values())) > 1 or 0 in counts.values():
        text = ", ".join(f"{count} of {name}" for name, count in counts.items())
        raise UsageError(f"{path} must hold as many of each, and some: it has {text}.")
    chosen, notes = _chosen(len(labels), model)
    return Samples(
        {spec.name: _as_input(path, inputs[spec.name][chosen], spec, model) for spec in model.inputs},
        labels[chosen],
        notes=notes,
    )


def _read(path: Path) -> dict[str, Array]:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist.") from None
    except (
        OSError,
        ValueError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
        AttributeError,
        TypeError,
    ) as error:
        raise UsageError(f"{path} cannot be read as .npz: {error}") from None


def _find(path: Path, arrays: Mapping[str, Array], spec: TensorSpec, single: bool) -> Array:
    names = (spec.name, *INPUTS) if single else (spec.name,)
    found = next((arrays[name] for name in names if name in arrays), None)
    if found is None or not found.ndim:
        raise UsageError(
            f"{path} holds {', '.join(arrays) or 'nothing'}; input {spec.name} needs an array called "
            f"{' or '.join(names)}."
        )
    return found


def _as_input(path: Path, array: Array, spec: TensorSpec, model: ModelSpec) -> Array:
    """The array as the model takes it, of its own type and sizes, or pictures through the preprocessing."""
    if array.dtype == np.uint8 and spec.kind == "image" and spec.dtype != "uint8":
        images = array[..., None] if array.ndim == 3 else array
        if images.ndim != 4 or images.shape[-1] not in (1, 3):
            raise UsageError(
                f"{path}: uint8 pictures are (n, H, W) or (n, H, W, C); these are {array.shape}."
            )
        return preprocess.model_input(images, model)
    if array.shape[1:] != spec.shape[1:]:
        raise UsageError(
            f"{path}: samples for input {spec.name} have shape {list(array.shape[1:])}; the model takes "
            f"{list(spec.shape[1:])} {spec.layout[1:]}".rstrip()
            + "."
        )
    if not np.can_cast(array.dtype, spec.dtype, "same_kind"):
        raise UsageError(
            f"{path}: samples for input {spec.name} are {array.dtype}; the model takes {spec.dtype}."
        )
    return array.astype(spec.dtype)


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
