"""What a TF Lite file carries beside the model."""

from __future__ import annotations

import zipfile
from pathlib import Path


def metadata(path: Path) -> dict[str, str]:
    """The JSON files of the zip that may follow the model, by their names without the suffix."""
    if not zipfile.is_zipfile(path):
        return {}
    with zipfile.ZipFile(path) as archive:
        texts = [name for name in archive.namelist() if name.endswith(".json")]
        return {name.removesuffix(".json"): archive.read(name).decode() for name in texts}
