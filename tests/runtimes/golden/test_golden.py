"""The golden folder: which samples, what its files hold, and that a program of no library can judge by it."""

from __future__ import annotations

import array
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtimes.base import Array
from runtimes.bundle import SCHEMA, Artifact, Kind, Manifest, ModelSpec, Source, TensorSpec
from runtimes.golden import INDEX, MAX_BYTES, REPLAYERS, SAMPLES, by_importance, golden, write_golden
from runtimes.reference import Reference
from runtimes.verdict.parity import MAX_RATIO, distances

RNG = np.random.default_rng(4)
IMAGE = TensorSpec("an image/x:0", "float32", (None, 3, 6, 5), "NCHW", "image")
NHWC = TensorSpec("x", "float32", (None, 6, 5, 3), "NHWC", "image")


def reference(output: TensorSpec, image: TensorSpec = IMAGE, real: int = 30, made_up: int = 8) -> Reference:
    count = real + made_up
    y64 = RNG.normal(size=(count, *(size or 1 for size in output.shape[1:])))
    if output.kind == "probabilities":
        y64 = np.exp(y64) / np.exp(y64).sum(axis=1, keepdims=True)
    inputs = RNG.random((count, *(size or 1 for size in image.shape[1:])), dtype="float32")
    roles = np.array(["real"] * real + ["sentinel"] * made_up)
    none = np.empty(0, np.int64)
    noise = RNG.uniform(1e-7, 1e-6, count)
    return Reference(
        {image.name: inputs}, roles, {output.name: y64}, {output.name: noise}, {}, none, {}, (), "", ()
    )


def manifest(output: TensorSpec, *artifacts: Artifact, image: TensorSpec = IMAGE) -> Manifest:
    model = ModelSpec("net", (image,), (output,), tuple("abcd") if output.shape[1:] == (4,) else ())
    return Manifest(SCHEMA, "", "", model, Source("torch", "torch_code", "source"), artifacts)


def scores(kind: Kind) -> TensorSpec:
    return TensorSpec("scores", "float32", (None, 4), "NC", kind)


def artifact(image: TensorSpec, output: TensorSpec, format: str = "onnx") -> Artifact:
    return Artifact(format, f"model.{format}", "0" * 64, 1, (image,), (output,))


def written(folder: Path, manifest: Manifest, reference: Reference) -> dict[str, Any]:
    write_golden(folder, manifest, reference)
    index: dict[str, Any] = json.loads((folder / "golden" / INDEX).read_text())
    return index


@pytest.mark.parametrize("kind", ["logits", "probabilities"])
def test_samples_differ_in_class_and_role(kind: Kind) -> None:
    whole = reference(scores(kind))
    order = by_importance(whole, scores(kind))
    assert len(order) == len(set(order)) == SAMPLES
    y64, roles = whole.y64["scores"], whole.roles[order]
    assert (roles == "sentinel").sum() == 3
    assert len(set(np.argmax(y64[order[roles == "real"]], axis=1))) == 4
    two = np.sort(y64[:30], axis=1)[:, -2:]
    assert np.argmin(two[:, 1] - two[:, 0]) in order[:2]
    assert set(whole.roles[order[:3]]) == {"real", "sentinel"}


def test_whatever_there_is_is_taken() -> None:
    few = reference(scores("tensor"), real=3, made_up=2)
    assert sorted(by_importance(few, scores("tensor"))) == [0, 1, 2, 3, 4]
    index, _ = golden(manifest(scores("tensor"), artifact(IMAGE, scores("tensor"))), few)
    assert index.median_limit is None
    assert {sample.top1 for sample in index.samples} == {None}


