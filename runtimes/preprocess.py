"""Preprocessing as data: a closed list of operations that the manifest names and that run with numpy and Pillow alone.

An image enters as uint8 (H, W, C), upright and as it was decoded: grey with C = 1, or RGB with C = 3
(``runtimes.images``). Operations, each a dict with ``op``, in this order:

    {"op": "color", "mode": "RGB"}      RGB, BGR or L; L is grey by ITU-R 601, grey becomes RGB with equal channels
    {"op": "resize", "height": h, "width": w, "filter": "bilinear"}
    {"op": "resize", "shortest": s, "filter": "bilinear"}
                                        the shorter side becomes s, the longer int(s * longer / shorter); the filters
                                        are Pillow's: nearest, box, bilinear, hamming, bicubic, lanczos
    {"op": "center_crop", "height": h, "width": w}
                                        from row (H - h) // 2 and column (W - w) // 2; black where the image ends
    {"op": "scale", "factor": f}        float32(x) * float32(f)
    {"op": "normalize", "mean": [..], "std": [..]}
                                        (x - mean) / std in float32, one number a channel, or one for all

The first three give uint8, the last two float32. A list without ``color`` takes the colours that the model's channels
call for. The same pixels come out everywhere: Pillow's resampling is integer arithmetic of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from runtimes.base import Array
from runtimes.bundle import ModelSpec, TensorSpec
from runtimes.errors import UsageError

Operation = Mapping[str, Any]

MODES = {"RGB": 3, "BGR": 3, "L": 1}
# A picture that is one pixel high would become thousands of times as wide as it should.
MAX_PIXELS = 1 << 26
FILTERS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")


def apply(images: Array, operations: Sequence[Operation]) -> Array:
    """Decoded images (n, H, W, C) through the operations, (n, H', W', C'). Raises UsageError for an unknown operation."""
    for operation in operations:
        name = operation.get("op")
        if name not in _OPERATIONS:
            raise UsageError(f"preprocessing names {name!r}; known are {', '.join(_OPERATIONS)}")
        images = _OPERATIONS[name](images, operation)
    return images


def model_input(images: Array, model: ModelSpec) -> Array:
    """Decoded images (n, H, W, C) as the model's one input takes them: its type, its layout, its sizes.

    Raises UsageError when the model takes no images, or when these do not end in its sizes.
    """
    spec = image_input(model)
    if not model.preprocessing and spec.dtype != "uint8":
        raise UsageError(
            f"nothing says how pixels become the input {spec.name} ({spec.dtype}). Build the bundle with --preprocess, "
            "for instance --preprocess imagenet; a .npy file is taken as it is."
        )
    made = apply(images, completed(model.preprocessing, spec))
    sizes = _sizes(spec)
    if made.shape[1:] != tuple(sizes[axis] for axis in "HWC"):
        raise UsageError(
            f"an image of {_hwc(images.shape[1:])} ends as {_hwc(made.shape[1:])}; the model takes "
            f"{_hwc([sizes[axis] for axis in 'HWC'])}. Its preprocessing is {_text(model.preprocessing)}."
        )
    return to_layout(made, "NHWC", spec.layout).astype(spec.dtype, copy=False)


def image_input(model: ModelSpec) -> TensorSpec:
    """The model's input, when it has one and that is an image. Raises UsageError."""
    if len(model.inputs) != 1 or model.inputs[0].kind != "image":
        takes = "; ".join(f"{spec.name}: {spec.dtype} {list(spec.shape)}" for spec in model.inputs)
        raise UsageError(f"{model.name} takes no single image, but {takes}. Give its arrays as .npy or .npz.")
    return model.inputs[0]


def completed(operations: Sequence[Operation], spec: TensorSpec) -> tuple[dict[str, Any], ...]:
    """The operations, beginning with the colours that the channels of ``spec`` call for when none are named."""
    named = tuple(dict(operation) for operation in operations)
    channels = _sizes(spec)["C"]
    if any(operation.get("op") == "color" for operation in named) or channels not in (1, 3):
        return named
    return ({"op": "color", "mode": "L" if channels == 1 else "RGB"}, *named)


def fault(operations: Sequence[Operation], spec: TensorSpec) -> str:
    """Why these operations do not end in the image that ``spec`` describes; "" when they do.

    Every image must: a list that fixes neither side does not.
    """
    wrong = fault_of_list(operations)
    if wrong:
        return wrong
    sizes = _sizes(spec)
    channels = next((MODES[one["mode"]] for one in operations if one["op"] == "color"), sizes["C"])
    if channels != sizes["C"]:
        return f"it ends in {channels} channel(s); the model takes {sizes['C']}"
    cut = [one for one in operations if one["op"] in ("resize", "center_crop")]
    fixed = [cut[-1].get("height"), cut[-1].get("width")] if cut else [None, None]
    wanted = [sizes["H"], sizes["W"]]
    if fixed != wanted:
        ends = f"ends in {fixed[0]}x{fixed[1]}" if None not in fixed else "does not fix height and width"
        return f"it {ends}; the model takes {wanted[0]}x{wanted[1]}"
    if not spec.dtype.startswith("float") and any(one["op"] in ("scale", "normalize") for one in operations):
        return f"it ends in float32; the model takes {spec.dtype}"
    for one in operations:
        for key in ("mean", "std"):
            if one["op"] == "normalize" and np.size(one[key]) not in (1, channels):
                return f"{key} has {np.size(one[key])} numbers for {channels} channel(s)"
    return ""


def fault_of_list(operations: Sequence[Operation]) -> str:
    """What is wrong with a list in itself: an unknown operation or field, a value, the order; "" when nothing is."""
    reached = 0
    for operation in operations:
        name = operation.get("op")
        if name not in tuple(_FIELDS):
            return f"there is no operation {name!r}; the operations are {', '.join(_FIELDS)}"
        given = set(operation) - {"op"}
        if given not in (set(fields) for fields in _FIELDS[name]):
            choices = " or ".join(", ".join(fields) for fields in _FIELDS[name])
            return f"{name} has {', '.join(sorted(given)) or 'no field'}; it needs {choices}"
        wrong = next((key for key in sorted(given) if not _VALID[key](operation[key])), None)
        if wrong:
            return f"{name} cannot have {wrong} {operation[wrong]!r}"
        place = list(_FIELDS).index(name)
        if place < reached:
            return f"{name} comes too late; the order is {', '.join(_FIELDS)}"
        reached = place
    return ""


def to_layout(array: Array, have: str, want: str) -> Array:
    """Permute axes by their letters; a layout that is empty on either side leaves the array as it is."""
    if not have or not want or have == want:
        return array
    if sorted(have) != sorted(want):
        raise UsageError(f"a tensor laid out {have} cannot be brought to {want}")
    return np.ascontiguousarray(array.transpose([have.index(letter) for letter in want]))


def _sizes(spec: TensorSpec) -> dict[str, int]:
    return {axis: int(size or 0) for axis, size in zip(spec.layout, spec.shape, strict=True)}


def _hwc(sizes: Sequence[int]) -> str:
    return f"{sizes[0]}x{sizes[1]} with {sizes[2]} channel(s)"


def _text(operations: Sequence[Operation]) -> str:
    return ", ".join(str(operation["op"]) for operation in operations) or "empty"


def _color(images: Array, operation: Operation) -> Array:
    from PIL import Image

    mode, have = operation["mode"], images.shape[-1]
    if mode == "L" and have == 3:
        return np.stack([np.asarray(Image.fromarray(image).convert("L")) for image in images])[..., None]
    if mode in ("RGB", "BGR") and have == 1:
        return np.repeat(images, 3, axis=-1)
    return images[..., ::-1] if mode == "BGR" else images


def _resize(images: Array, operation: Operation) -> Array:
    from PIL import Image

    height, width = images.shape[1:3]
    if "shortest" in operation:
        side, shorter = operation["shortest"], min(height, width)
        target = (int(side * height / shorter), int(side * width / shorter))
    else:
        target = (operation["height"], operation["width"])
    if target == (height, width):
        return images
    if target[0] * target[1] > MAX_PIXELS:
        raise UsageError(
            f"an image of {height}x{width} would be resized to {target[0]}x{target[1]}: too large"
        )
    how = Image.Resampling[operation["filter"].upper()]
    resized = [np.asarray(_picture(image).resize(target[::-1], how)).reshape(*target, -1) for image in images]
    return np.stack(resized)


def _picture(image: Array) -> Any:
    from PIL import Image

    return Image.fromarray(np.ascontiguousarray(image[..., 0] if image.shape[-1] == 1 else image))


def _center_crop(images: Array, operation: Operation) -> Array:
    pads, cuts = [(0, 0)], [slice(None)]
    for have, want in zip(images.shape[1:3], (operation["height"], operation["width"]), strict=True):
        start = (have - want) // 2
        pads.append((max(0, -start), max(0, start + want - have)))
        cuts.append(slice(max(0, start), max(0, start) + want))
    return np.pad(images, [*pads, (0, 0)])[tuple(cuts)]


def _scale(images: Array, operation: Operation) -> Array:
    return images.astype(np.float32) * np.float32(operation["factor"])


def _normalize(images: Array, operation: Operation) -> Array:
    mean, std = np.float32(operation["mean"]), np.float32(operation["std"])
    normalized: Array = (images.astype(np.float32) - mean) / std
    return normalized


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 1 << 16


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and bool(np.isfinite(value))


def _are_numbers(value: object) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(map(_is_number, value))


# Each operation in its place, with the fields that it may have.
_FIELDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "color": (("mode",),),
    "resize": (("height", "width", "filter"), ("shortest", "filter")),
    "center_crop": (("height", "width"),),
    "scale": (("factor",),),
    "normalize": (("mean", "std"),),
}
_VALID: dict[str, Callable[[Any], bool]] = {
    "mode": lambda value: value in tuple(MODES),
    "height": _is_size,
    "width": _is_size,
    "shortest": _is_size,
    "filter": lambda value: value in FILTERS,
    "factor": _is_number,
    "mean": lambda value: _is_number(value) or _are_numbers(value),
    "std": lambda value: (_is_number(value) or _are_numbers(value)) and 0 not in np.atleast_1d(value),
}
_OPERATIONS: dict[str, Callable[[Array, Operation], Array]] = {
    "color": _color,
    "resize": _resize,
    "center_crop": _center_crop,
    "scale": _scale,
    "normalize": _normalize,
}
