"""What an artifact does to its input is found by undoing it; the artifacts are functions with one such fault each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from exporter.explain.causes import causes_of, on_inputs
from exporter.explain.input_changes import input_changes
from runtimes.bundle import ModelSpec, TensorSpec
from runtimes.client import ChildFailed
from runtimes.errors import FwexportError, WorkerCrashed
from runtimes.reference import Reference
from runtimes.verdict.parity import noise_floor
from runtimes.verdict.turned import turned

COUNT = 20
RNG = np.random.default_rng(7)
IMAGES = (RNG.integers(0, 256, (COUNT, 3, 6, 6)) / 255).astype("float32")
W = [RNG.normal(size=(108, 40)).astype("float32") / 6, RNG.normal(size=(40, 5)).astype("float32") / 4]
MEAN, STD = np.array([0.485, 0.456, 0.406], "float32"), np.array([0.229, 0.224, 0.225], "float32")
OPERATIONS = ({"op": "normalize", "mean": [0.3, 0.4, 0.5], "std": [0.1, 0.2, 0.3]},)
CAFFE = np.array([103.939, 116.779, 123.68]).reshape(3, 1, 1)
OWN = tuple(np.array(OPERATIONS[0][key], "float32").reshape(3, 1, 1) for key in ("mean", "std"))

Artifact = Callable[[np.ndarray], np.ndarray]


def net(x: np.ndarray) -> np.ndarray:
    """Five logits of pictures (n, 3, 6, 6), in the type of ``x``; a bias keeps scales from cancelling."""
    return np.tanh(x.reshape(len(x), -1) @ W[0].astype(x.dtype) + x.dtype.type(0.3)) @ W[1].astype(x.dtype)


def each(numbers: np.ndarray) -> np.ndarray:
    return numbers.reshape(3, 1, 1)


def as_nhwc(x: np.ndarray) -> np.ndarray:
    """A buffer of channels last, taken for one of channels first."""
    return x.transpose(0, 2, 3, 1).reshape(x.shape)


PLANTED: dict[str, tuple[str, Artifact, Artifact]] = {
    "transposed": ("height and width transposed", net, lambda x: net(x.swapaxes(2, 3))),
    "bgr": ("channels reversed (RGB/BGR)", net, lambda x: net(x[:, ::-1])),
    "nhwc": ("layout reinterpreted (NCHW/NHWC)", net, lambda x: net(as_nhwc(x))),
    "mirrored": ("flipped", net, lambda x: net(x[..., ::-1])),
    "turned": ("flipped", net, lambda x: net(x[:, :, ::-1, ::-1])),
    "scale-missing": ("scale 1/255 missing", lambda x: net(x / 255), net),
    "scale-doubled": ("scale 1/255 doubled", net, lambda x: net(x / np.float32(255))),
    "imagenet-missing": ("mean and std missing", lambda x: net((x - each(MEAN)) / each(STD)), net),
    "imagenet-doubled": ("mean and std doubled", net, lambda x: net((x - each(MEAN)) / each(STD))),
    "own-doubled": ("mean and std doubled", net, lambda x: net((x - OWN[0]) / OWN[1])),
    "all-doubled": ("mean and std doubled", net, lambda x: net((x / 255 - each(MEAN)) / each(STD))),
    "own-missing-inside": (
        "mean and std missing",
        lambda x: net((x / 255 - each(MEAN)) / each(STD)),
        lambda x: net(x / np.float32(255)),
    ),
    "caffe": ("mean and std missing", lambda x: net(x - CAFFE.astype(x.dtype)), net),
    "scale-inside": (
        "scale 1/255 doubled",
        net,
        lambda x: net(((x * each(STD) + each(MEAN)) / 255 - each(MEAN)) / each(STD)),
    ),
    "scale-missing-inside": (
        "scale 1/255 missing",
        net,
        lambda x: net(((x * each(STD) + each(MEAN)) * 255 - each(MEAN)) / each(STD)),
    ),
    "inverted": ("colours inverted", net, lambda x: net(1 - x)),
}


def reference(source: Artifact, images: np.ndarray = IMAGES) -> tuple[Reference, ModelSpec]:
    y64 = source(images.astype("float64"))
    noise = noise_floor([source(images)], y64, "logits", np.ones(COUNT, bool))
    spec = TensorSpec("image", "float32", (None, 3, 6, 6), "NCHW", "image")
    model = ModelSpec(
        "net", (spec,), (TensorSpec("y", "float32", (None, 5), "NC", "logits"),), (), OPERATIONS
    )
    nothing = np.zeros(0, np.int64)
    roles = np.full(COUNT, "real")
    return (
        Reference({"image": images}, roles, {"y": y64}, {"y": noise}, {}, nothing, {}, (), "", ()),
        model,
    )


def named(source: Artifact, artifact: Artifact) -> list[str]:
    given, model = reference(source)

    def run(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"y": artifact(inputs["image"])}

    return [cause.name for cause in on_inputs(run, run(given.inputs), given, model, 60, [])]


@pytest.mark.parametrize("name", PLANTED)
def test_what_an_artifact_does_to_its_input_is_named_and_nothing_else(name: str) -> None:
    cause, source, artifact = PLANTED[name]
    assert named(source, artifact) == [cause]


REFUSED = ChildFailed("index out of range", "IndexError", "")


@pytest.mark.parametrize("error", [REFUSED, WorkerCrashed("the child process was killed")])
def test_inputs_that_the_runtime_fails_on_leave_the_causes_that_were_found(error: FwexportError) -> None:
    given, model = reference(net)

    def run(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        images = inputs["image"]
        if images.max() > 1 or images.min() < 0:
            raise error
        return {"y": net(images[..., ::-1])}

    notes: list[str] = []
    found = on_inputs(run, run(given.inputs), given, model, 60, notes)
    assert [cause.name for cause in found] == ["flipped"]
    crashed = isinstance(error, WorkerCrashed)
    assert notes == [f"not every change of the inputs was tried: with scale 1/255 doubled, {error}"] * crashed


def test_a_runtime_that_fails_in_other_batches_leaves_the_rest_of_the_search() -> None:
    given, model = reference(net)

    def run(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if len(inputs["image"]) == 1:
            raise REFUSED
        return {"y": net(inputs["image"]) ** 3}

    found, notes = causes_of(run, run(given.inputs), given, model, (), None, None)
    assert found == []
    assert notes == [
        f"other batches of the same samples could not be run: {REFUSED}",
        "there is no source here in which faults could be tried",
    ]


def test_the_search_ends_when_its_time_is_over() -> None:
    given, model = reference(net)

    def run(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"y": net(inputs["image"][..., ::-1])}

    found, notes = causes_of(run, run(given.inputs), given, model, (), None, None, seconds=0)
    assert (found, notes[0]) == ([], "not every change of the inputs was tried: 0 s were over")


def test_where_nothing_computes_in_float64_a_cause_that_rounds_is_found_as_well() -> None:
    cause, source, artifact = PLANTED["scale-missing-inside"]
    measured, model = reference(source)
    given = replace(measured, y64={"y": source(IMAGES).astype("float64")}, noise_kind="estimated")

    def run(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"y": artifact(inputs["image"])}

    found = on_inputs(run, run(given.inputs), given, model, 60, [])
    assert [each.name for each in found] == [cause]


def test_one_changed_weight_is_no_change_of_the_input() -> None:
    changed = W[0].copy()
    changed[50, 3] += 0.1

    def artifact(x: np.ndarray) -> np.ndarray:
        return np.tanh(x.reshape(len(x), -1) @ changed.astype(x.dtype) + x.dtype.type(0.3)) @ W[1].astype(
            x.dtype
        )

    assert named(net, artifact) == []


@pytest.mark.parametrize("way", [lambda x: x.reshape(-1, 6, 4).swapaxes(1, 2), lambda x: x.swapaxes(1, 2)])
def test_images_that_are_not_square_are_read_with_their_sides_exchanged(
    way: Callable[[np.ndarray], np.ndarray],
) -> None:
    given = RNG.normal(size=(COUNT, 4, 6, 1)).astype("float32")
    read = way(given.reshape(-1, 4, 6)).reshape(given.shape)  # what the artifact makes of what it is fed
    undone = [
        way(changed.reshape(-1, 4, 6)).reshape(given.shape)
        for name, _, changed in turned(given, "NHWC")
        if name == "height and width transposed"
    ]
    assert not np.array_equal(read, given)
    assert any(np.array_equal(one, given) for one in undone)


def test_two_inputs_of_one_shape_are_tried_in_each_others_place() -> None:
    left, right = RNG.normal(size=(2, COUNT, 4)).astype("float32")
    specs = tuple(TensorSpec(name, "float32", (None, 4), "NC") for name in ("left", "right"))
    changes = list(input_changes({"left": left, "right": right}, ModelSpec("net", specs, ())))
    swapped = next(change for change in changes if change.name == "inputs swapped")
    assert swapped.inputs["left"] is right
    assert swapped.detail == "left is taken for right, right is taken for left"


def test_images_in_whole_numbers_are_turned_but_not_scaled() -> None:
    spec = TensorSpec("image", "uint8", (None, 6, 6, 3), "NHWC", "image")
    images = (IMAGES.transpose(0, 2, 3, 1) * 255).round().astype("uint8")
    changes = list(input_changes({"image": images}, ModelSpec("net", (spec,), ())))
    assert {change.name for change in changes} == {
        "height and width transposed",
        "channels reversed (RGB/BGR)",
        "layout reinterpreted (NCHW/NHWC)",
        "flipped",
    }
    assert all(change.inputs["image"].dtype == np.uint8 for change in changes)