def test_files_are_what_each_artifact_takes_and_gives(tmp_path: Path) -> None:
    """Samples in both layouts, those of equal layouts once; the outputs in double precision."""
    output = scores("logits")
    own = replace(output, name="y")
    whole = reference(output)
    made = manifest(
        output, artifact(IMAGE, output), artifact(NHWC, own, "tflite"), artifact(NHWC, own, "keras")
    )
    index = written(tmp_path, made, whole)
    rows = np.sort(by_importance(whole, output))
    first, second, third = index["artifacts"]
    assert second["inputs"] == third["inputs"]
    assert first["outputs"][0]["file"] == second["outputs"][0]["file"]
    assert (first["inputs"][0]["name"], second["inputs"][0]["name"]) == (IMAGE.name, "x")
    assert (first["outputs"][0]["name"], second["outputs"][0]["name"]) == ("scores", "y")

    def read(tensor: dict[str, Any]) -> Array:
        path = tmp_path / "golden" / tensor["file"]
        return np.fromfile(path, np.dtype(tensor["dtype"]).newbyteorder("<")).reshape(tensor["shape"])

    images = whole.inputs[IMAGE.name][rows]
    np.testing.assert_array_equal(read(first["inputs"][0]), images)
    np.testing.assert_array_equal(read(second["inputs"][0]), images.transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(read(first["outputs"][0]), whole.y64["scores"][rows])
    assert index["outputs"][0]["noise"] == whole.noise["scores"][rows].tolist()
    assert index["outputs"][0]["allowed"] == (MAX_RATIO * whole.noise["scores"][rows]).tolist()
    assert [sample["label"] for sample in index["samples"]] == [
        "abcd"[k] for k in np.argmax(whole.y64["scores"][rows], axis=1)
    ]
    files = {tensor["file"] for one in index["artifacts"] for tensor in one["inputs"] + one["outputs"]}
    assert {path.name for path in (tmp_path / "golden").iterdir()} == files | {INDEX, *REPLAYERS}


def test_a_fixed_batch_is_told() -> None:
    image = replace(IMAGE, shape=(4, 3, 6, 5))
    index, _ = golden(
        manifest(scores("logits"), artifact(image, scores("logits"))), reference(scores("logits"))
    )
    assert index.artifacts[0].batch == 4


@pytest.mark.parametrize(("side", "classes", "samples"), [(224, 1, 6), (224, 21, 1), (32, 3, 8)])
def test_large_images_and_maps_stay_within_the_limit(side: int, classes: int, samples: int) -> None:
    """A network of 224 x 224, one that gives 21 maps of that size in double precision, and a small one."""
    image = TensorSpec("image", "float32", (None, 3, side, side), "NCHW", "image")
    inside = TensorSpec("image", "float32", (None, side, side, 3), "NHWC", "image")
    if classes == 1:
        maps = inside_maps = TensorSpec("y", "float32", (None, 1000), "NC", "logits")
    else:
        maps = TensorSpec("y", "float32", (None, classes, side, side), "NCHW")
        inside_maps = TensorSpec("y", "float32", (None, side, side, classes), "NHWC")
    both = (artifact(image, maps), artifact(inside, inside_maps, "tflite"))
    index, arrays = golden(
        manifest(maps, *both, image=image),
        reference(maps, image, 2 if classes == 21 else 12, 1 if classes == 21 else 4),
    )
    total = sum(one.nbytes for one in arrays.values())
    assert len(index.samples) == samples
    assert total <= MAX_BYTES or samples == 1
    assert (index.median_limit is None) == (samples < SAMPLES)


@pytest.mark.parametrize("kind", ["logits", "probabilities"])
def test_the_rule_can_be_followed_without_any_library(kind: Kind, tmp_path: Path) -> None:
    """As a program in C would: files read in order, sums in double precision. It finds what parity finds."""
    output = scores(kind)
    whole = reference(output)
    whole.y64["scores"][0] = [1 - 3e-31, 1e-31, 1e-31, 1e-31] if kind == "probabilities" else [4, 3, 2, 1]
    index = written(tmp_path, manifest(output, artifact(IMAGE, output)), whole)
    tensor, rule = index["artifacts"][0]["outputs"][0], index["outputs"][0]
    expected = array.array("d")
    expected.frombytes((tmp_path / "golden" / tensor["file"]).read_bytes())
    rows = np.sort(by_importance(whole, output))
    got = whole.y64["scores"][rows] * (1 + RNG.normal(size=(len(rows), 4)) * 1e-6)
    e = []
    for i, sample in enumerate(got.tolist()):
        total = 0.0
        for a, b in zip(sample, expected[4 * i : 4 * i + 4], strict=True):
            if rule["compare"] == "values":
                total += (a - b) ** 2
            elif b >= 1e-30:
                total += (math.log(a) - math.log(b)) ** 2
        e.append(math.sqrt(total))
    np.testing.assert_allclose(e, distances(got, whole.y64["scores"][rows], kind), rtol=1e-12)
    assert sum(a <= b for a, b in zip(e, rule["allowed"], strict=True)) > 0
