"""The contract of a source kind: a module in ``exporter/sources/`` is one way in which a person brings a model.

A module is imported to be listed, so it imports its frameworks inside its functions. ``bring`` and ``open_session``
run in a child process of the kind that ``PROCESS`` names, ``recognises`` and ``check`` anywhere.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, cast

from exporter.base import Process
from runtimes.base import Session
from runtimes.bundle import ModelSpec, TensorSpec
from runtimes.errors import NotAModelError, UsageError
from runtimes.reference import Variant

Framework = Literal["torch", "keras", "onnx", "savedmodel"]
OutputKind = Literal["", "logits", "probabilities", "tensor"]


@dataclass(frozen=True)
class Given:
    """What the person gave: ``source`` as typed, and what the options say of it.

    ``inputs`` come from ``--input``: a name is empty, a layout "" and a dtype "" where the person did not say; shapes
    begin with the batch, None when it is dynamic. ``fixed_batch`` is the batch to export for, None for any. ``arguments`` go to the class or factory of ``source``.
    """

    source: str
    name: str = "model"
    weights: Path | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    inputs: tuple[TensorSpec, ...] = ()
    layout: str = ""
    fixed_batch: int | None = None
    labels: tuple[str, ...] = ()
    preprocessing: tuple[dict[str, Any], ...] | None = None
    output_kind: OutputKind = ""
    signature: str = ""
    allow_pickle: bool = False
    allow_extra_keys: bool = False

    @property
    def path(self) -> Path:
        """The source as a path."""
        return Path(self.source)


@dataclass(frozen=True)
class Brought:
    """What a kind made of it: ``weights`` is a file or folder in the source folder, ``model`` what it computes.

    ``framework`` and ``kind`` are empty when the kind's own: Keras 2 files may end as a SavedModel.
    """

    weights: str
    model: ModelSpec
    parameters: int | None = None
    versions: dict[str, str] = field(default_factory=dict)
    code: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    framework: str = ""
    kind: str = ""


class SourceKind(Protocol):
    """A module in ``exporter/sources/``.

    ``FRAMEWORK`` is where the conversions start, ``PROCESS`` its child, ``OPTIONS`` the fields of ``Given`` that it
    reads beyond those that say what the tensors are, ``UNREACHABLE`` the formats that it cannot become, and why.
    """

    @property
    def FRAMEWORK(self) -> Framework: ...  # noqa: N802
    @property
    def PROCESS(self) -> Process: ...  # noqa: N802
    @property
    def OPTIONS(self) -> tuple[str, ...]: ...  # noqa: N802
    @property
    def UNREACHABLE(self) -> Mapping[str, str]: ...  # noqa: N802

    def recognises(self, given: Given) -> bool:
        """Whether this is a source of this kind, by its content and without a framework."""

    def check(self) -> str | None:
        """None, or what is missing here and how to get it."""

    def bring(self, given: Given, folder: Path) -> Brought:
        """Write the model into ``folder``, so that it can be loaded again without what the person gave, and describe it.

        Raises NotAModelError for a file that cannot be read, UsageError for an option that is missing or wrong.
        """

    def open_session(self, folder: Path, variant: Variant) -> Session:
        """The model of a source folder in its own framework, on the CPU, in the variant's precision."""


def names() -> list[str]:
    """The kinds, by module name: the folder is the list."""
    import exporter.sources

    return sorted(module.name for module in pkgutil.iter_modules(exporter.sources.__path__))


def source_kind(name: str) -> SourceKind:
    """The kind called ``name``. Raises UsageError for an unknown one."""
    if name not in names():
        raise UsageError(f"there is no kind of source {name!r}. The kinds are: {', '.join(names())}.")
    return cast(SourceKind, importlib.import_module(f"exporter.sources.{name}"))


def recognise(given: Given) -> str:
    """The kind of what the person gave. Raises UsageError when it is not there, NotAModelError when no kind knows it."""
    found = [name for name in names() if source_kind(name).recognises(given)]
    if found:
        return found[0]
    if not given.path.exists():
        raise UsageError(
            f"{given.source} does not exist. Name a model file or folder, or code as file.py:Name or package.module:name."
        )
    if given.path.suffix in (".pt", ".pth", ".th", ".safetensors", ".ckpt"):
        raise NotAModelError(
            f"{given.source} holds no network, at most its weights. Name the code too: "
            f"fwexport build file.py:Name --weights {given.source} --input 3x224x224"
        )
    raise NotAModelError(
        f"{given.source} is no model that fwexport knows. It takes: code as file.py:Name, TorchScript, .pt2, .keras, .h5, "
        "a SavedModel, .onnx, a Hugging Face folder, or a folder that `fwexport train` wrote."
    )


def missing(extra: str, *modules: str) -> str | None:
    """None, or how to get the first of these modules that is not here."""
    absent = [name for name in modules if importlib.util.find_spec(name) is None]
    return f"{' and '.join(absent)} missing: pip install 'fwexport[{extra}]'" if absent else None
