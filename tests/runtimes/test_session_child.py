"""A session's child: what opening gives, and in which order."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from runtimes import session_child
from runtimes.adapters import fake
from runtimes.base import SessionOptions
from runtimes.bundle import TensorSpec


@pytest.fixture
def file(tmp_path: Path) -> Path:
    x, y = TensorSpec("x", "float32", (None, 2)), TensorSpec("y", "float32", (None, 1))
    path = tmp_path / "small.fake"
    path.write_bytes(msgspec.json.encode(fake.FakeFile((x,), (y,), [[1.0], [2.0]])))
    return path


def test_the_first_run_is_timed_before_the_proof_warms_the_model(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened = []
    for name in ("run", "prove"):
        really = getattr(fake._Session, name)
        monkeypatch.setattr(
            fake._Session, name, lambda *given, n=name, f=really: (happened.append(n), f(*given))[1]
        )
    first = {"x": np.ones((1, 2), np.float32)}
    opened = session_child.open_session("fake", file, "cpu", SessionOptions(), first)
    assert happened == ["run", "prove"]
    assert opened.first_s is not None
    assert 0 < opened.first_s < 10
    assert opened.device_proof == "fake cpu"
    assert session_child.open_session("fake", file, "cpu", SessionOptions()).first_s is None


def test_a_library_in_another_process_is_all_that_is_imported(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def versions() -> dict[str, str]:
        time.sleep(0.05)
        return {"fake": "1"}

    monkeypatch.setattr(fake, "versions", versions)
    assert session_child.open_session("fake", file, "cpu", SessionOptions()).import_s > 0.05
    monkeypatch.setattr(fake._Session, "library_s", 1e-6)
    opened = session_child.open_session("fake", file, "cpu", SessionOptions())
    assert opened.import_s == 1e-6
    assert opened.load_s != 2e-6
    monkeypatch.setattr(fake._Session, "load_s", 2e-6)
    assert session_child.open_session("fake", file, "cpu", SessionOptions()).load_s == 2e-6
