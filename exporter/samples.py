"""``heldout.npz`` of a source folder: what the exports are judged on.

Either decoded images, which go through the model's preprocessing:

    images           (n, H, W, C) uint8, as the dataset has them       label(s) (n,) int64

or the model's inputs as they are, in the source's layout:

    input:<name>     (n, ...) of the input's dtype                     labels (n,) int64, -1 unknown
    generated        bool: nobody's data, but seeded noise
    closest:<name>   (k, ...) more of them, picked among many, as in Samples; may be missing
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from exporter.source_folder import HELDOUT, open_source
from runtimes import preprocess
from runtimes.base import Array
from runtimes.bundle import ModelSpec, TensorSpec
from runtimes.errors import UsageError
from runtimes.files import write_npz

GENERATED = 64
SEED = 20260102
# An integer input may index a small table: 0 and 1 are in every one.
MAX_INTEGER = 2


@dataclass(frozen=True)
class Samples:
    """Inputs by name, (n, ...) in the source's layout; labels (n,) int64, -1 unknown.

    ``closest`` are further inputs (k, ...), picked for small margins or large errors, so that they say
    nothing of a share; a reference keeps them all.
    """

    inputs: dict[str, Array]
    labels: Array
    generated: bool = False
    notes: tuple[str, ...] = ()
    closest: dict[str, Array] = field(default_factory=dict)


def read_samples(folder: Path) -> Samples:
    """The samples of a source folder, preprocessed. Raises UsageError when they cannot be read."""
    model = open_source(folder).model
    try:
        with np.load(folder / HELDOUT, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        labels = arrays["labels"]
        if "images" in arrays:
            spec = model.inputs[0]
            images = preprocess.apply(arrays["images"], model.preprocessing)
            return Samples({spec.name: preprocess.to_layout(images, "NHWC", spec.layout)}, labels)
        inputs = {spec.name: arrays[f"input:{spec.name}"] for spec in model.inputs}
        hard = {
            spec.name: arrays[f"closest:{spec.name}"]
            for spec in model.inputs
            if f"closest:{spec.name}" in arrays
        }
        return Samples(inputs, labels, bool(arrays["generated"]), closest=hard)
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"{folder / HELDOUT} cannot be read ({error}). Bring the source again.") from None


def write_samples(folder: Path, samples: Samples) -> None:
    """Write ``heldout.npz``."""
    arrays = {f"input:{name}": array for name, array in samples.inputs.items()}
    arrays |= {f"closest:{name}": array for name, array in samples.closest.items()}
    write_npz(
        folder / HELDOUT, {**arrays, "labels": samples.labels, "generated": np.array(samples.generated)}
    )


def generated(model: ModelSpec, ranges: Mapping[str, tuple[float, float]] | None = None) -> Samples:
    """Seeded inputs where the person brought none: random pictures through the preprocessing, noise for other inputs.

    Those that ``ranges`` names are stretched to fill their range, where no preprocessing says what they are.
    """
    generator = np.random.default_rng(SEED)
    inputs = {spec.name: _generate(generator, spec, model.preprocessing) for spec in model.inputs}
    if not model.preprocessing:
        inputs |= {name: _stretched(inputs[name], *range_) for name, range_ in (ranges or {}).items()}
    return Samples(inputs, np.full(GENERATED, -1, np.int64), generated=True)


def _stretched(array: Array, low: float, high: float) -> Array:
    """The numbers moved and scaled so that they go from ``low`` to ``high``."""
    smallest, width = float(array.min()), float(np.ptp(array))
    stretched: Array = low + (array.astype(np.float64) - smallest) * ((high - low) / max(width, 1e-30))
    return stretched.astype(array.dtype)


def _generate(
    generator: np.random.Generator, spec: TensorSpec, operations: Sequence[dict[str, object]]
) -> Array:
    shape = (GENERATED, *(size or 1 for size in spec.shape[1:]))
    if spec.kind == "image" and spec.dtype.startswith("float"):
        sizes = dict(zip(spec.layout, shape, strict=True))
        pixels = _pictures(generator, GENERATED, sizes["H"], sizes["W"], sizes["C"])
        arithmetic = [one for one in operations if one["op"] in ("scale", "normalize")]
        made = preprocess.apply(pixels, arithmetic if operations else [{"op": "scale", "factor": 1 / 255}])
        return np.asarray(preprocess.to_layout(made, "NHWC", spec.layout), spec.dtype)
    if spec.dtype.startswith("float"):
        noise: Array = generator.standard_normal(shape)
        return noise.astype(spec.dtype)
    numbers: Array = generator.integers(0, 256 if spec.kind == "image" else MAX_INTEGER, shape)
    return numbers.astype(spec.dtype)


def _pictures(generator: np.random.Generator, count: int, height: int, width: int, channels: int) -> Array:
    """uint8 (count, height, width, channels): noise on several scales, as pictures have structure on several."""
    total = np.zeros((count, height, width, channels))
    cells = 1
    while cells <= max(height, width):
        coarse = generator.standard_normal((count, cells, cells, channels))
        rows, columns = np.arange(height) * cells // height, np.arange(width) * cells // width
        total += coarse[:, rows][:, :, columns] / cells**0.5
        cells *= 2
    low, high = total.min(axis=(1, 2, 3), keepdims=True), total.max(axis=(1, 2, 3), keepdims=True)
    scaled: Array = np.rint((total - low) / np.maximum(high - low, 1e-9) * 255)
    return scaled.astype(np.uint8)
