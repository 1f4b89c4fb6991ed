"""The fast part of the zoo, and what makes the zoo worth its time: no parameter of its networks is without effect."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.converters import Converters
from runtimes.client import Worker
from runtimes.pool import Pool
from tests.zoo import child
from tests.zoo.explained import EXPLAINED, TRANSPOSES
from tests.zoo.registry import FAST, MODELS
from tests.zoo.rows import COLUMNS, Row, Tried, complaints, too_many_transposes
from tests.zoo.run import Zoo, chosen

# Biases that the mathematics cancels: a normalisation, or a difference, takes away what they add.
CANCELLED = {
    "mlp_mixer": ["blocks.0.tokens.2.bias", "blocks.1.tokens.2.bias"],
    "poolformer": ["1.norm1.bias", "3.norm1.bias"],
    "activations": ["21.bias"],
}

PASSED = Row("net", "onnx", "passed", "", 1.0, 0.5)
FAILED = Row("net", "tflite", "failed", "no such operator")


@pytest.fixture(scope="module")
def zoo(children: Converters, pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    return Zoo(tmp_path_factory.mktemp("zoo"), children, pool)


@pytest.mark.parametrize("name", FAST)
def test_every_artifact_predicts_what_the_source_predicts(name: str, zoo: Zoo) -> None:
    tried = zoo.run(MODELS[name])
    assert [row.column for row in tried.rows] == list(COLUMNS)
    assert complaints(tried.rows, EXPLAINED) == []
    assert too_many_transposes([tried], TRANSPOSES) == []


@pytest.mark.parametrize("name", [model.name for model in MODELS.values() if model.framework == "torch"])
def test_a_forgotten_parameter_shows(name: str, torch_child: Worker, tmp_path: Path) -> None:
    model = MODELS[name]
    torch_child.call(child.make_torch, model, tmp_path / "weights.pt")
    found = torch_child.call(child.unnoticed, model, tmp_path / "weights.pt")
    assert found == CANCELLED.get(name, [])


@pytest.fixture(scope="module")
def torch_child(children: Converters) -> Worker:
    return children.get("torch")


def test_what_passed_needs_no_reason_and_what_failed_one() -> None:
    assert complaints([PASSED, FAILED], {"net/tflite": "TF Lite has no such operator."}) == []


def test_a_failed_row_is_named_once_with_its_columns() -> None:
    other = Row("net", "tfjs js", "failed", "no such operator")
    assert complaints([PASSED, FAILED, other], {}) == ["net: tflite, tfjs js failed: no such operator"]


def test_a_reason_for_what_passes_is_stale() -> None:
    [said] = complaints([PASSED], {"net/onnx": "It once did not."})
    assert "Take it off the list" in said


def test_transposes_are_none_unless_known() -> None:
    tried = [Tried("net", (), transposes=count) for count in (None, 0, 2)]
    assert [len(too_many_transposes([one], {})) for one in tried] == [0, 0, 1]
    assert too_many_transposes(tried, {"net": 2}) == []


def test_every_reason_names_a_row_that_there_is() -> None:
    keys = {f"{model}/{column}" for model in MODELS for column in COLUMNS}
    assert set(EXPLAINED) <= keys
    assert set(TRANSPOSES) <= set(MODELS)


def test_models_are_chosen_by_a_part_of_their_name() -> None:
    assert [model.name for model in chosen(["SHUFFLE", "swin"])] == ["shufflenet", "shufflenet_v2", "swin"]
    with pytest.raises(SystemExit, match="no model's name contains 'nothing'"):
        chosen(["shuffle", "nothing"])
