"""A part of the ONNX project's backend tests; ``make backend-tests`` runs all of them (see onnx_backend.py)."""

from __future__ import annotations

import onnx_backend
import pytest
from onnx_backend_child import Outcome

# What image classifiers and small transformers are made of; every fourth case of each of these families.
FAMILIES = {
    *("add", "argmax", "averagepool", "batchnorm", "clip", "concat", "constant_pad", "conv", "convtranspose", "div"),
    *("depthtospace", "edge_pad", "einsum", "expand", "flatten", "gather", "gelu", "gemm", "globalaveragepool"),
    *("group_normalization", "hardsigmoid", "hardswish", "instancenorm", "layer_normalization", "matmul", "maxpool"),
    *("mul", "pow", "prelu", "reduce_l2", "reduce_mean", "reflect_pad", "relu", "reshape", "resize", "scatternd"),
    *("rms_normalization", "sigmoid", "slice", "softmax", "split", "squeeze", "sub", "tile", "top_k", "transpose"),
    *("unsqueeze", "where", "AvgPool2d", "Conv2d", "Linear", "MaxPool2d", "operator"),
}  # fmt: skip
STRIDE = 4


@pytest.fixture(scope="module")
def excluded() -> onnx_backend.Excluded:
    return onnx_backend.read()


@pytest.fixture(scope="module")
def cases() -> list[onnx_backend.Case]:
    return onnx_backend.every_case()


def chosen(cases: list[onnx_backend.Case]) -> list[onnx_backend.Case]:
    """The same cases every time: enough of each family, and none of the large models."""
    picked = []
    for family in sorted(FAMILIES):
        prefix = f"test_{family}_"
        found = [case for case in cases if f"{case[1]}_".startswith(prefix) and case[0] != "real"]
        assert found, f"no case of {family}"
        picked += found[::STRIDE]
    return list(dict.fromkeys(picked))


def test_as_listed(cases: list[onnx_backend.Case], excluded: onnx_backend.Excluded) -> None:
    results = list(onnx_backend.outcomes(chosen(cases)))
    assert sum(outcome.status == "passed" for _, outcome in results) > 100
    assert [
        (case, problem)
        for case, outcome in results
        if (problem := onnx_backend.surprise(case, outcome, excluded))
    ] == []


def test_the_list_names_cases_that_exist(
    cases: list[onnx_backend.Case], excluded: onnx_backend.Excluded
) -> None:
    assert set(excluded.all) - set(cases) == set()
    assert not set(excluded.refused) & set(excluded.by_hand)
    assert all(excluded.all.values())


def test_what_is_a_surprise() -> None:
    excluded = onnx_backend.Excluded({("node", "a"): "too hard"}, {})
    assert (
        onnx_backend.surprise(("node", "a"), Outcome("passed"), excluded) == "passes, but is listed: too hard"
    )
    assert onnx_backend.surprise(("node", "a"), Outcome("refused", "no"), excluded) == ""
    assert onnx_backend.surprise(("node", "b"), Outcome("passed"), excluded) == ""
    assert onnx_backend.surprise(("node", "b"), Outcome("failed", "wrong"), excluded) == "failed: wrong"
