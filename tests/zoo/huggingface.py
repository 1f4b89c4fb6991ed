"""Small networks of the families that transformers has for image classification, saved as their users save them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.zoo.child import draw_torch, inputs, measure_torch, seed
from tests.zoo.registry import IMAGE, Model

SIDE = IMAGE[1]
LABELS = ("cat", "dog", "owl", "newt", "eel")


@dataclass(frozen=True)
class Family:
    """``<model>Config`` with these arguments, and ``<processor>ImageProcessorPil`` with those."""

    model: str
    processor: str
    config: dict[str, Any]
    pixels: dict[str, Any] = field(default_factory=dict)


_TRANSFORMER = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "patch_size": 8,
}
_SQUARE = {"size": {"height": SIDE, "width": SIDE}}
_CUT = {"size": {"shortest_edge": 36}, "crop_size": {"height": SIDE, "width": SIDE}}
_CONVNEXT = {"hidden_sizes": [8, 12, 16, 24], "depths": [1, 1, 1, 1]}
_SWIN = {"patch_size": 2, "embed_dim": 8, "depths": [2, 2], "num_heads": [2, 2], "window_size": 4}

FAMILIES = {
    "hf_vit": Family("ViT", "ViT", _TRANSFORMER, _SQUARE),
    "hf_deit": Family("DeiT", "DeiT", _TRANSFORMER, {**_CUT, "size": {"height": 36, "width": 36}}),
    "hf_beit": Family("Beit", "Beit", {**_TRANSFORMER, "use_relative_position_bias": True}, _SQUARE),
    "hf_swin": Family("Swin", "ViT", _SWIN, _SQUARE),
    "hf_resnet": Family(
        "ResNet",
        "ConvNext",
        {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 2], "layer_type": "basic"},
        {"size": {"shortest_edge": SIDE}},
    ),
    "hf_convnext": Family("ConvNext", "ConvNext", _CONVNEXT, {"size": {"shortest_edge": SIDE}}),
    "hf_convnext_v2": Family("ConvNextV2", "ConvNext", _CONVNEXT, {"size": {"shortest_edge": SIDE}}),
    "hf_mobilenet_v1": Family("MobileNetV1", "MobileNetV1", {"depth_multiplier": 0.25}, _CUT),
    "hf_mobilenet_v2": Family("MobileNetV2", "MobileNetV2", {"depth_multiplier": 0.25, "min_depth": 8}, _CUT),
    "hf_efficientnet": Family(
        "EfficientNet",
        "EfficientNet",
        {"width_coefficient": 0.25, "depth_coefficient": 0.2, "depth_divisor": 4, "hidden_dim": 320},
        {**_SQUARE, "rescale_factor": 1 / 127.5, "rescale_offset": True},
    ),
}


def make(model: Model, folder: Path) -> None:
    """Write the folder of a family: its weights drawn by a seed, its configuration with labels, its image processor."""
    import torch
    import transformers

    family = FAMILIES[model.name]
    generator = torch.Generator().manual_seed(seed(model))
    by_index = dict(enumerate(LABELS))
    config = getattr(transformers, f"{family.model}Config")(
        id2label=by_index,
        label2id={label: k for k, label in by_index.items()},
        image_size=SIDE,
        **family.config,
    )
    network = getattr(transformers, f"{family.model}ForImageClassification")(config)
    with torch.no_grad():
        draw_torch(network, generator)
        measure_torch(network, torch.from_numpy(inputs(model)), generator)
    network.save_pretrained(folder)
    getattr(transformers, f"{family.processor}ImageProcessorPil")(**family.pixels).save_pretrained(folder)
