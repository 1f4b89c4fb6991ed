"""A person's files as a model's inputs: images through its preprocessing, arrays as they are. Layouts are the source's."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from runtimes.base import Array
from runtimes.bundle import ModelSpec, TensorSpec
from runtimes.errors import UsageError
from runtimes.images import read_image
from runtimes.preprocess import model_input


def read_inputs(path: Path, model: ModelSpec) -> dict[str, Array]:
    """The samples in a file by input name, each (n, ...): of an image, a ``.npy``, or a ``.npz`` with the inputs' names.

    An array of one sample may lack the batch axis. Raises UsageError for a file that cannot be read or does not fit.
    """
    if path.suffix not in (".npy", ".npz"):
        return {spec.name: model_input(read_image(path)[None], model) for spec in model.inputs}
    if path.suffix == ".npz":
        arrays = read_npz(path)
    elif len(model.inputs) == 1:
        arrays = {model.inputs[0].name: read_npy(path)}
    else:
        names = ", ".join(spec.name for spec in model.inputs)
        raise UsageError(f"{path} is one array; {model.name} has the inputs {names}: give them in a .npz.")
    found = {
        spec.name: as_input(path, _batched(named(path, arrays, spec), spec), spec, model)
        for spec in model.inputs
    }
    check_counts(path, {name: len(array) for name, array in found.items()})
    return found


def as_input(path: Path, array: Array, spec: TensorSpec, model: ModelSpec) -> Array:
    """``array`` (n, ...) as the input ``spec``: of its type and sizes already, or uint8 pictures to be preprocessed.

    Raises UsageError, with both, when it is neither. Numbers must be finite.
    """
    if array.dtype == np.uint8 and spec.kind == "image" and spec.dtype != "uint8":
        images = array[..., None] if array.ndim == 3 else array
        if images.ndim != 4 or images.shape[-1] not in (1, 3):
            raise UsageError(
                f"{path}: uint8 pictures are (n, H, W) or (n, H, W, C); these are {array.shape}."
            )
        return model_input(images, model)
    if array.shape[1:] != spec.shape[1:]:
        axes = f" ({spec.layout[1:]})" if spec.layout else ""
        raise UsageError(
            f"{path}: a sample for input {spec.name} has shape {list(array.shape[1:])}; the model takes "
            f"{list(spec.shape[1:])}{axes}."
        )
    if not np.can_cast(array.dtype, spec.dtype, "same_kind"):
        raise UsageError(
            f"{path}: samples for input {spec.name} are {array.dtype}; the model takes {spec.dtype}."
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise UsageError(f"{path}: input {spec.name} holds numbers that are not finite.")
    return array.astype(spec.dtype)


class _HasAxes(Protocol):
    @property
    def ndim(self) -> int: ...


A = TypeVar("A", bound=_HasAxes)


def named(path: Path, arrays: Mapping[str, A], spec: TensorSpec, others: Sequence[str] = ()) -> A:
    """The array of an input: by its name, else by the first of ``others`` that is there. Raises UsageError."""
    names = (spec.name, *others)
    found = next((arrays[name] for name in names if name in arrays), None)
    if found is None or not found.ndim:
        raise UsageError(
            f"{path} holds {', '.join(arrays) or 'nothing'}; input {spec.name} needs an array called "
            f"{' or '.join(filter(None, names))}."
        )
    return found


def check_counts(path: Path, counts: Mapping[str, int]) -> None:
    """Raise UsageError unless there are as many samples of each, and some."""
    if len(set(counts.values())) > 1 or 0 in counts.values():
        text = ", ".join(f"{count} of {name}" for name, count in counts.items())
        raise UsageError(f"{path} must hold as many of each, and some: it has {text}.")


def read_npz(path: Path) -> dict[str, Array]:
    """The arrays of a ``.npz``, without unpickling anything. Raises UsageError."""
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


def read_npy(path: Path) -> Array:
    """The array of a ``.npy``, without unpickling anything. Raises UsageError."""
    try:
        found = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist.") from None
    except (OSError, ValueError, EOFError) as error:
        raise UsageError(f"{path} cannot be read as .npy: {error}") from None
    if not isinstance(found, np.ndarray):
        raise UsageError(f"{path} is a .npz by its content; rename it.")
    return found


def _batched(array: Array, spec: TensorSpec) -> Array:
    """With a batch axis, where one sample came without: a picture, or an array of the input's sizes."""
    one = array.shape == spec.shape[1:]
    if spec.kind == "image" and array.dtype == np.uint8:
        one = one or array.ndim == 2 or (array.ndim == 3 and array.shape[-1] in (1, 3))
    return array[None] if one else array
