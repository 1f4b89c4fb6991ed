"""``preprocessor_config.json`` in the operations of ``runtimes.preprocess``. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runtimes.errors import UsageError

# The image processors of transformers whose steps are these, and no others: resize, crop, rescale, normalize.
KNOWN = (
    "BeitImageProcessor",
    "BitImageProcessor",
    "CLIPImageProcessor",
    "ConvNextImageProcessor",
    "DeiTImageProcessor",
    "EfficientNetImageProcessor",
    "MobileNetV1ImageProcessor",
    "MobileNetV2ImageProcessor",
    "MobileViTImageProcessor",
    "SiglipImageProcessor",
    "ViTImageProcessor",
)
# Switches that are read below, or that concern segmentation maps alone.
SWITCHES = (
    "do_resize",
    "do_center_crop",
    "do_rescale",
    "do_normalize",
    "do_convert_rgb",
    "do_flip_channel_order",
    "do_reduce_labels",
)
FILTERS = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")  # by Pillow's numbers
# ConvNeXt crops below this side, and stretches the whole image from it on.
CONVNEXT_WHOLE = 384


def operations(values: Mapping[str, Any], where: str) -> tuple[dict[str, Any], ...]:
    """The operations of an image processor's ``to_dict()``. Raises UsageError for a step that has none."""
    name = str(values.get("image_processor_type", "")).removesuffix("Pil").removesuffix("Fast")
    if name not in KNOWN:
        raise UsageError(
            f"{where}: the steps of {name or 'its image processor'} are not known here; give them by --preprocess. "
            f"Known are: {', '.join(KNOWN)}."
        )
    unread = [key for key, on in values.items() if key.startswith("do_") and on and key not in SWITCHES]
    if unread:
        raise UsageError(
            f"{where}: its image processor asks for {', '.join(unread)}, for which there is no operation. "
            "Give the preprocessing by --preprocess."
        )
    return tuple(_operations(name, values, where))


def _operations(name: str, values: Mapping[str, Any], where: str) -> Iterator[dict[str, Any]]:
    if values.get("do_flip_channel_order"):
        yield {"op": "color", "mode": "BGR"}
    if values.get("do_resize"):
        yield from _resize(name, values, where)
    if values.get("do_center_crop"):
        yield {"op": "center_crop", **_sides(values["crop_size"], where)}
    if values.get("do_rescale"):
        yield {"op": "scale", "factor": float(values["rescale_factor"])}
        if values.get("rescale_offset"):
            yield {"op": "normalize", "mean": 1.0, "std": 1.0}
    if values.get("do_normalize"):
        yield {"op": "normalize", "mean": list(values["image_mean"]), "std": list(values["image_std"])}
    if values.get("include_top"):
        yield {"op": "normalize", "mean": 0.0, "std": list(values["image_std"])}


def _resize(name: str, values: Mapping[str, Any], where: str) -> Iterator[dict[str, Any]]:
    size = _given(values["size"])
    how = {"filter": FILTERS[int(values["resample"])]}
    if set(size) != {"shortest_edge"}:
        yield {"op": "resize", **_sides(size, where), **how}
        return
    side = int(size["shortest_edge"])
    if name != "ConvNextImageProcessor":
        yield {"op": "resize", "shortest": side, **how}
    elif side < CONVNEXT_WHOLE:
        yield {"op": "resize", "shortest": int(side / float(values["crop_pct"])), **how}
        yield {"op": "center_crop", "height": side, "width": side}
    else:
        yield {"op": "resize", "height": side, "width": side, **how}


def _sides(size: Mapping[str, Any], where: str) -> dict[str, int]:
    given = _given(size)
    if set(given) != {"height", "width"}:
        raise UsageError(
            f"{where}: its image processor has the size {given}; known are height and width, or shortest_edge. "
            "Give the preprocessing by --preprocess."
        )
    return {"height": int(given["height"]), "width": int(given["width"])}


def _given(size: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in dict(size).items() if value is not None}
