"""The stage ``train``: the shipped CNN, in one framework, into a source folder."""

from __future__ import annotations

import os
from pathlib import Path

from exporter.sources.folder import SOURCE, History
from exporter.training.child import train_keras, train_torch
from exporter.training.options import TrainOptions
from runtimes.client import OnEvent, Worker
from runtimes.files import swapped_folder

FRAMEWORKS = {"torch": train_torch, "keras": train_keras}


def training_environment(framework: str, device: str) -> dict[str, str]:
    """What the child is told: the Keras backend that the person chose, and no GPU when none is wanted."""
    backend = {"KERAS_BACKEND": os.environ.get("KERAS_BACKEND", "tensorflow")} if framework == "keras" else {}
    return {**backend, **({"CUDA_VISIBLE_DEVICES": "-1"} if device == "cpu" else {})}


def train(
    target: Path,
    framework: str,
    data: str,
    options: TrainOptions,
    on_event: OnEvent | None = None,
) -> History:
    """Train in a child process and put the source folder at ``target``, replacing an earlier one."""
    with (
        swapped_folder(target, SOURCE) as fresh,
        Worker(training_environment(framework, options.device), on_event=on_event) as worker,
    ):
        return worker.call(FRAMEWORKS[framework], fresh, data, options)
