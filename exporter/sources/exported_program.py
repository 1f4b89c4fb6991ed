"""A ``.pt2`` file of ``torch.export.save``."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import Any

from exporter.frameworks import torch_model
from exporter.source_folder import open_source
from exporter.source_kind import Brought, Given
from runtimes.base import Session
from runtimes.bundle import TensorSpec
from runtimes.errors import NotAModelError
from runtimes.machine import versions_of
from runtimes.reference import Variant

FRAMEWORK = "torch"
PROCESS = "torch"
OPTIONS: tuple[str, ...] = ()
UNREACHABLE: dict[str, str] = {}

WEIGHTS = "model.pt2"

check = torch_model.check


def recognises(given: Given) -> bool:
    """Whether it is a zip of the .pt2 layout with a program in it."""
    if not given.path.is_file() or not zipfile.is_zipfile(given.path):
        return False
    names = zipfile.ZipFile(given.path).namelist()
    return any(name.endswith("archive_format") for name in names) and any("models/" in name for name in names)


def bring(given: Given, folder: Path) -> Brought:
    """Keep the file. Shapes, and whether the batch is dynamic, stand in the program."""
    program = _read(given.path)
    shutil.copyfile(given.path, folder / WEIGHTS)
    model = program.module()
    return Brought(
        weights=WEIGHTS,
        model=torch_model.model_spec(model, given, _inputs(program)),
        parameters=torch_model.parameters(model),
        versions=versions_of("torch"),
    )


def load(folder: Path) -> Any:
    """The program as a module."""
    return _read(folder / open_source(folder).weights).module()


def open_session(folder: Path, variant: Variant) -> Session:
    """The program in the variant's precision."""
    return torch_model.TorchSession(folder, variant)


def _read(path: Path) -> Any:
    import torch

    try:
        return torch.export.load(str(path))
    except Exception as error:
        raise NotAModelError(f"{path} is no exported program that PyTorch can load: {error}") from error


def _inputs(program: Any) -> list[TensorSpec]:
    """Name, type and shape of each input; an axis that the program left open is dynamic."""
    values = {node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"}
    return [
        TensorSpec(
            name,
            str(values[name].dtype).removeprefix("torch."),
            tuple(size if isinstance(size, int) else None for size in values[name].shape),
        )
        for name in program.graph_signature.user_inputs
    ]
