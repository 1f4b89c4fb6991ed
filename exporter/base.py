"""The contract of a conversion: a module in ``exporter/conversions/`` is one edge, ``<from>2<to>``.

A module is imported to be listed, so it imports its frameworks inside its functions. ``convert`` runs in a child
process of the kind that ``PROCESS`` names; consecutive edges of one kind share the child.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Literal, Protocol, cast

from runtimes.bundle import ModelSpec
from runtimes.errors import UsageError

Process = Literal["torch", "tensorflow", "keras-torch", "onnx"]


class Conversion(Protocol):
    """An edge from files of the kind ``SOURCE`` to a file or folder of the kind ``TARGET``."""

    @property
    def SOURCE(self) -> str: ...  # noqa: N802
    @property
    def TARGET(self) -> str: ...  # noqa: N802
    @property
    def PROCESS(self) -> Process: ...  # noqa: N802

    def check(self) -> str | None:
        """None, or what is missing here and how to get it."""

    def artifact_spec(self, spec: ModelSpec) -> ModelSpec:
        """What the written artifact's tensors are, when the source's are ``spec``: ``same_spec`` for most edges."""

    def convert(self, src: Path, out: Path, spec: ModelSpec) -> None:
        """Read ``src``, write exactly ``out`` (metadata included), or raise ConversionError.

        ``spec`` describes ``src``: the artifact keeps its input and output names, and their meaning.
        """


def same_spec(spec: ModelSpec) -> ModelSpec:
    """The ``artifact_spec`` of an edge that keeps names, shapes and layouts."""
    return spec


def names() -> list[str]:
    """The edges, by module name: the folder is the list."""
    import exporter.conversions

    return sorted(m.name for m in pkgutil.iter_modules(exporter.conversions.__path__) if "2" in m.name)


def conversion(name: str) -> Conversion:
    """The edge called ``name``. Raises UsageError for an unknown one."""
    if name not in names():
        raise UsageError(f"there is no conversion {name!r}. The conversions are: {', '.join(names())}.")
    return cast(Conversion, importlib.import_module(f"exporter.conversions.{name}"))
