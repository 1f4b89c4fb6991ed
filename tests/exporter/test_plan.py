"""The ways through the conversions."""

from __future__ import annotations

import pytest

from exporter.plan import check_formats, edges, formats, plan, route
from runtimes.errors import UsageError
from runtimes.formats import FILES

KNOWN = {"a2b": ("a", "b"), "b2c": ("b", "c"), "a2c": ("a", "c"), "c2d": ("c", "d")}


def test_the_shortest_way_is_taken() -> None:
    assert route("a", "d", KNOWN) == ("a2c", "c2d")
    assert route("a", "a", KNOWN) == ()
    assert route("d", "a", KNOWN) is None


def test_shorter_routes_come_first() -> None:
    assert list(plan("a", ["d", "b", "a"], KNOWN)) == ["a", "b", "d"]
    with pytest.raises(UsageError, match="no way from d to a"):
        plan("d", ["a"], KNOWN)


@pytest.mark.parametrize("source", ["torch", "keras"])
def test_both_frameworks_reach_every_format(source: str) -> None:
    ways = plan(source, formats(), edges())
    assert set(ways) == {"keras", "onnx", "savedmodel", "tfjs", "tflite", "torchscript"} == set(FILES)


def test_the_torch_way_to_tflite_is_the_documented_one() -> None:
    assert route("torch", "tflite", edges()) == (
        "torch2onnx",
        "onnx2keras",
        "keras2savedmodel",
        "savedmodel2tflite",
    )


def test_a_misspelt_format_gets_a_suggestion() -> None:
    with pytest.raises(UsageError, match="Did you mean 'tflite'"):
        check_formats(["tflit"])
