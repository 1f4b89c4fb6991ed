"""The benchmark of TF.js files: a file beside itself, one that does not run, and what counts as worse."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runtimes.adapters import tfjs
from tests.benchmarks import tfjs_fidelity
from tests.benchmarks.tfjs_fidelity import File, Row
from tests.runtimes.adapters import small_models

needs_node = pytest.mark.skipif(tfjs.check("cpu") is not None, reason=str(tfjs.check("cpu")))

FILE = File("", True, {"MatMul": 2}, 80, "00", {"wasm": 1e-7, "js": 1e-7})


@needs_node
def test_two_files_run_in_turns_and_are_judged(tmp_path: Path) -> None:
    for side in tfjs_fidelity.SIDES:
        small_models.tfjs(tmp_path / side)
    feeds = {"row": small_models.ROW, "more": small_models.more("float32")}
    turn = tfjs_fidelity.race(tmp_path, "wasm", ["official", "ours"], feeds, 0.1)
    assert len(turn["ours"]["times"]) == len(turn["official"]["times"]) >= 10
    middle, low, high, ms = tfjs_fidelity._ratio([turn])
    assert low <= middle <= high
    assert ms > 0
    for wanted, words in ((small_models.SUM, ""), (small_models.SUM + 1, "differs from TensorFlow")):
        answers = {"sum": wanted, "double": 2 * feeds["more"]}
        error, said = tfjs_fidelity.verdict(turn["ours"], tmp_path / "ours", answers)
        assert (error < 1e-3) == (words == "")
        assert said.startswith(words) if words else said == ""
    assert tfjs_fidelity.verdict(turn["ours"], tmp_path / "ours", {"sum": wanted})[1].startswith(
        "its outputs"
    )


@needs_node
def test_a_file_that_does_not_run_is_wrong_and_the_other_is_judged(tmp_path: Path) -> None:
    small_models.tfjs(tmp_path / "ours")
    small_models.tfjs(tmp_path / "official", op="NoSuchOp")
    feeds = {"row": small_models.ROW, "more": small_models.more("float32")}
    turn = tfjs_fidelity.race(tmp_path, "js", ["ours", "official"], feeds, 0.1)
    error, said = tfjs_fidelity.verdict(turn["official"], tmp_path / "official", {})
    assert error == float("inf")
    assert "NoSuchOp" in said
    assert turn["ours"]["outputs"].keys() == {"added:0", "doubled:0"}


@pytest.mark.parametrize(
    ("ours", "official", "times", "worse"),
    [
        (FILE, FILE, {"wasm": (1.2, 0.9, 1.5, 9.0)}, False),
        (FILE, FILE, {"wasm": (1.2, 1.1, 1.5, 9.0)}, True),
        (FILE, FILE, {"wasm": (1.2, 1.1, 1.5, 0.05)}, False),
        (replace(FILE, ops={"MatMul": 2, "Add": 1}), FILE, {}, True),
        (replace(FILE, weight_bytes=84), FILE, {}, True),
        (replace(FILE, weight_bytes=84), replace(FILE, wrong="js: differs"), {}, False),
        (replace(FILE, wrong="js: differs"), replace(FILE, wrong="js: differs"), {}, True),
        (File("no operator for Lgamma", is_there=False), FILE, {}, True),
        (File("no operator for Lgamma", is_there=False), File("Lgamma", is_there=False), {}, False),
    ],
)
def test_what_is_worse(
    ours: File, official: File, times: dict[str, tuple[float, float, float, float]], worse: bool
) -> None:
    assert Row("net", ours, official, times).is_worse is worse
