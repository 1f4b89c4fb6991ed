"""The measuring itself, on the fake runtime: who is measured when, what a failure costs, what an idle child may do."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from runtimes import bench, environment
from runtimes.bench import BenchOptions, row
from runtimes.bundle import open_bundle
from runtimes.client import Worker
from runtimes.doubts import Doubt
from runtimes.measuring import idle, measure_child
from runtimes.measuring.cases import SWEEP_UP_TO, Case, Measured, Plan, spared, swept_next, visits
from runtimes.measuring.measure import measure
from runtimes.pool import Cell, cells
from runtimes.process import at_rest, cpu_seconds, peak_rss_bytes, reset_peak_rss, with_descendants
from tests.fake_bundle import fake_bundle, fake_runtime

__all__ = ["fake_runtime"]

pytestmark = pytest.mark.usefixtures("fake_runtime")


def cell(folder: Path, device: str = "cpu", **file: object) -> Cell:
    (found,) = cells(open_bundle(fake_bundle(folder, **file)), devices=(device,))
    return found


def measured(chosen: Sequence[Case], **plan: float) -> dict[int, Measured]:
    """By batch, after the shortest plan that has rounds."""
    found, _ = measure(chosen, Plan(**{"seconds": 0.1, "rounds": 2, **plan}))  # type: ignore[arg-type]
    return {item.case.batch: item for item in found}


def test_each_round_visits_every_case_once_in_an_order_drawn_anew(tmp_path: Path) -> None:
    one = cell(tmp_path / "one")
    items = [Measured(Case(one, threads, batch=batch)) for threads in (1, 2) for batch in (1, 2, 3)]
    order = random.Random(0)
    rounds = [visits(items, order) for _ in range(4)]
    assert all(sorted(map(id, each)) == sorted(map(id, items)) for each in rounds)
    assert len({tuple(map(id, each)) for each in rounds}) == 4
    assert rounds[0] == visits(items, random.Random(0))


def test_the_sides_of_a_comparison_follow_each_other_either_of_them_first(tmp_path: Path) -> None:
    one = cell(tmp_path / "one")
    items = [Measured(Case(one, batch=batch, side=side)) for side in ("old", "new") for batch in (1, 2, 3)]
    order = random.Random(0)
    rounds = [[item.case for item in visits(items, order)] for _ in range(8)]
    pairs = [(first, second) for each in rounds for first, second in zip(each[::2], each[1::2], strict=True)]
    assert all(first.batch == second.batch for first, second in pairs)
    assert {first.side for first, _ in pairs} == {"old", "new"}


def test_every_process_and_every_round_has_its_times(tmp_path: Path) -> None:
    one = cell(tmp_path / "one", seconds=0.001)
    chosen = [Case(one, 1), Case(one, 1, batch=3), Case(one, 2)]
    found, doubts = measure(chosen, Plan(seconds=0.12, rounds=4, processes=2))
    assert [item.case for item in found] == chosen
    assert "idle" not in {doubt.kind for doubt in doubts}
    for item in found:
        assert [len(process) for process in item.times] == [4, 4]
        assert all(len(times) >= 1 for process in item.times for times in process)
        assert len(item.opened) == len(item.warmed) == 2
        assert item.end_to_end == [[], []]
    assert found[0].opened == found[1].opened  # they share their children
    assert found[0].opened != found[2].opened


def test_what_happened_on_the_machine_meanwhile_is_a_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stolen = Doubt("steal", "the hypervisor took 7 %")
    monkeypatch.setattr(environment.Watch, "doubts", lambda self: (stolen,))
    _, doubts = measure([Case(cell(tmp_path / "one"))], Plan(seconds=0.02, rounds=1))
    assert stolen in doubts


def test_a_slow_case_runs_once_a_visit(tmp_path: Path) -> None:
    (slow,) = measured([Case(cell(tmp_path / "slow", seconds=0.3))], seconds=0.2, rounds=5).values()
    assert [len(times) for times in slow.times[0]] == [1] * 5
    assert row(slow).compute.p50_s == pytest.approx(0.3, rel=0.2)  # type: ignore[union-attr]


def test_a_batch_that_kills_its_child_costs_no_other_its_row(tmp_path: Path) -> None:
    one = cell(tmp_path / "one", does="large", seconds=0.001)
    told: list[int] = []
    found, _ = measure(
        [Case(one, batch=batch) for batch in (16, 1, 4)],
        Plan(seconds=0.1, rounds=2),
        lambda item: told.append(item.case.batch),
    )
    outcomes = {item.case.batch: row(item).outcome for item in found}
    assert outcomes == {1: "passed", 4: "passed", 16: "crashed"}
    assert told[0] == 16
    assert set(told) == {1, 4, 16}
    (crashed,) = [item for item in found if item.error is not None]
    shutil.rmtree(str(crashed.error).rpartition("< ")[2].removesuffix("/calls.jsonl"))


@pytest.mark.parametrize("does", ["large", "engine"])
def test_a_child_that_is_opened_again_warms_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str
) -> None:
    called: list[tuple[str, int]] = []
    really = Worker.start

    def start(worker: Worker, function: Callable[..., object], *given: object) -> None:
        called.append((function.__name__, worker.pid))
        really(worker, function, *given)

    monkeypatch.setattr(Worker, "start", start)
    one = cell(tmp_path / "one", does=does, seconds=0.001)
    found = measured([Case(one), Case(one, batch=16)])
    assert {batch: row(item).outcome for batch, item in found.items()} == {1: "passed", 16: "crashed"}
    first, again = dict.fromkeys(pid for _, pid in called)
    assert [name for name, pid in called if pid == first] == ["open_session", "warm_up", "warm_up"]
    assert [name for name, pid in called if pid == again][:4] == ["open_session", "warm_up", "hold", "visit"]
    assert len(found[1].opened) == len(found[1].warmed) == 1
    if does == "large":
        shutil.rmtree(str(found[16].error).rpartition("< ")[2].removesuffix("/calls.jsonl"))


def test_nothing_goes_round_where_nothing_runs(tmp_path: Path) -> None:
    said: list[str] = []
    measure([Case(cell(tmp_path / "one"), precision="int4")], Plan(), on_step=said.append)
    assert said == ["torch/fake/fake/cpu/fake, int4 starts"]


def test_what_cannot_be_opened_is_a_row_that_says_why(tmp_path: Path) -> None:
    one = cell(tmp_path / "one")
    (item,) = measured([Case(one, precision="int4")]).values()
    found = row(item)
    assert (found.outcome, found.precision) == ("unavailable", "int4")
    assert "fake computes in float32, not in int4" in found.reason


def test_on_a_gpu_the_copies_are_timed_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = cell(tmp_path / "one", "gpu", seconds=0.004, copy_seconds=0.016)
    assert row(measured([Case(one)])[1]).outcome == "unavailable"
    monkeypatch.setenv("FWEXPORT_FAKE_GPU", "1")
    found = row(measured([Case(one)])[1])
    assert (found.device, found.device_proof) == ("gpu", "fake gpu")
    assert found.compute is not None
    assert found.end_to_end is not None
    assert 0.004 <= found.compute.p50_s < 0.02 <= found.end_to_end.p50_s
    assert found.throughput_per_s == pytest.approx(1 / found.compute.mean_s)


def test_a_device_that_software_plays_has_one_batch_unless_more_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FWEXPORT_FAKE_GPU", "1")
    played, real = (cell(tmp_path / f"by {name}", "gpu", emulated=name) for name in ("SwiftShader", ""))
    cases = [Case(one, batch=batch) for one in (played, real) for batch in (2, 8)]
    plan = bench.plan(BenchOptions(time="quick", rounds=1))
    found, _ = measure(cases, replace(plan, seconds=0.1))
    assert [item.case for item in found] == [cases[0], *cases[2:]]
    assert all(item.error is None for item in found)
    assert spared(found, bench.plan(BenchOptions(batches=(2, 8)))) == []
    swept, _ = measure(cases[:1], replace(plan, seconds=0.1, sweep=True))
    assert [item.case for item in swept] == cases[:1]


def test_a_sweep_doubles_the_batch_until_that_gains_little(tmp_path: Path) -> None:
    one = cell(tmp_path / "one", seconds=0.004, sample_seconds=0.004)
    swept = measured([Case(one)], sweep=True)
    assert sorted(swept)[:3] == [1, 2, 4]
    assert 4 <= max(swept) < SWEEP_UP_TO
    assert all(row(item).outcome == "passed" for item in swept.values())


@pytest.mark.parametrize(
    ("batch", "runs_s", "after"),
    [
        (1, {1: 1.0}, 2),
        (2, {1: 1.0, 2: 1.9}, 4),  # 5.3 % more samples in a second
        (2, {1: 1.0, 2: 1.91}, None),
        (2, {1: 1.0}, None),  # it failed
        (SWEEP_UP_TO, {SWEEP_UP_TO // 2: 1.0, SWEEP_UP_TO: 1.0}, None),
    ],
)
def test_when_a_sweep_is_over(batch: int, runs_s: dict[int, float], after: int | None) -> None:
    assert swept_next(batch, runs_s) == after


def test_a_child_that_does_not_rest_while_others_are_measured_is_a_doubt(tmp_path: Path) -> None:
    spinning, quiet = cell(tmp_path / "spinning", does="spin"), cell(tmp_path / "quiet", seconds=0.01)
    _, doubts = measure([Case(spinning, 1), Case(quiet)], Plan(seconds=0.3, rounds=2))
    (doubt,) = [each for each in doubts if each.kind == "idle"]
    assert doubt.kind == "idle"
    assert "torch/fake/fake/cpu/fake, 1 thread " in doubt.text


@pytest.mark.skipif(sys.platform != "linux", reason="the states of threads are read from /proc")
@pytest.mark.parametrize(("seconds", "rests"), [(0.05, True), (30, False)])
def test_what_spins_for_a_while_after_a_run_is_waited_for(seconds: float, rests: bool) -> None:
    code = f"import time\nend = time.time() + {seconds}\nprint(flush=True)\nwhile time.time() < end: pass\ninput()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert not at_rest(process.pid)
        assert idle.settle([process.pid]) is rests
        assert at_rest(process.pid) is rests
        process.kill()


def test_waiting_processes_may_use_a_hundredth_of_a_core() -> None:
    assert idle.judged({"a": 0.05, "b": 0.04}, 10.0, 0.1) == ()
    assert idle.judged({}, 0.0, 0.0) == ()
    (doubt,) = idle.judged({"a": 0.05, "b": 0.2, "c": 0.0}, 10.0, 0.1)
    assert "used 2.5% of a core" in doubt.text
    assert "(b 2.0%, a 0.5%)" in doubt.text


def test_each_browser_that_waits_may_use_a_little_more(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 10.0] * 2)
    monkeypatch.setattr(idle.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(idle, "_used", lambda pids: next(used))
    for browsers, expected in ((0, 1), (9, 0)):
        watch, used = idle.Idleness(), iter([1.0, 1.2])
        with watch.watched({"nine": [1]}, browsers):
            pass
        assert len(watch.doubts()) == expected


def test_inputs_take_turns_and_real_ones_are_repeated_in_large_batches() -> None:
    held = {"x": np.arange(5)}
    turns = [each["x"].tolist() for each in measure_child.rotation(held, 2)]
    assert turns[:3] == [[0, 1], [2, 3], [4, 0]]
    assert [each["x"].tolist() for each in measure_child.rotation(held, 2, 2)] == turns[2:]
    assert measure_child.rotation(held, 2, len(turns)) == []
    assert measure_child.rotation(held, 7)[0]["x"].tolist() == [0, 1, 2, 3, 4, 0, 1]


def test_memory_is_that_of_what_came_after_the_reset() -> None:
    block = np.ones(50_000_000 // 8)
    high = peak_rss_bytes()
    del block
    if not reset_peak_rss():
        pytest.skip("this system does not let a process reset its VmHWM")
    assert peak_rss_bytes() < high - 40_000_000


def test_a_child_and_what_it_started_are_watched_together() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as sleeper:
        assert set(with_descendants(os.getpid())) >= {os.getpid(), sleeper.pid}
        sleeper.kill()
    assert with_descendants(sleeper.pid) == (sleeper.pid,)


def test_the_clock_of_another_process_counts_its_work_alone() -> None:
    before = cpu_seconds(os.getppid()), cpu_seconds(os.getpid())
    sum(range(3_000_000))
    assert cpu_seconds(os.getpid()) - before[1] > 0.01
    assert cpu_seconds(os.getppid()) - before[0] < 0.01
    assert cpu_seconds(2**22 + 1) == 0.0
