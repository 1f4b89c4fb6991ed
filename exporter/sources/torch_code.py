"""PyTorch code: ``file.py:Name`` or ``package.module:name``, a class, a factory or a module, with its weights.

Naming code is the permission to run it. What is kept in the source folder is the code's name, its arguments and a
state_dict; every child that needs the model builds it from these.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

from exporter.frameworks import torch_model, torch_weights
from exporter.source_folder import open_source
from exporter.source_kind import Brought, Given
from runtimes.base import Session
from runtimes.errors import NotAModelError, UsageError
from runtimes.machine import versions_of
from runtimes.reference import Variant

FRAMEWORK = "torch"
PROCESS = "torch"
OPTIONS: tuple[str, ...] = ("weights", "arguments", "allow_pickle", "allow_extra_keys")
UNREACHABLE: dict[str, str] = {}

WEIGHTS = "weights.pt"

_CODE = re.compile(r"(?P<place>.+\.py|[A-Za-z_]\w*(\.[A-Za-z_]\w*)*):(?P<name>[A-Za-z_]\w*)")

check = torch_model.check


def recognises(given: Given) -> bool:
    """Whether it reads as code and is no file."""
    return _CODE.fullmatch(given.source) is not None and not given.path.exists()


def bring(given: Given, folder: Path) -> Brought:
    """Build the module, load the weights into it, and keep its state_dict."""
    import torch

    place, _, name = given.source.rpartition(":")
    if place.endswith(".py"):
        place = str(Path(place).resolve())
    model = build(f"{place}:{name}", given.arguments)
    notes: tuple[str, ...] = ()
    if given.weights is None:
        notes = (f"no --weights were given: the model has those that {given.source} starts with",)
    else:
        torch_weights.load_into(model, given.weights, given.allow_pickle, given.allow_extra_keys)
    torch.save({key: value.contiguous() for key, value in model.state_dict().items()}, folder / WEIGHTS)
    return Brought(
        weights=WEIGHTS,
        model=torch_model.model_spec(model, given),
        parameters=torch_model.parameters(model),
        versions=versions_of("torch"),
        code=f"{place}:{name}",
        arguments=given.arguments,
        notes=notes,
    )


def load(folder: Path) -> Any:
    """The module of a source folder, as ``torch_model.load`` gives it."""
    import torch

    source = open_source(folder)
    model = build(source.code, source.arguments)
    path = folder / source.weights
    try:
        model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:
        raise NotAModelError(f"{path} does not hold the weights of {source.code}: {error}") from error
    return model


def open_session(folder: Path, variant: Variant) -> Session:
    """The module in the variant's precision."""
    return torch_model.TorchSession(folder, variant)


def build(code: str, arguments: dict[str, Any]) -> Any:
    """The ``torch.nn.Module`` that the code makes, in evaluation mode. Raises UsageError when it makes none."""
    import torch

    place, _, name = code.rpartition(":")
    made = _find(place, name)
    if not isinstance(made, torch.nn.Module):
        if not callable(made):
            raise UsageError(
                f"{code} is a {type(made).__name__}; name a torch.nn.Module, its class or a function."
            )
        given = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        try:
            made = made(**arguments)
        except Exception as error:
            raise UsageError(
                f"{name}({given}) fails: {type(error).__name__}: {error}. Arguments are given as --arg KEY=VALUE."
            ) from error
    elif arguments:
        raise UsageError(f"{code} is a module already made; it takes no --arg.")
    if not isinstance(made, torch.nn.Module):
        raise UsageError(f"{code} gave a {type(made).__name__}, not a torch.nn.Module.")
    return made.eval()


def _find(place: str, name: str) -> Any:
    """The object called ``name`` in a file or module, imported as a program beside it would."""
    if place.endswith(".py") and not Path(place).exists():
        raise UsageError(f"{place} does not exist, so there is no {name} in it.")
    try:
        module = _from_file(Path(place)) if place.endswith(".py") else _from_name(place)
    except Exception as error:
        raise UsageError(f"{place} cannot be imported: {type(error).__name__}: {error}") from error
    if not hasattr(module, name):
        public = [key for key, value in vars(module).items() if not key.startswith("_") and callable(value)]
        raise UsageError(f"{place} has no {name!r}. It has: {', '.join(public) or 'nothing to call'}.")
    return getattr(module, name)


def _from_file(path: Path) -> Any:
    name = f"fwexport_source_{path.stem}"
    found = sys.modules.get(name)
    if found is not None and found.__file__ == str(path):
        return found
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _from_name(name: str) -> Any:
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    return importlib.import_module(name)
