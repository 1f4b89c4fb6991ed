"""The files of one batch size that ``--browser`` adds: static throughout, and right in the runtimes that take any."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from ai_edge_litert.interpreter import Interpreter
from conftest import fwexport

from exporter import build as stage
from exporter.plan import Goal
from exporter.source_folder import open_source
from runtimes.adapters import litert, onnxruntime
from runtimes.bundle import Failure, open_bundle
from runtimes.pool import Cell, Pool
from runtimes.reference import REFERENCE, open_reference
from runtimes.verify import judge_cells

NAMES = ("onnx-batch1", "tflite-batch1")


@pytest.mark.parametrize("framework", ["torch", "keras"])
def test_every_size_is_a_constant(browser_bundles: dict[str, Path], framework: str) -> None:
    bundle = open_bundle(browser_bundles[framework])
    onnx, tflite = (bundle.manifest.artifact(name) for name in NAMES)
    assert onnx is not None
    assert tflite is not None
    assert (onnx.path, tflite.path) == ("model.batch1.onnx", "model.batch1.tflite")
    for artifact, adapter in ((onnx, onnxruntime), (tflite, litert)):
        found, plain = adapter.inspect(bundle.path(artifact)), bundle.manifest.artifact(artifact.format)
        assert plain is not None
        assert [spec.name for spec in found.inputs] == [spec.name for spec in plain.inputs]
        assert [spec.shape for spec in (*found.inputs, *found.outputs)] == [
            (1, *spec.shape[1:]) for spec in (*plain.inputs, *plain.outputs)
        ]
        shapes = {"Shape", "Gather", "Concat", "Unsqueeze", "SHAPE", "STRIDED_SLICE", "PACK"}
        assert not shapes & set(found.ops), found.ops
    details = Interpreter(str(bundle.path(tflite))).get_tensor_details()
    assert not [one["name"] for one in details if -1 in one["shape_signature"]]


def test_export_writes_them_for_browsers(bundles: dict[str, Path], tmp_path: Path) -> None:
    assert set(stage.for_browsers()) == {"onnx", "tflite"}
    out = tmp_path / "out"
    done = fwexport("export", bundles["keras"] / "source", "--browser", "--format", "tflite", "-o", out)
    assert done.returncode == 0, done.stderr
    plain, one = open_bundle(out).manifest.artifacts
    assert (plain.name, one.name, one.path) == ("tflite", "tflite-batch1", "model.batch1.tflite")
    assert plain.edges == one.edges == ("keras2savedmodel", "savedmodel2tflite")
    assert plain.versions == one.versions
    assert plain.sha256 != one.sha256
    assert one.convert_s
    assert [line.split("\t")[1] for line in done.stdout.splitlines()] == ["tflite", "tflite-batch1"]
    golden = json.loads((out / "golden" / "golden.json").read_text())["artifacts"]
    assert [(each["name"], each["batch"]) for each in golden] == [("tflite", None), ("tflite-batch1", 1)]
    replayed = subprocess.run([sys.executable, out / "golden" / "replay.py"], capture_output=True, text=True)
    assert [line.split()[:2] for line in replayed.stdout.splitlines()] == [
        ["tflite", "passed"],
        ["tflite-batch1", "passed"],
    ], replayed.stderr


def test_they_predict_what_the_source_does(browser_bundles: dict[str, Path]) -> None:
    bundle = open_bundle(browser_bundles["torch"])
    places = (("onnxruntime", "cpu", "cpu"), ("litert", "cpu", "xnnpack"))
    chosen = [Cell(bundle, bundle.folder, name, *place) for name, place in zip(NAMES, places, strict=True)]
    with Pool() as pool:
        rows = [row for _, row, _ in judge_cells(chosen, open_reference(bundle.folder / REFERENCE), pool)]
    assert [(row.artifact, row.outcome) for row in rows] == [(name, "passed") for name in NAMES], rows


def test_a_variant_that_fails_is_a_failure_of_its_name(
    bundles: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plain file is there; and a variant of what failed failed for the same reason."""

    def fail(name: str, have: Path, out: Path, *_: object) -> Failure | None:
        if name != "torch2onnx":
            return Failure("onnx", name, "no")
        out.touch()
        return None

    monkeypatch.setattr(stage, "_convert", fail)
    source = open_source(bundles["torch"] / "source")
    goals = [
        Goal("onnx", ("torch2onnx",)),
        Goal("onnx", ("torch2onnx", "onnx2onnx"), 1),
        Goal("tflite", ("torch2onnx", "onnx2keras")),
        Goal("tflite", ("torch2onnx", "onnx2keras"), 1),
    ]
    (tmp_path / "source").mkdir()
    steps: list[str] = []
    made = stage._convert_all(tmp_path, source, goals, MagicMock(), steps.append)
    assert list(made.paths) == ["onnx"]
    assert steps == ["torch2onnx", "onnx2onnx, batch 1", "onnx2keras", "onnx2keras, batch 1"]
    assert made.failures["onnx-batch1"] == Failure("onnx-batch1", "onnx2onnx", "no")
    assert made.failures["tflite-batch1"].format == "tflite-batch1"
