"""PyTorch to ONNX: operators written in place, and those that only PyTorch's own decomposition knows."""

from __future__ import annotations

import pytest
import torch2onnx_child as child

from exporter.converters import Converters
from runtimes.client import Worker
from runtimes.errors import ConversionError


@pytest.fixture(scope="module")
def torch_child(children: Converters) -> Worker:
    return children.get("torch")


@pytest.mark.parametrize("name", child.CASES)
def test_predicts_what_the_module_predicts(name: str, torch_child: Worker) -> None:
    export = torch_child.call(child.export, name)
    assert export.error < 1e-5
    assert export.traced_again == child.CASES[name][1]


def test_a_failure_gives_the_words_of_both_ways(torch_child: Worker) -> None:
    with pytest.raises(ConversionError, match=r"cannot export forked: GuardOn\w+: [^;]*$"):
        torch_child.call(child.depends_on_the_data, False)
    with pytest.raises(
        ConversionError, match=r"cannot export forked: GuardOn.*; before that, .*: KeyError: 'planted'"
    ):
        torch_child.call(child.depends_on_the_data, True)
