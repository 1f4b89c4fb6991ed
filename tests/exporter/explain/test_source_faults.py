"""Faults planted in a framework's own layers are found in the source by name, and nothing is found of others."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtimes.client import Worker

torch = pytest.importorskip("torch", reason="the faults are planted in PyTorch's modules")
import torch_faults_child  # noqa: E402


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    names = [*torch_faults_child.PLANTED, "bump", "clean"]
    with Worker({"PYTHONPATH": str(Path(__file__).parent)}) as worker:
        answers: dict[str, list[str]] = worker.call(
            torch_faults_child.found, tmp_path_factory.mktemp("faults"), names
        )
    return answers


@pytest.mark.parametrize("name", torch_faults_child.PLANTED)
def test_a_planted_fault_is_the_first_that_is_named(found: dict[str, list[str]], name: str) -> None:
    case = torch_faults_child.PLANTED[name]
    assert found[name]
    assert found[name][0].startswith(f"{case.name}: ")
    assert case.detail in found[name][0]


@pytest.mark.parametrize("name", ["bump", "clean"])
def test_one_changed_weight_and_a_right_artifact_have_no_name(found: dict[str, list[str]], name: str) -> None:
    assert found[name] == []
