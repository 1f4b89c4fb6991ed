"""What the tests of Hugging Face folders run in a torch child."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from exporter.frameworks import huggingface_pixels
from exporter.sources import huggingface
from runtimes.reference import Variant


def operations(name: str, values: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Save an image processor of transformers; our operations for it."""
    import transformers

    getattr(transformers, f"{name}ImageProcessorPil")(**values).save_pretrained(folder)
    return read_operations(folder)


def read_operations(folder: Path) -> list[dict[str, Any]]:
    """Our operations for the ``preprocessor_config.json`` of a folder."""
    return list(huggingface_pixels.operations(huggingface._image_processor(folder), str(folder)))


def pixels(folder: Path, image: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """What transformers' own image processor makes of an image (H, W, C) uint8: float32 (1, C, H, W)."""
    from PIL import Image
    from transformers import AutoImageProcessor

    processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True, backend="pil")
    return processor(Image.fromarray(image), return_tensors="np")["pixel_values"]


def label(folder: Path, image: np.ndarray[Any, Any]) -> str:
    """The class that transformers alone finds: its own processor, model and labels."""
    import torch
    from transformers import AutoModelForImageClassification

    model = AutoModelForImageClassification.from_pretrained(folder, local_files_only=True).eval()
    with torch.inference_mode():
        logits = model(torch.from_numpy(pixels(folder, image))).logits
    return str(model.config.id2label[int(logits.argmax())])


def in_double(folder: Path, images: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    """Float64 logits of a source folder's ViT: our reference's, and those by PyTorch's own attention kernel."""
    import torch
    from transformers import AutoModelForImageClassification

    ours = huggingface.open_session(folder, Variant("float64")).run({"pixel_values": images})["logits"]
    model = AutoModelForImageClassification.from_pretrained(
        folder / huggingface.WEIGHTS, local_files_only=True, attn_implementation="sdpa"
    )
    with torch.inference_mode():
        other = model.eval().double()(torch.from_numpy(images).double()).logits
    return [ours, other.numpy()]


def save_in_parts(folder: Path, out: Path) -> None:
    """The same model, its weights in several files, as large ones come."""
    from transformers import AutoModelForImageClassification

    model = AutoModelForImageClassification.from_pretrained(folder, local_files_only=True)
    model.half().save_pretrained(out, max_shard_size="10KB")


def save_headless(folder: Path) -> None:
    """A ViT without a classifier: an encoder, as it is used for retrieval."""
    from transformers import ViTConfig, ViTModel

    ViTModel(
        ViTConfig(
            hidden_size=8,
            num_hidden_layers=1,
            num_attention_heads=1,
            intermediate_size=8,
            image_size=16,
            patch_size=8,
        )
    ).save_pretrained(folder)
