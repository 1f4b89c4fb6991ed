"""The datasets that Keras downloads, as ours."""

from __future__ import annotations

import importlib

import numpy as np

from exporter.data import Dataset, as_images
from runtimes.errors import UnavailableError


def download(name: str, labels: tuple[str, ...]) -> Dataset:
    """``keras.datasets.<name>``, from Keras's cache or the network. Raises UnavailableError with the offline way."""
    spelled = name.replace("_", "-")
    try:
        module = importlib.import_module(f"keras.datasets.{name}")
    except ModuleNotFoundError:
        raise UnavailableError(f"--data {spelled} needs Keras: pip install 'fwexport[tensorflow]'") from None
    try:
        (train, train_labels), (held, held_labels) = module.load_data()
    except Exception as error:
        raise UnavailableError(
            f"{spelled} could not be downloaded ({error}). Offline, bring its four files and use --data idx:DIR."
        ) from error
    return Dataset(
        spelled,
        as_images(train, spelled),
        train_labels.astype(np.int64),
        as_images(held, spelled),
        held_labels.astype(np.int64),
        labels,
    )
