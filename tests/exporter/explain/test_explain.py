"""``verify --explain`` on artifacts with a fault planted in one layer."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exporter.explain.stage import RIGHT_AGAIN, Explainer
from runtimes import verify
from runtimes.bundle import open_bundle, save_manifest
from runtimes.explanation import Explanation
from runtimes.files import digest
from runtimes.pool import Pool, cells
from runtimes.reference import REFERENCE, open_reference
from runtimes.rows import VERIFY, load_verify
from tests.conftest import fwexport

onnx = pytest.importorskip("onnx", reason="the faults are planted with onnx")


def plant(bundle: Path, layer: str) -> None:
    """Move the weights of a layer of ``model.onnx`` by 1 % of the largest, as an artifact that the manifest knows."""
    opened = open_bundle(bundle)
    path = bundle / "model.onnx"
    model = onnx.load(path)
    (weight,) = (t for t in model.graph.initializer if t.name == f"{layer}.weight")
    right = onnx.numpy_helper.to_array(weight)
    weight.CopyFrom(onnx.numpy_helper.from_array(right + np.abs(right).max() / 100, weight.name))
    onnx.save(model, path)
    artifacts = [
        replace(artifact, sha256=digest(path)) if artifact.format == "onnx" else artifact
        for artifact in opened.manifest.artifacts
    ]
    save_manifest(bundle, replace(opened.manifest, artifacts=tuple(artifacts)))


def explanation(bundle: Path, *arguments: object) -> dict[str, Any]:
    done = fwexport("verify", bundle, "--format", "onnx", "--explain", "--json", *arguments)
    assert done.returncode == 1, done.stderr
    (row,) = json.loads(done.stdout)["rows"]
    found: dict[str, Any] = row["explanation"]
    return found


def test_the_layer_with_the_fault_is_named_printed_and_saved(own_bundle: Path) -> None:
    plant(own_bundle, "conv2")
    found = explanation(own_bundle)
    assert (found["first_layers"], found["last_good"]) == (["conv2"], "pool1")
    assert [layer["name"] for layer in found["layers"]][:4] == ["conv1", "relu", "pool1", "conv2"]
    ratios = {layer["name"]: layer["ratio"] for layer in found["layers"]}
    assert ratios["pool1"] < 3
    assert ratios["conv2"] > 24
    saved = load_verify(own_bundle / VERIFY)
    assert saved is not None
    (row,) = (row for row in saved.rows if row.artifact == "onnx")
    assert row.explanation is not None
    assert row.explanation.first_layers == ("conv2",)
    printed = fwexport("verify", own_bundle, "--format", "onnx", "--explain").stdout
    assert "first layer that differs: conv2 (Conv2d); agrees up to pool1" in printed


def test_without_the_source_the_rest_is_still_said(own_bundle: Path) -> None:
    plant(own_bundle, "dense1")
    (own_bundle / "source" / "source.json").unlink()
    found = explanation(own_bundle)
    assert found["first_layers"] == []
    assert any("no layer was compared" in note for note in found["notes"])


def test_of_outputs_that_are_right_when_run_again_no_layer_is_blamed(
    bundles: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a mismatch in other batches, or of a held-out sample's class; all samples, or those of a slow runtime."""
    bundle = open_bundle(bundles["torch"])
    reference = open_reference(bundle.folder / REFERENCE)
    (cell,) = cells(bundle, ("cpu",), ("onnx",))
    with Pool() as pool:
        explainer = Explainer(None, reference, pool, None)
        assert explainer.explain(cell) == Explanation(notes=(RIGHT_AGAIN.format(len(reference)),))
        monkeypatch.setattr(verify, "ROW_SECONDS", 1e-9)
        assert explainer.explain(cell) == Explanation(notes=(RIGHT_AGAIN.format(verify.FEWEST),))
