"""The two trainings as functions that a parent can name without importing a framework."""

from __future__ import annotations

import logging
from pathlib import Path

from exporter.source_folder import History
from exporter.training.options import TrainOptions


def train_torch(out: Path, data: str, options: TrainOptions) -> History:
    """The shipped CNN in PyTorch."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    from exporter.training.torch_cnn import train

    return train(out, data, options)


def train_keras(out: Path, data: str, options: TrainOptions) -> History:
    """The shipped CNN in Keras."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    from exporter.training.keras_cnn import train

    return train(out, data, options)
