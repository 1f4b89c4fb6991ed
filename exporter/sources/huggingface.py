"""A Hugging Face folder: ``config.json`` and ``.safetensors`` of an image classifier that transformers knows.

transformers builds the network from its own code; code that a folder brings is never run, and nothing is downloaded.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from exporter.frameworks import torch_model, torch_weights
from exporter.frameworks.huggingface_pixels import operations
from exporter.source_folder import open_source
from exporter.source_kind import Brought, Given, missing
from runtimes.base import Session
from runtimes.bundle import TensorSpec
from runtimes.errors import NotAModelError
from runtimes.files import copy
from runtimes.machine import versions_of
from runtimes.reference import Variant

FRAMEWORK = "torch"
PROCESS = "torch"
OPTIONS: tuple[str, ...] = ()
UNREACHABLE: dict[str, str] = {}

WEIGHTS = "model"
CONFIG = "config.json"
PIXELS = "preprocessor_config.json"


def check() -> str | None:
    """None, or how to get transformers."""
    return missing("hf", "torch", "transformers", "safetensors")


def recognises(given: Given) -> bool:
    """Whether it is a folder whose ``config.json`` names a model of transformers."""
    try:
        content = json.loads((given.path / CONFIG).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and "model_type" in content


def bring(given: Given, folder: Path) -> Brought:
    """Keep the configuration and the weights. Labels, preprocessing and the size of the input stand in them."""
    kept = folder / WEIGHTS
    _keep(given.path, kept)
    model, notes = read(kept)
    config = model.model.config
    if given.preprocessing is None and (kept / PIXELS).exists():
        given = replace(given, preprocessing=operations(_image_processor(kept), given.source))
    if not given.labels:
        given = replace(given, labels=labels(config.id2label))
    if not given.output_kind:
        several = config.problem_type == "multi_label_classification"
        given = replace(given, output_kind="tensor" if several else "logits")
    found = (_input(given, config.to_dict()),)
    return Brought(
        weights=WEIGHTS,
        model=torch_model.model_spec(model, given, found, ["logits"]),
        parameters=torch_model.parameters(model),
        versions=versions_of("torch", "transformers"),
        notes=notes,
    )


def load(folder: Path) -> Any:
    """The network of a source folder, from pixel values to logits."""
    return read(folder / open_source(folder).weights)[0]


def open_session(folder: Path, variant: Variant) -> Session:
    """The network in the variant's precision."""
    return torch_model.TorchSession(folder, variant)


def read(folder: Path) -> tuple[Any, tuple[str, ...]]:
    """``(module, notes)``: pixel values to logits, in float32 and evaluation mode.

    Raises NotAModelError when transformers cannot build it, or when the weights lack a part of it.
    """
    import torch
    from transformers import AutoModelForImageClassification

    try:
        model, about = AutoModelForImageClassification.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.float32,
            attn_implementation="eager",
            output_loading_info=True,
        )
    except Exception as error:
        raise NotAModelError(
            f"transformers cannot load an image classifier from {folder}: {_first_line(error)}"
        ) from error
    absent = sorted(key for key in about["missing_keys"] if not key.endswith(torch_weights.UNREAD))
    if absent:
        names = ", ".join(absent[:12])
        raise NotAModelError(
            f"the weights in {folder} lack {names}: {type(model).__name__} would start with random numbers there."
        )

    class Classifier(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, pixel_values: Any) -> Any:
            return self.model(pixel_values=pixel_values).logits

    surplus = ", ".join(sorted(about["unexpected_keys"])[:12])
    return Classifier().eval(), (f"not used of the weights: {surplus}",) if surplus else ()


def labels(id2label: Mapping[Any, str] | None) -> tuple[str, ...]:
    """The names of the classes in their order; none when they are the LABEL_0, LABEL_1... that transformers fills in."""
    by_index = {int(index): str(name) for index, name in (id2label or {}).items()}
    if sorted(by_index) != list(range(len(by_index))):
        return ()
    names = tuple(by_index[index] for index in range(len(by_index)))
    return () if all(name == f"LABEL_{index}" for index, name in enumerate(names)) else names


def _input(given: Given, config: Mapping[str, Any]) -> TensorSpec:
    """The size that the person said, else that in which the preprocessing ends, else the configuration's."""
    channels = int(config.get("num_channels") or 3)
    height = width = batch = None
    if given.inputs:
        batch = given.inputs[0].shape[0]
    else:
        cut = [one for one in given.preprocessing or () if one["op"] in ("resize", "center_crop")]
        size = config.get("image_size") or (None, None)
        height, width = size if isinstance(size, (list, tuple)) else (size, size)
        if cut and "height" in cut[-1]:
            height, width = cut[-1]["height"], cut[-1]["width"]
    return TensorSpec("pixel_values", "float32", (batch, channels, height, width), "NCHW")


def _image_processor(folder: Path) -> dict[str, Any]:
    """What ``preprocessor_config.json`` says, completed by the defaults of the class that it names."""
    from transformers import AutoImageProcessor as Processor

    try:
        processor: Any = Processor.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, backend="pil"
        )
    except Exception as error:
        raise NotAModelError(f"transformers cannot read {folder / PIXELS}: {_first_line(error)}") from error
    values: dict[str, Any] = processor.to_dict()
    return values


def _keep(given: Path, kept: Path) -> None:
    """Copy what the network needs: links, as a download cache has them, become files."""
    files = [
        given / CONFIG,
        given / PIXELS,
        *given.glob("*.safetensors"),
        *given.glob("*.safetensors.index.json"),
    ]
    if not any(path.suffix == ".safetensors" for path in files):
        raise NotAModelError(
            f"{given} has no .safetensors file. Weights in another form can run code when they are read; "
            "save the model again with model.save_pretrained(...)."
        )
    shutil.rmtree(kept, ignore_errors=True)
    for path in files:
        if path.exists():
            copy(path, kept / path.name)


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
