"""The source folder: ``source.json``, the weights, and held-out data to judge the exports with.

source.json      what the model is and how to rebuild it
weights          named by source.json: a state_dict, or the whole model as a file or folder
heldout.npz      what exports are judged on (``exporter.samples``)
history.json     how it was trained, when fwexport trained it
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from exporter.source_kind import Framework, SourceKind, source_kind
from runtimes.bundle import ModelSpec
from runtimes.errors import UsageError
from runtimes.files import write_atomically

SOURCE = "source.json"
HISTORY = "history.json"
HELDOUT = "heldout.npz"
SCHEMA = 1


@dataclass(frozen=True)
class SourceFile:
    """The whole of ``source.json``.

    ``framework`` is where the conversions start, ``kind`` the module of ``exporter.sources`` that loads it.
    ``weights`` is a file or folder beside it. ``code`` is ``module:name`` or ``file.py:name`` of the class or factory,
    and ``arguments`` its keyword arguments; both are empty where the weights hold the architecture.
    """

    schema: int
    framework: Framework
    weights: str
    model: ModelSpec
    kind: str
    code: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    parameters: int | None = None
    versions: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def loader(self) -> SourceKind:
        """The module that loads it."""
        return source_kind(self.kind)


@dataclass(frozen=True)
class Epoch:
    """One epoch: mean training loss, accuracy on held-out data in [0, 1], wall seconds of its training loop."""

    loss: float
    accuracy: float
    seconds: float


@dataclass(frozen=True)
class History:
    """The whole of ``history.json``. ``backend`` is KERAS_BACKEND for Keras, "torch" for PyTorch."""

    schema: int
    framework: Literal["torch", "keras"]
    backend: str
    device: str
    data: str
    seed: int
    batch_size: int
    amp: bool
    train_samples: int
    heldout_samples: int
    parameters: int
    epochs: tuple[Epoch, ...]
    final_loss: float
    final_accuracy: float
    samples_per_s: float


def save_source(folder: Path, source: SourceFile) -> None:
    """Write ``source.json``."""
    write_atomically(folder / SOURCE, msgspec.json.format(msgspec.json.encode(source), indent=2))


def save_history(folder: Path, history: History) -> None:
    """Write ``history.json``."""
    write_atomically(folder / HISTORY, msgspec.json.format(msgspec.json.encode(history), indent=2))


def open_source(folder: Path) -> SourceFile:
    """Read the source folder. Raises UsageError when it is none."""
    path = folder / SOURCE
    try:
        source = msgspec.json.decode(path.read_bytes(), type=SourceFile)
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(
            f"{folder} is no source folder: it has no {SOURCE}. `fwexport train -o {folder}` makes one."
        ) from None
    except msgspec.DecodeError as error:
        raise UsageError(f"{path} is damaged ({error}). Train again.") from None
    if not (folder / source.weights).exists():
        raise UsageError(f"{folder / source.weights} is missing, though {SOURCE} names it.")
    return source
