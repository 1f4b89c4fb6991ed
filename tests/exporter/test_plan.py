"""The ways through the conversions."""

from __future__ import annotations

import pytest

from exporter.plan import Goal, check_formats, edges, fixing, formats, plan, route, steps, with_batch
from runtimes.errors import UsageError
from runtimes.formats import FILES

KNOWN = {"a2b": ("a", "b"), "b2c": ("b", "c"), "a2c": ("a", "c"), "c2d": ("c", "d")}


def test_the_shortest_way_is_taken() -> None:
    assert route("a", "d", KNOWN) == ("a2c", "c2d")
    assert route("a", "a", KNOWN) == ()
    assert route("d", "a", KNOWN) is None


def test_shorter_routes_come_first() -> None:
    assert [goal.format for goal in plan("a", ["d", "b", "a"], KNOWN)] == ["a", "b", "d"]
    with pytest.raises(UsageError, match="no way from d to a"):
        plan("d", ["a"], KNOWN)


@pytest.mark.parametrize("source", ["torch", "keras"])
def test_both_frameworks_reach_every_format(source: str) -> None:
    goals = plan(source, formats(), edges())
    assert (
        {goal.format for goal in goals}
        == {"keras", "onnx", "savedmodel", "tfjs", "tflite", "torchscript"}
        == set(FILES)
    )


def test_the_torch_way_to_tflite_is_the_documented_one() -> None:
    assert route("torch", "tflite", edges()) == (
        "torch2onnx",
        "onnx2keras",
        "keras2savedmodel",
        "savedmodel2tflite",
    )


@pytest.mark.parametrize("source", ["torch", "keras", "savedmodel", "onnx"])
def test_a_variant_follows_the_plain_artifact_and_takes_its_way_again(source: str) -> None:
    known, wanted = edges(), ["onnx", "tflite"]
    plain = plan(source, wanted, known)
    goals = with_batch(plain, source, wanted, 1, known, fixing())
    assert [goal.name for goal in goals] == ["onnx", "onnx-batch1", "tflite", "tflite-batch1"]
    assert goals[1].way == (*plain[0].way, "onnx2onnx")
    assert goals[3].way == plain[1].way
    assert [goal.file for goal in goals[2:]] == ["model.tflite", "model.batch1.tflite"]
    assert steps(goals) == steps(plain) + 2  # what both share is converted once
    assert list(goals[3].steps)[-1] == ("savedmodel2tflite", "tflite-batch1")


def test_only_formats_that_a_conversion_can_fix_have_variants() -> None:
    assert fixing() == {"onnx": "onnx2onnx", "tflite": "savedmodel2tflite"}
    goals = plan("torch", ["onnx", "torchscript"], edges())
    assert with_batch(goals, "torch", ["torchscript"], 1, edges(), fixing()) == goals
    assert Goal("savedmodel", (), 1).file == "saved_model.batch1"


def test_a_misspelt_format_gets_a_suggestion() -> None:
    with pytest.raises(UsageError, match="Did you mean 'tflite'"):
        check_formats(["tflit"])


def test_a_browser_for_which_no_format_is_made_is_refused() -> None:
    check_formats(["keras", "onnx"], browser=True)
    check_formats([], browser=True)
    check_formats(["keras"])
    with pytest.raises(
        UsageError, match=r"keras, torchscript runs in no browser; what does is onnx, tfjs, tflite"
    ):
        check_formats(["keras", "torchscript"], browser=True)
