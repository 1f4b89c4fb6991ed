"""TorchScript in PyTorch: where it computes, and what it is set to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torchscript_child

from runtimes import session_child
from runtimes.base import SessionOptions
from runtimes.client import Worker


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    env = {"PYTHONPATH": str(Path(__file__).parent), "GOMP_SPINCOUNT": "77", "KMP_BLOCKTIME": None}
    with Worker(env, timeout_s=120) as child:
        yield child


@pytest.mark.parametrize(
    ("frozen", "has_run", "proof"),
    [
        (False, True, "output on cpu"),
        (True, True, "output on cpu"),
        (False, False, "weights on cpu"),
        (True, False, "loaded onto cpu; it has not run yet, and has no weights to ask"),
    ],
)
def test_a_proof_claims_no_more_than_was_seen(
    frozen: bool, has_run: bool, proof: str, worker: Worker, tmp_path: Path
) -> None:
    path = tmp_path / "model.torchscript"
    worker.call(torchscript_child.write, path, frozen)
    feeds = {"input": np.ones((1, 3), np.float32)} if has_run else None
    opened = worker.call(
        session_child.open_session, "torchscript", path, "cpu", SessionOptions(threads=1), feeds
    )
    assert [spec.name for spec in opened.inputs] == ["input"]
    assert opened.device_proof == proof
    assert opened.settings["num_threads"] == "1"
    assert opened.settings["GOMP_SPINCOUNT"] == "77"
    assert "KMP_BLOCKTIME" not in opened.settings
