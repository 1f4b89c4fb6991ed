"""A bundle of the fake runtime, written in a moment, that verifies and measures as it is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from runtimes import base
from runtimes.base import Array, Feeds, Session
from runtimes.bundle import SCHEMA, Artifact, Manifest, ModelSpec, Source, TensorSpec, save_manifest
from runtimes.files import digest
from runtimes.reference import REFERENCE, Variant, build, save_reference, variants

IMAGE = TensorSpec("image", "float32", (None, 1, 4, 4), "NCHW", "image")
LOGITS = TensorSpec("logits", "float32", (None, 3), "NC", "logits")
WEIGHTS = np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32)


class _Source(Session):
    """What the fake runtime computes, in the variant's precision."""

    inputs, outputs, threads = (IMAGE,), (LOGITS,), 1

    def __init__(self, variant: Variant) -> None:
        self.precision = variant.precision

    def run(self, feeds: Feeds) -> dict[str, Array]:
        x = feeds["image"].reshape(-1, 16).astype(self.precision)
        return {"logits": x @ WEIGHTS.astype(self.precision)}

    def bind(self, feeds: Feeds) -> Callable[[], None]:
        return lambda: None


def fake_bundle(folder: Path, size_bytes: int = 1000, **file: Any) -> Path:
    """Write the bundle. ``file`` are fields of ``runtimes.adapters.fake.FakeFile``: ``seconds``, ``does`` ..."""
    folder.mkdir(parents=True)
    tensors = {"inputs": [msgspec.to_builtins(IMAGE)], "outputs": [msgspec.to_builtins(LOGITS)]}
    path = folder / "model.fake"
    path.write_text(json.dumps({**tensors, "weights": WEIGHTS.tolist(), **file}))
    artifact = Artifact("fake", path.name, digest(path), size_bytes, (IMAGE,), (LOGITS,))
    model = ModelSpec("product", (IMAGE,), (LOGITS,), ("a", "b", "c"))
    save_manifest(folder, Manifest(SCHEMA, "", "", model, Source("torch", "code", "source"), (artifact,)))
    samples = {"image": np.random.default_rng(1).random((64, 1, 4, 4), np.float32)}
    labels = np.argmax(samples["image"].reshape(-1, 16) @ WEIGHTS, axis=1)
    labels[:2] = (labels[:2] + 1) % 3  # so that 62 of 64 are right
    runs = variants(1, channels_last=False)
    save_reference(folder / REFERENCE, build(_Source, samples, labels, runs, (LOGITS,)))
    return folder


@pytest.fixture
def fake_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake runtime runs fake files, in this test."""
    real = base.for_format
    monkeypatch.setattr(
        "runtimes.pool.for_format", lambda format: ["fake"] if format == "fake" else real(format)
    )
