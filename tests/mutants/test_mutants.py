"""The fast part of the mutants: faults of each place in every artifact are found, and a clean export is not blamed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from exporter.converters import Converters
from runtimes.bundle import ModelSpec, TensorSpec
from runtimes.explanation import Cause, Explanation
from tests.mutants import child, file_faults, runtime_faults, spec_faults
from tests.mutants.child import Options
from tests.mutants.kinds import FRAMEWORKS, KINDS
from tests.mutants.rows import (
    Clean,
    Row,
    Tried,
    complaints,
    gap_table,
    killed,
    scores,
    summary,
    told,
    total,
)
from tests.mutants.run import FaultyPool, Mutants, ahead, chosen, clean_networks
from tests.zoo.rows import COLUMNS

# One of each place, and one that no output can show.
FAST = (
    "padding off by one",
    "dead weight changed",
    "input renamed",
    "weight changed in the file",
    "NaN in the file",
    "file cut short",
    "state kept between runs",
    "device fallback",
)

FOUND = Row("onnx", "mismatch", "too far", 1e6)
PASSED = Row("tflite", "passed", "", 1.0)


@pytest.fixture(scope="module")
def mutants(children: Converters, pool: FaultyPool, tmp_path_factory: pytest.TempPathFactory) -> Mutants:
    pool.next_bundle()
    return Mutants(tmp_path_factory.mktemp("mutants"), children, children, pool, explained=1)


def test_a_clean_export_is_not_blamed(mutants: Mutants) -> None:
    options = Options("torch")
    clean = mutants.pass_clean(options.name, mutants.clean(options))
    assert [row.column for row in clean.rows] == [
        "torchscript",
        "onnx",
        "keras",
        "savedmodel",
        "tflite",
        "tfjs wasm",
        "tfjs js",
    ]
    assert complaints([], [clean]) == []


@pytest.mark.parametrize("name", FAST)
def test_a_fault_is_found_in_every_artifact(name: str, mutants: Mutants) -> None:
    kind = KINDS[name]
    tried = mutants.judge(kind, "torch", mutants.plant(kind, "torch"))
    assert {row.column for row in tried.rows} == set(COLUMNS)
    assert complaints([tried], []) == []


def test_every_kind_of_fault_is_one_that_can_be_planted(mutants: Mutants) -> None:
    in_source = set(mutants.planter.converters.get("torch").call(child.faults, "torch"))
    assert in_source - {"slope changed in the file"} == {
        name for name, kind in KINDS.items() if kind.place == "source" and "torch" in kind.frameworks
    }
    assert set(spec_faults.FAULTS) - {"type of the input"} == {
        name for name, kind in KINDS.items() if kind.place == "spec"
    }
    assert {
        *file_faults.NUMBERS,
        *file_faults.DAMAGES,
        *file_faults.FOREIGN,
        "slope changed in the file",
    } == {name for name, kind in KINDS.items() if kind.place == "file"}
    assert {*runtime_faults.FAULTS, "device fallback"} == {
        name for name, kind in KINDS.items() if kind.place == "runtime"
    }


def test_there_are_at_least_forty_kinds_that_can_be_seen() -> None:
    assert len([kind for kind in KINDS.values() if not kind.unseen]) >= 40


def test_a_number_is_replaced_wherever_it_is() -> None:
    old = np.array([1.5, -2.25, 3.0], np.float32)
    new = np.array([1.5, 7.0, 3.0], np.float32)
    content = b"?" + np.float32([9, -2.25, 1.5, 3]).tobytes() + b"??"
    changed = file_faults.substituted(content, old, new)
    assert changed == b"?" + np.float32([9, 7, 1.5, 3]).tobytes() + b"??"


def test_a_number_that_is_there_twice_or_not_at_all_is_no_place_for_a_fault() -> None:
    old, new = np.array([2.5], np.float32), np.array([3.5], np.float32)
    for content in (np.float32([2.5, 2.5]).tobytes(), np.float32([1.0]).tobytes()):
        with pytest.raises(ValueError, match="0 are in the file once"):
            file_faults.substituted(content, old, new)


def test_a_spec_fault_changes_the_spec() -> None:
    image, scores, other = (TensorSpec(name, "float32", (None, 4)) for name in ("image", "scores", "other"))
    spec = ModelSpec("net", (image,), (scores, other), ("b", "a"), ({"op": "scale", "factor": 1.0},))
    for fault in spec_faults.FAULTS.values():
        assert fault(spec) != spec


def test_a_fault_that_passes_is_named() -> None:
    tried = Tried("bias dropped", "torch", 1e5, rows=(FOUND, PASSED))
    assert complaints([tried], []) == ["torch/bias dropped was not found: tflite passed"]
    assert complaints([replace(tried, rows=(FOUND,))], []) == []


def test_a_crash_is_no_find() -> None:
    assert not killed(KINDS["bias dropped"], replace(FOUND, outcome="crashed"))
    assert not killed(KINDS["bias dropped"], replace(FOUND, outcome="unavailable"))
    assert killed(KINDS["device fallback"], replace(FOUND, outcome="unavailable"))


def test_a_fault_that_moves_nothing_must_say_so() -> None:
    [said] = complaints([Tried("bias dropped", "torch", 3.0, rows=(FOUND,))], [])
    assert "3 n" in said
    [said] = complaints([Tried("dead weight changed", "torch", 100.0, rows=(PASSED,))], [])
    assert "100 n" in said
    assert complaints([Tried("dead weight changed", "torch", 0.0, rows=(PASSED,))], []) == []


def test_a_converter_may_refuse_only_what_its_kind_says() -> None:
    refused = {"tflite": "no such operator"}
    assert complaints([Tried("dropout active", "torch", 1e5, refused)], []) == []
    [said] = complaints([Tried("bias dropped", "torch", 1e5, refused)], [])
    assert "no tflite was written: no such operator" in said


def test_a_clean_network_that_is_blamed_is_named() -> None:
    assert complaints([], [Clean("net", (FOUND, PASSED))]) == ["clean net: onnx mismatch: too far"]


def test_an_explanation_is_right_with_one_of_the_layers_and_one_of_the_causes() -> None:
    kind = KINDS["padding off by one"]
    cause = Cause("padding off by one", "source", "", 1.0)
    right = told(kind, Explanation(("pad", "stem"), causes=(cause,)), traced=True)
    wrong = told(kind, Explanation(("head",)), traced=True)
    assert (right.right_layer, right.right_cause) == (True, True)
    assert (wrong.right_layer, wrong.right_cause) == (False, False)
    assert told(kind, Explanation(), traced=False).right_layer is None
    assert told(replace(kind, causes=()), Explanation(("stem",)), traced=True).right_cause is None
    tried = Tried(kind.name, "torch", rows=(replace(FOUND, told=right), replace(FOUND, told=wrong)))
    assert scores([tried]) == {kind.name: {"layer": (1, 2), "cause": (1, 2)}}
    assert total(scores([tried]), "cause") == (1, 2)


def test_the_summary_counts_what_can_be_seen() -> None:
    seen = Tried("bias dropped", "torch", 1e5, rows=(FOUND, PASSED))
    unseen = Tried("dead weight changed", "torch", 0.0, rows=(PASSED,))
    lines = summary([seen, unseen], [Clean("net", (PASSED,))])
    assert lines[0] == "1 kinds of fault in 1 networks: 1 of 2 artifacts found."
    assert lines[1] == "1 clean networks: 1 of 1 artifacts passed."
    assert "dead weight changed" in lines[2]


def test_clean_networks_are_as_many_as_asked_and_all_different() -> None:
    nets = clean_networks(100)
    names = [net if isinstance(net, str) else net.name for net in nets]
    assert len(set(names)) == 100
    assert {net.framework for net in nets if isinstance(net, Options)} == set(FRAMEWORKS)


def test_mutants_are_chosen_by_a_part_of_their_name() -> None:
    assert [kind.name for kind, _ in chosen(["softmax d"])] == ["softmax doubled"] * 2
    assert [framework for _, framework in chosen(["torch/softmax d"])] == ["torch"]
    with pytest.raises(SystemExit, match="no mutant's name contains 'nothing'"):
        chosen(["nothing"])


def test_what_is_made_ahead_comes_in_order() -> None:
    assert list(ahead(lambda number: number * 2, [1, 2, 3])) == [(1, 2), (2, 4), (3, 6)]


def test_the_gap_is_between_the_worst_clean_export_and_the_least_fault() -> None:
    least, structural = Row("onnx", "mismatch", "", 40.0, 3.0), Row("onnx", "failed", "no input")
    tried = [
        Tried("weight changed", "torch", 50.0, rows=(least,)),
        Tried("bias dropped", "keras", 1e5, rows=(FOUND,)),
    ]
    tried.append(Tried("input renamed", "torch", rows=(structural,)))
    clean = [Clean("net", (Row("onnx", "passed", "", 1.25, 0.5), PASSED))]
    [onnx] = [
        row
        for row in zip(*(column.cells for column in gap_table(tried, clean).columns), strict=True)
        if row[0] == "onnx"
    ]
    assert onnx == ("onnx", "1.2", "0.5", "40", "3", "torch/weight changed")
