"""A checkpoint, in any of the usual wrappings, into a module. Runs in a torch child.

A pickle can run code when it is read, so files are read with ``weights_only=True`` unless the person allowed more.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runtimes.errors import NotAModelError, UsageError

# Under which key training code keeps the state_dict, the likeliest first.
WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights")
# What wrappers around a module put in front of every key: DataParallel, torch.compile, Lightning.
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.")
# Buffers that old checkpoints lack and that prediction does not read.
UNREAD = "num_batches_tracked"


def load_into(model: Any, path: Path, allow_pickle: bool = False, allow_extra_keys: bool = False) -> None:
    """Load a ``.safetensors`` file or a checkpoint of ``torch.save`` into ``model``.

    Raises UsageError for a missing file, NotAModelError for one that cannot be read or whose keys or shapes are not
    the model's; all of them are named.
    """
    wanted = model.state_dict()
    found = without_prefix(unwrapped(read(path, allow_pickle), path), wanted)
    absent = [key for key in wanted if key not in found and not key.endswith(UNREAD)]
    surplus = [key for key in found if key not in wanted]
    shapes = [
        f"{key}: {list(found[key].shape)} in the file, {list(wanted[key].shape)} in the model"
        for key in wanted
        if key in found and found[key].shape != wanted[key].shape
    ]
    problems = []
    if absent:
        problems.append(f"it lacks {_some(absent)}")
    if shapes:
        problems.append(f"shapes differ: {_some(shapes)}")
    if surplus and not allow_extra_keys:
        problems.append(
            f"it has keys that the model does not: {_some(surplus)} (--allow-extra-keys leaves them out)"
        )
    if problems:
        raise NotAModelError(f"{path} does not fit the model: " + "; ".join(problems))
    model.load_state_dict({key: value for key, value in found.items() if key in wanted}, strict=False)


def read(path: Path, allow_pickle: bool = False) -> Any:
    """What the file holds, tensors on the CPU."""
    import torch

    if not path.is_file():
        raise UsageError(f"--weights {path} {'is a folder' if path.exists() else 'does not exist'}.")
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        try:
            return load_file(str(path))
        except Exception as error:
            raise NotAModelError(f"{path} is no safetensors file that can be read: {error}") from error
    with path.open("rb") as file:
        head = file.read(2)
    if head not in (b"PK", b"\x80\x02"):  # a zip, or the pickle that torch.save wrote before version 1.6
        raise NotAModelError(
            f"{path} is no checkpoint: it is neither a safetensors file nor one of torch.save."
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=not allow_pickle)
    except pickle.UnpicklingError as error:
        if allow_pickle or "Weights only load failed" not in str(error):
            raise NotAModelError(f"{path} is no checkpoint that PyTorch can read: {error}") from error
        raise NotAModelError(
            f"{path} holds more than tensors ({_reason(error)}), and reading that can run code that the file brings. "
            "If you trust where it came from, use --allow-pickle; safer, save model.state_dict() alone."
        ) from None
    except Exception as error:
        raise NotAModelError(
            f"{path} is no checkpoint that PyTorch can read: {type(error).__name__}: {error}"
        ) from error


def unwrapped(content: Any, path: Path) -> dict[str, Any]:
    """The state_dict in a checkpoint: bare, under a usual key, in a list of one, or a whole module's."""
    import torch

    if isinstance(content, torch.nn.Module):
        return dict(content.state_dict())
    if isinstance(content, (list, tuple)) and len(content) == 1:
        return unwrapped(content[0], path)
    if isinstance(content, Mapping):
        if content and all(isinstance(value, torch.Tensor) for value in content.values()):
            return dict(content)
        for key in WRAPPERS:
            if isinstance(content.get(key), (Mapping, torch.nn.Module, list)):
                return unwrapped(content[key], path)
        keys = ", ".join(str(key) for key in content)
        raise NotAModelError(
            f"{path} holds no state_dict that can be found: its keys are {keys or 'none'}; looked under "
            f"{', '.join(WRAPPERS)}."
        )
    raise NotAModelError(f"{path} holds a {type(content).__name__}, not a state_dict.")


def without_prefix(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """``found`` with the keys that ``wanted`` has: a prefix that all share is taken off, or put on, where that fits."""
    best = dict(found)
    for prefix in PREFIXES:
        if found and all(key.startswith(prefix) for key in found):
            best = _better(best, {key.removeprefix(prefix): value for key, value in found.items()}, wanted)
        best = _better(best, {prefix + key: value for key, value in found.items()}, wanted)
    return best


def _better(a: dict[str, Any], b: dict[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    return b if len(b.keys() & wanted.keys()) > len(a.keys() & wanted.keys()) else a


def _some(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 12 else f"{', '.join(names[:12])} and {len(names) - 12} more"


def _reason(error: Exception) -> str:
    line = next((line for line in str(error).splitlines() if "GLOBAL" in line or "Unsupported" in line), "")
    return (
        line.strip().removeprefix("WeightsUnpickler error: ").partition(" was not an allowed")[0]
        or "a pickle"
    )
