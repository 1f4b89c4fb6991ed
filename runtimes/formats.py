"""The artifact formats: what each is called in a bundle, and how a file is recognised by its content."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from runtimes.errors import NotAModelError, UsageError

# Format id -> its file or folder in a bundle.
FILES = {
    "torchscript": "model.torchscript",
    "onnx": "model.onnx",
    "savedmodel": "saved_model",
    "tflite": "model.tflite",
    "tfjs": "tfjs",
    "keras": "model.keras",
}


def recognise(path: Path) -> str:
    """The format of a file or folder, by its content. Raises UsageError when it is missing, else NotAModelError."""
    if not path.exists():
        raise UsageError(f"{path} does not exist.")
    found = recognised(path)
    if found is None:
        raise NotAModelError(
            f"{path} is none of the formats that fwexport reads: {', '.join(sorted(FILES))}."
        )
    return found


def recognised(path: Path) -> str | None:
    """The format of a file or folder, by its content; None when it is missing or of none."""
    if not path.exists():
        return None
    return _folder(path) if path.is_dir() else _file(path)


def _folder(path: Path) -> str | None:
    if (path / "saved_model.pb").exists() or any(path.glob("[0-9]*/saved_model.pb")):
        return "savedmodel"
    if (path / "model.json").exists():
        return _file(path / "model.json")
    return None


def _file(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
    if head[4:8] == b"TFL3":
        return "tflite"
    if head[:4] == b"PK\x03\x04":
        return _zip(path)
    if head.lstrip()[:1] == b"{":
        return _json(path)
    # An ONNX file is a protobuf whose first field is ir_version (field 1, varint).
    if head[:1] == b"\x08" and path.stat().st_size > 16 and 0 < head[1] < 64:
        return "onnx"
    return None


def _zip(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile as error:
        raise NotAModelError(f"{path} is damaged: it starts as a zip, but {error}.") from None
    if "config.json" in names and "metadata.json" in names:
        return "keras"
    if any(name.endswith("/constants.pkl") for name in names):
        return "torchscript"
    return None


def _json(path: Path) -> str | None:
    try:
        content = json.loads(path.read_bytes())
    except ValueError:
        return None
    return "tfjs" if content.get("format") == "graph-model" else None
