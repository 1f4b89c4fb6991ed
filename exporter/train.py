"""The stage ``train``: the shipped CNN, in one framework, into a source folder."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from exporter.source_folder import SOURCE, History
from exporter.training.child import train_keras, train_torch
from exporter.training.options import TrainOptions
from runtimes.client import OnEvent, Worker
from runtimes.errors import UnavailableError
from runtimes.files import swapped_folder

FRAMEWORKS = {"torch": train_torch, "keras": train_keras}

# A long training is no hung child: it may take a week, and Ctrl-C ends it.
TIMEOUT_S = 7 * 24 * 3600.0


def training_environment(framework: str, device: str) -> dict[str, str]:
    """What the child is told: the Keras backend that the person chose, and no GPU when none is wanted.

    In PyTorch's child Keras may download data, and must not bring TensorFlow along.
    """
    if framework == "keras":
        told = {"KERAS_BACKEND": os.environ.get("KERAS_BACKEND", "tensorflow")}
    else:
        told = {"KERAS_BACKEND": "torch"}
    return {**told, **({"CUDA_VISIBLE_DEVICES": "-1"} if device == "cpu" else {})}


def train(
    target: Path,
    framework: str,
    data: str,
    options: TrainOptions,
    on_event: OnEvent | None = None,
) -> History:
    """Train in a child process and put the source folder at ``target``, replacing an earlier one.

    ``on_event`` hears ``{"batch", "of"}`` a few times a second and ``{"epoch", "of", "loss", "accuracy",
    "seconds"}``. Raises UsageError for wrong data, UnavailableError for a framework or device that is not here.
    """
    if importlib.util.find_spec(framework) is None:
        extra = {"torch": "torch", "keras": "tensorflow"}[framework]
        raise UnavailableError(f"{framework} is missing: pip install 'fwexport[{extra}]'.")
    with (
        swapped_folder(target, SOURCE) as fresh,
        Worker(
            training_environment(framework, options.device), timeout_s=TIMEOUT_S, on_event=on_event
        ) as worker,
    ):
        return worker.call(FRAMEWORKS[framework], fresh, data, options)
