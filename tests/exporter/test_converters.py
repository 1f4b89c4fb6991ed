"""The children of a build outlive one another."""

from __future__ import annotations

import os
import signal

import pytest

from exporter import child
from exporter.converters import Converters
from runtimes.errors import WorkerCrashed


def test_a_child_that_died_is_replaced() -> None:
    with Converters() as converters:
        first = converters.get("onnx")
        assert converters.get("onnx") is first
        os.kill(first.pid, signal.SIGKILL)
        with pytest.raises(WorkerCrashed, match="SIGKILL"):
            first.call(child.versions, "onnx")
        second = converters.get("onnx")
        assert second is not first
        assert "onnx" in second.call(child.versions, "onnx")
