"""What a Keras file says of itself, read before any library loads it: its version, its configuration, its code."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

from runtimes.errors import NotAModelError

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
HALF_POLICIES = ("mixed_float16", "mixed_bfloat16", "float16", "bfloat16")


def version_of(path: Path) -> str:
    """The Keras that wrote the file: "2.15.0", "3.12.0", or "" when it does not say (then it is no Keras 2 file).

    Raises NotAModelError for a file that is none of Keras's.
    """
    if zipfile.is_zipfile(path):
        return str(_zip_json(path, "metadata.json").get("keras_version", ""))
    if is_hdf5(path):
        return _hdf5_text(path, "keras_version")
    return str(_json(path).get("keras_version", ""))


def is_legacy(path: Path) -> bool:
    """Whether a Keras before 3 wrote the file."""
    return version_of(path).partition(".")[0] in ("0", "1", "2")


def config_of(path: Path) -> dict[str, Any]:
    """The configuration in a ``.keras``, ``.h5`` or JSON file. Raises NotAModelError when there is none."""
    if zipfile.is_zipfile(path):
        return _zip_json(path, "config.json")
    if is_hdf5(path):
        text = _hdf5_text(path, "model_config")
        if not text:
            raise NotAModelError(
                f"{path} holds weights without a network. Give the network's JSON and these as --weights, "
                "or save the whole model."
            )
        found: dict[str, Any] = json.loads(text)
        return found
    return _json(path)


def is_hdf5(path: Path) -> bool:
    """Whether the file starts as HDF5 does."""
    with path.open("rb") as stream:
        return stream.read(len(HDF5_MAGIC)) == HDF5_MAGIC


def is_network(path: Path) -> bool:
    """Whether it is the JSON that ``model.to_json()`` gives."""
    with path.open("rb") as stream:
        if stream.read(1) != b"{":
            return False
    try:
        found = json.loads(path.read_bytes())
    except ValueError:
        return False
    return "class_name" in found and "config" in found


def refuse_code(path: Path, config: dict[str, Any]) -> None:
    """Raise NotAModelError naming each layer that brings Python code, which loading would run."""
    names = sorted(code_layers(config))
    if names:
        raise NotAModelError(
            f"{path} holds Python code, which loading it would run, in: {', '.join(names)}. "
            "If you trust the file, allow it with --allow-pickle; better, replace the Lambda by a layer."
        )


def code_layers(value: Any, owner: str = "the model") -> set[str]:
    """The names of the layers whose configuration holds marshalled code, at any depth."""
    if isinstance(value, dict):
        config = value.get("config")
        if isinstance(config, dict) and value.get("class_name") != "__lambda__":
            owner = str(config.get("name", owner))
        if value.get("class_name") == "__lambda__" or value.get("function_type") == "lambda":
            return {owner}
        return set().union(*(code_layers(item, owner) for item in value.values()))
    if isinstance(value, list):
        return set().union(*(code_layers(item, owner) for item in value))
    return set()


def in_float32(config: Any) -> Any:
    """A configuration of either library whose half-precision policies are float32. Weights are float32 in both."""
    if isinstance(config, list):
        return [in_float32(item) for item in config]
    if isinstance(config, dict):
        return {key: in_float32(item) for key, item in config.items()}
    return "float32" if config in HALF_POLICIES else config


def reason(error: BaseException) -> str:
    """What Keras says at the heart of its long messages about configurations and calls."""
    text = re.sub(r"\x1b\[\d*m", "", str(error))
    text = " ".join(text.partition("Arguments received by")[0].split())
    text = re.sub(r"^Exception encountered when calling [\w.]+\(\)\.\s*", "", text)
    named = re.search(r"(?:Could not (?:locate|deserialize) \S+|Unknown layer:) ?'[^']*'", text)
    short = named.group() if named else text.rpartition("Exception encountered: ")[2]
    return short if len(short) <= 300 else f"{short[:297]}..."


def with_hint(text: str) -> str:
    """``text``, and what to do where it says that a class is not known."""
    if "Could not locate class" not in text and "Unknown layer" not in text:
        return text
    return (
        f"{text}. Its code is not in the file: where the code is, write a SavedModel with model.export(FOLDER) and "
        "give that."
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise NotAModelError(
            f"{path} is no Keras file: neither a .keras zip, nor HDF5, nor JSON ({error})."
        ) from None
    if not isinstance(found, dict) or "class_name" not in found or "config" not in found:
        raise NotAModelError(
            f"{path} is JSON, but describes no Keras model: it has no class_name and config."
        )
    return found


def _zip_json(path: Path, member: str) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            found: dict[str, Any] = json.loads(archive.read(member))
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise NotAModelError(f"{path} is a zip, but no Keras model: {error}") from None
    return found


def _hdf5_text(path: Path, attribute: str) -> str:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            value = file.attrs.get(attribute, "")
    except OSError as error:
        raise NotAModelError(f"{path} is damaged HDF5: {error}") from None
    return value.decode() if isinstance(value, bytes) else str(value)
