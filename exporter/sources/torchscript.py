"""A TorchScript file, traced or scripted, frozen or not."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from exporter.frameworks import torch_model
from exporter.given import model_name
from exporter.source_folder import open_source
from exporter.source_kind import Brought, Given
from runtimes.base import Session
from runtimes.bundle import ModelSpec, TensorSpec
from runtimes.errors import NotAModelError
from runtimes.formats import recognised
from runtimes.machine import versions_of
from runtimes.reference import Variant

FRAMEWORK = "torch"
PROCESS = "torch"
OPTIONS: tuple[str, ...] = ()
UNREACHABLE: dict[str, str] = {}

WEIGHTS = "model.torchscript"
FLOAT32, FLOAT64 = 6, 7  # PyTorch's numbers for its scalar types, as they stand in a graph

check = torch_model.check


def recognises(given: Given) -> bool:
    """Whether it is a zip with TorchScript's code in it."""
    return recognised(given.path) == "torchscript"


def bring(given: Given, folder: Path) -> Brought:
    """Keep the file. What fwexport exported describes itself; another needs ``--input``."""
    model, own = _read(given.path)
    shutil.copyfile(given.path, folder / WEIGHTS)
    found = own.inputs if own else _inputs(model, given)
    names = [tensor.name for tensor in own.outputs] if own else []
    return Brought(
        weights=WEIGHTS,
        model=torch_model.model_spec(model, _completed(given, own), found, names),
        parameters=torch_model.parameters(model) or None,
        versions=versions_of("torch"),
    )


def _completed(given: Given, own: ModelSpec | None) -> Given:
    """What the person said, completed by what a file of fwexport's own says of itself."""
    if own is None:
        return given
    was_named = given.name != model_name(given.source)
    return replace(
        given,
        name=given.name if was_named else own.name,
        labels=given.labels or own.labels,
        preprocessing=own.preprocessing if given.preprocessing is None else given.preprocessing,
    )


def load(folder: Path) -> Any:
    """The ScriptModule of a source folder."""
    return _read(folder / open_source(folder).weights)[0]


def open_session(folder: Path, variant: Variant) -> Session:
    """The module in the variant's precision; channels_last is the tensor's matter, not the file's."""
    return torch_model.TorchSession(folder, variant, as_double)


def as_double(model: Any) -> Any:
    """The module in float64: parameters, and what freezing made constants of the graph.

    A cast to float32 that the code asks for becomes one to float64.
    """
    import torch

    frozen = model
    if list(model.parameters()) or list(model.buffers()):
        frozen = torch.jit.freeze(model.double(), optimize_numerics=False)
    for node in frozen.graph.findAllNodes("prim::Constant", recurse=True):
        if not node.hasAttribute("value"):
            continue
        kind = node.kindOf("value")
        if kind == "t" and node.t("value").dtype == torch.float32:
            node.t_("value", node.t("value").double())
        elif kind == "i" and node.i("value") == FLOAT32 and _is_dtype(node):
            node.i_("value", FLOAT64)
    return frozen


def _is_dtype(constant: Any) -> bool:
    """Whether a number of the graph is read as a dtype and nothing else, by the schemas of its readers."""
    import torch

    readers = []
    for use in next(constant.outputs()).uses():
        schema = use.user.schema()
        arguments = torch._C.parse_schema(schema).arguments if schema != "(no schema)" else []
        readers.append(use.offset < len(arguments) and arguments[use.offset].name == "dtype")
    return bool(readers) and all(readers)


def _read(path: Path) -> tuple[Any, ModelSpec | None]:
    """The module, and what fwexport wrote into the file about it."""
    import torch

    extra = {"fwexport": ""}
    try:
        model = torch.jit.load(str(path), map_location="cpu", _extra_files=extra).eval()
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise NotAModelError(f"{path} is no TorchScript file that PyTorch can load: {reason}") from error
    return model, msgspec.json.decode(extra["fwexport"], type=ModelSpec) if extra["fwexport"] else None


def _inputs(model: Any, given: Given) -> tuple[TensorSpec, ...]:
    """The names of the arguments, with the sizes that the person gave: the file has none."""
    names = [value.debugName().split(".")[0] for value in list(model.graph.inputs())[1:]]
    return tuple(
        TensorSpec(spec.name or names[place], spec.dtype or "float32", spec.shape)
        for place, spec in enumerate(given.inputs[: len(names)])
    )
