"""Faults planted in a framework's own layers are found in the source by name, and nothing is found of others."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from exporter.converters import Converters
from exporter.explain.faults import faults
from exporter.explain.operators import Op
from exporter.explain.source_faults import Artifact, Change, Trial, _restores
from runtimes.base import Array, Feeds
from runtimes.bundle import TensorSpec
from runtimes.client import Worker

torch = pytest.importorskip("torch", reason="the faults are planted in PyTorch's modules")
pytest.importorskip("keras", reason="the faults are planted in Keras's layers")
import keras_faults_child  # noqa: E402
import torch_faults_child  # noqa: E402


@pytest.fixture(scope="module")
def in_keras(children: Converters, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    folder = tmp_path_factory.mktemp("keras_faults")
    answers: dict[str, list[str]] = children.get("tensorflow").call(keras_faults_child.found, folder)
    return answers


@pytest.fixture(scope="module")
def in_torch(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    names = [*torch_faults_child.PLANTED, "bump", "clean"]
    with Worker({"PYTHONPATH": str(Path(__file__).parent)}) as worker:
        answers: dict[str, list[str]] = worker.call(
            torch_faults_child.found, tmp_path_factory.mktemp("faults"), names
        )
    return answers


def test_every_name_is_of_the_list_that_contributing_explains() -> None:
    text = (Path(__file__).parents[3] / "CONTRIBUTING.md").read_text()
    table = text[text.index("### The causes that") : text.index("## Commands")]
    for name in {fault.name for fault in faults()} | {"another layer's weights"}:
        assert name in table


def is_first(found: list[str], name: str, detail: str) -> bool:
    return bool(found) and found[0].startswith(f"{name}: ") and detail in found[0]


@pytest.mark.parametrize("name", torch_faults_child.PLANTED)
def test_a_fault_of_pytorch_is_the_first_that_is_named(in_torch: dict[str, list[str]], name: str) -> None:
    case = torch_faults_child.PLANTED[name]
    assert is_first(in_torch[name], case.name, case.detail), in_torch[name]


@pytest.mark.parametrize("name", keras_faults_child.PLANTED)
def test_a_fault_of_keras_is_the_first_that_is_named(in_keras: dict[str, list[str]], name: str) -> None:
    case = keras_faults_child.PLANTED[name]
    assert is_first(in_keras[name], case.name, case.detail), in_keras[name]


@pytest.mark.parametrize("name", ["bump", "clean"])
def test_one_changed_weight_and_a_right_artifact_have_no_name(
    in_torch: dict[str, list[str]], in_keras: dict[str, list[str]], name: str
) -> None:
    assert in_torch[name] == []
    assert in_keras[name] == []


class Counted:
    """A source that gives 0, however it is changed."""

    inputs = outputs = (TensorSpec("x", "float32", (None, 1), "NC"),)
    runs = 0

    def run(self, feeds: Feeds, changes: Mapping[int, Change]) -> dict[str, Array]:
        self.runs += 1
        return {"x": np.zeros_like(feeds["x"])}

    def operators(self, feeds: Feeds) -> list[Op]:
        return []


@pytest.mark.parametrize(("seconds", "runs"), [(60, 3), (0, 0)])
def test_a_number_is_searched_for_until_the_time_is_over(seconds: float, runs: int) -> None:
    one = {"x": np.ones((4, 1), "float32")}
    case = Artifact(one, one, {"x": np.ones((4, 1))}, {"x": np.full(4, 1e-7)})
    trial, source = Trial("another epsilon", "", {}, (0.1, 1.0, 10.0), tuned=True), Counted()
    assert _restores(source, trial, case, {"x": "tensor"}, time.monotonic() + seconds) is None
    assert source.runs == runs
