"""Samples through a session in batches, also where it takes batches of one size alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from runtimes.base import Array, Feeds, Session
from runtimes.bundle import TensorSpec


def run_in_batches(session: Session, inputs: Feeds, batch: int) -> dict[str, Array]:
    """All outputs, computed ``batch`` samples at a time, or as many as the session's own fixed batch has."""
    total = len(next(iter(inputs.values())))
    fixed = fixed_batch(session.inputs)
    whole = padded(inputs, fixed) if fixed else inputs
    size = fixed or batch
    parts = [
        session.run({name: array[at : at + size] for name, array in whole.items()})
        for at in range(0, total, size)
    ]
    return {name: np.concatenate([part[name] for part in parts])[:total] for name in parts[0]}


def fixed_batch(inputs: Sequence[TensorSpec]) -> int | None:
    """The one batch size that a model takes, or None when its batch is dynamic."""
    return inputs[0].shape[0] if inputs[0].shape else None


def padded(inputs: Feeds, batch: int) -> dict[str, Array]:
    """The samples with the last one repeated until they fill whole batches."""
    total = len(next(iter(inputs.values())))
    rows = np.minimum(np.arange(-(-total // batch) * batch), total - 1)
    return {name: array[rows] for name, array in inputs.items()}
