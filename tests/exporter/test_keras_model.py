"""A model that a process has written is handed to its next step once; after that the file is read."""

from __future__ import annotations

from pathlib import Path

import keras_model_child as child

from exporter.converters import Converters


def test_a_written_model_is_handed_over_once(children: Converters, tmp_path: Path) -> None:
    found = children.get("tensorflow").call(child.read_again, tmp_path)
    assert found == {"handed over": True, "read the second time": True, "read when changed": True}
