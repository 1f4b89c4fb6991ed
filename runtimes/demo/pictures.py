"""A bundle's real samples as pictures again, with what its source makes of them in float64."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from runtimes.base import Array
from runtimes.bundle import ModelSpec, TensorSpec
from runtimes.preprocess import apply, to_layout
from runtimes.reference import Reference
from runtimes.scores import as_shown

PICTURES = 10
# The longest side that a person can draw on as on paper.
DRAWABLE_SIDE = 64
# A background up to this grey is dark.
DARK = 64


@dataclass(frozen=True)
class Picture:
    """uint8 ``pixels`` (H, W, C), the class that the data name (None when unknown), and the first output ``y`` (flat, float64)."""

    pixels: Array
    label: int | None
    y: Array


def pictures(model: ModelSpec, reference: Reference) -> list[Picture]:
    """Up to ten of the bundle's real samples, one of each class first, in the order of the classes.

    There are none where its inputs were generated, and where no picture gives them back through the preprocessing.
    """
    spec, output = model.inputs[0], model.outputs[0]
    inputs, y64, labels = _real(reference, spec, output)
    if not len(inputs):
        return []
    images = to_layout(inputs, spec.layout, "NHWC")
    pixels = undone(images, model.preprocessing)
    if pixels is None:
        return []
    flat = y64.reshape(len(y64), -1)
    classifies = output.kind in ("logits", "probabilities")
    classes = (
        np.where(labels >= 0, labels, flat.argmax(axis=1)) if classifies else np.zeros(len(flat), np.int64)
    )
    return [
        Picture(pixels[i], int(labels[i]) if labels[i] >= 0 else None, as_shown(flat[i], output.kind))
        for i in _one_of_each(classes, PICTURES)
    ]


def undone(images: Array, operations: Sequence[dict[str, Any]]) -> Array | None:
    """uint8 pictures (n, H, W, C) that the operations on pixels (colour, scale, normalize) bring to ``images`` (n, H, W, C).

    None where there are no such pictures, as for inputs that never were any.
    """
    pixels = images.astype(np.float64)
    on_pixels = [one for one in operations if one["op"] in ("color", "scale", "normalize")]
    for operation in reversed(on_pixels):
        if operation["op"] == "normalize":
            pixels = pixels * np.asarray(operation["std"]) + np.asarray(operation["mean"])
        elif operation["op"] == "scale":
            pixels = pixels / operation["factor"]
        elif operation["mode"] == "BGR":
            pixels = pixels[..., ::-1]
    whole = np.rint(pixels).clip(0, 255).astype(np.uint8)
    if whole.shape[-1] not in (1, 3):
        return None
    again = apply(whole, on_pixels).astype(np.float64)
    return whole if np.allclose(again, images, rtol=1e-5, atol=1e-5) else None


def is_drawable(found: Sequence[Picture]) -> bool:
    """Whether these are what a person could draw: small, grey, light ink on dark ground."""
    if not found:
        return False
    pixels = np.stack([picture.pixels for picture in found])
    edge = np.concatenate([pixels[:, [0, -1]].ravel(), pixels[:, :, [0, -1]].ravel()])
    return pixels.shape[-1] == 1 and max(pixels.shape[1:3]) <= DRAWABLE_SIDE and bool(np.median(edge) <= DARK)


def as_png(pixels: Array) -> bytes:
    """uint8 (H, W, 1 or 3) as the bytes of a PNG."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(file, "PNG", optimize=True)
    return file.getvalue()


def _real(reference: Reference, spec: TensorSpec, output: TensorSpec) -> tuple[Array, Array, Array]:
    """Inputs, float64 outputs and labels: the held-out samples where there are some, else the real ones that are judged."""
    if len(reference.heldout_labels):
        return reference.heldout[spec.name], reference.heldout_y64[output.name], reference.heldout_labels
    real = np.flatnonzero(reference.roles == "real")
    return reference.inputs[spec.name][real], reference.y64[output.name][real], np.full(len(real), -1)


def _one_of_each(classes: Array, most: int) -> list[int]:
    """The first sample of each class, in the order of the classes, then the next of each, until there are ``most``."""
    seen: dict[int, int] = {}
    turns = []
    for i, kind in enumerate(classes.tolist()):
        turns.append((seen.get(kind, 0), kind, i))
        seen[kind] = seen.get(kind, 0) + 1
    return [i for _, _, i in sorted(turns)[:most]]
