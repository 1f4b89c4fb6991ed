"""What a training run is told, and what both frameworks write when it is over."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from exporter.data import AS_IMAGE, Dataset
from exporter.source_folder import HELDOUT, SCHEMA, Epoch, History, SourceFile, save_history, save_source
from runtimes.bundle import Kind, ModelSpec, TensorSpec
from runtimes.errors import UsageError
from runtimes.files import writing_to

# Enough held-out images for an accuracy with an interval of a percent, and a folder of a few megabytes.
KEPT_HELDOUT = 2000

# The kind of source that each framework's trained model is.
_KINDS = {"torch": "torch_code", "keras": "keras_file"}

_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


@dataclass(frozen=True)
class TrainOptions:
    """``device`` is auto, cpu or cuda[:i]; ``amp`` trains in mixed precision on bfloat16.

    Raises UsageError for a value that cannot be trained with.
    """

    device: str = "auto"
    epochs: int = 5
    batch_size: int = 32
    seed: int = 0
    amp: bool = False

    def __post_init__(self) -> None:
        if not _DEVICE.fullmatch(self.device):
            raise UsageError(
                f"there is no device {self.device!r} to train on. Use auto, cpu, cuda or cuda:<i>."
            )
        if self.epochs < 1 or self.batch_size < 1:
            raise UsageError(
                f"{self.epochs} epochs with batches of {self.batch_size}: both must be 1 or more."
            )
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"the seed {self.seed} is not between 0 and {2**32 - 1}.")


@dataclass(frozen=True)
class Trained:
    """What a framework's loop gives back. ``seconds`` in an Epoch are those of the training alone."""

    framework: Literal["torch", "keras"]
    backend: str
    device: str
    weights: str
    code: str
    arguments: dict[str, Any]
    versions: dict[str, str]
    parameters: int
    epochs: Sequence[Epoch]
    samples_per_epoch: int


def model_spec(data: Dataset, layout: str, output: str, kind: Kind) -> ModelSpec:
    """The shipped CNN's tensors, in the framework's own layout."""
    sizes = {"N": None, "C": 1, "H": 28, "W": 28}
    image = TensorSpec("image", "float32", tuple(sizes[axis] for axis in layout), layout, "image")
    scores = TensorSpec(output, "float32", (None, len(data.labels)), "NC", kind)
    preprocessing = (*AS_IMAGE, {"op": "scale", "factor": 1 / 255})
    return ModelSpec("image_classifier", (image,), (scores,), data.labels, preprocessing)


def write_source(
    out: Path, data: Dataset, spec: ModelSpec, trained: Trained, data_spec: str, options: TrainOptions
) -> History:
    """``source.json``, ``heldout.npz`` and ``history.json``, beside the weights that are already there."""
    with writing_to(out):
        count = len(data.heldout_labels)
        kept = np.random.default_rng(0).choice(count, min(count, KEPT_HELDOUT), replace=False)
        np.savez_compressed(out / HELDOUT, images=data.heldout_images[kept], labels=data.heldout_labels[kept])
    save_source(
        out,
        SourceFile(
            SCHEMA,
            trained.framework,
            trained.weights,
            spec,
            _KINDS[trained.framework],
            trained.code,
            trained.arguments,
            trained.parameters,
            trained.versions,
        ),
    )
    seconds = sum(epoch.seconds for epoch in trained.epochs)
    history = History(
        schema=SCHEMA,
        framework=trained.framework,
        backend=trained.backend,
        device=trained.device,
        data=data_spec,
        seed=options.seed,
        batch_size=options.batch_size,
        amp=options.amp,
        train_samples=trained.samples_per_epoch,
        heldout_samples=count,
        parameters=trained.parameters,
        epochs=tuple(trained.epochs),
        final_loss=trained.epochs[-1].loss,
        final_accuracy=trained.epochs[-1].accuracy,
        samples_per_s=trained.samples_per_epoch * len(trained.epochs) / max(seconds, 1e-9),
    )
    save_history(out, history)
    return history
