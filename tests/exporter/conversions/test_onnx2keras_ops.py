"""Every operator against ONNX's own reference implementation, in float64."""

from __future__ import annotations

import onnx2keras_child as child
import pytest
from onnx2keras_cases import CASES

from exporter.conversions.onnx2keras import registry
from exporter.converters import Converters


@pytest.fixture(scope="module")
def verdicts(children: Converters) -> dict[str, child.Verdict]:
    return children.get("tensorflow").call(child.run_cases)


@pytest.mark.parametrize("name", CASES)
def test_predicts_what_onnx_says(name: str, verdicts: dict[str, child.Verdict]) -> None:
    verdict = verdicts[name]
    assert verdict.problem == ""
    assert verdict.error <= CASES[name].within
    assert verdict.transposes == CASES[name].transposes


def test_shared_weights_stay_shared(verdicts: dict[str, child.Verdict]) -> None:
    assert verdicts["conv_twice_with_the_same_weights"].parameters == 4 * 4 * 3 * 3


def test_every_operator_has_a_case() -> None:
    used = {node.op_type for case in CASES.values() for node in child.model_of(case).graph.node}
    assert set(registry.operators()) - used == set()
