"""The contract of a conversion: a module in ``exporter/conversions/`` is one edge, ``<from>2<to>``.

A module is imported to be listed, so it imports its frameworks inside its functions. ``convert`` runs in a child
process of the kind that ``PROCESS`` names; consecutive edges of one kind share the child.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import replace
from pathlib import Path
from typing import Literal, Protocol, cast

from runtimes.bundle import ModelSpec, TensorSpec
from runtimes.errors import UsageError

Process = Literal["torch", "tensorflow", "keras-torch", "onnx"]


class Conversion(Protocol):
    """An edge from files of the kind ``SOURCE`` to a file or folder of the kind ``TARGET``.

    With ``FIXES_BATCH`` it can write a file of one batch size from a source of any: see ``for_batch``.
    """

    @property
    def SOURCE(self) -> str: ...  # noqa: N802
    @property
    def TARGET(self) -> str: ...  # noqa: N802
    @property
    def PROCESS(self) -> Process: ...  # noqa: N802
    @property
    def FIXES_BATCH(self) -> bool: ...  # noqa: N802

    def check(self) -> str | None:
        """None, or what is missing here and how to get it."""

    def artifact_spec(self, spec: ModelSpec) -> ModelSpec:
        """What the written artifact's tensors are, when the source's are ``spec``: ``same_spec`` for most edges."""

    def convert(self, src: Path, out: Path, spec: ModelSpec) -> None:
        """Read ``src``, write exactly ``out`` (metadata included), or raise ConversionError.

        ``spec`` describes ``src``: the artifact keeps its input and output names, and their meaning. Of an edge that
        ``FIXES_BATCH`` it may have a size for the batch where ``src`` has none, and then the artifact takes that alone.
        """


def same_spec(spec: ModelSpec) -> ModelSpec:
    """The ``artifact_spec`` of an edge that keeps names, shapes and layouts."""
    return spec


def for_batch(spec: ModelSpec, batch: int) -> ModelSpec:
    """The same model for one batch size: the first axis of each tensor has it, where it was dynamic."""

    def fixed(tensors: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        return tuple(
            replace(tensor, shape=(batch, *tensor.shape[1:])) if tensor.shape[:1] == (None,) else tensor
            for tensor in tensors
        )

    return replace(spec, inputs=fixed(spec.inputs), outputs=fixed(spec.outputs))


def names() -> list[str]:
    """The edges, by module name: the folder is the list."""
    import exporter.conversions

    return sorted(m.name for m in pkgutil.iter_modules(exporter.conversions.__path__) if "2" in m.name)


def conversion(name: str) -> Conversion:
    """The edge called ``name``. Raises UsageError for an unknown one."""
    if name not in names():
        raise UsageError(f"there is no conversion {name!r}. The conversions are: {', '.join(names())}.")
    return cast(Conversion, importlib.import_module(f"exporter.conversions.{name}"))
