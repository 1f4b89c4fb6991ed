"""What an artifact says of itself: the ModelSpec as one JSON string under one key, wherever the format has a place."""

from __future__ import annotations

import msgspec

from runtimes.bundle import METADATA, ModelSpec


def metadata(spec: ModelSpec) -> dict[str, str]:
    """The entries to store: name to text."""
    return {METADATA: msgspec.json.encode(spec).decode()}
