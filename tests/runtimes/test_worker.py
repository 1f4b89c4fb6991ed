"""Real child processes: what they answer, how they die, and what is left of them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import children
import numpy as np
import pytest

from runtimes.bundle import TensorSpec
from runtimes.client import ChildFailed, InProcess, Worker, child_environment
from runtimes.errors import OutputError, UnavailableError, WorkerCrashed, WorkerTimeout
from runtimes.wire import Wire

ENV = {"PYTHONPATH": str(Path(__file__).parent)}


def gone(pid: int) -> bool:
    for _ in range(50):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().split()[2]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.1)
    return False


def test_arrays_dataclasses_and_paths_travel_both_ways() -> None:
    spec = TensorSpec("image", "float32", (None, 3), "NC", "image")
    with Worker(ENV) as worker:
        for array in (np.arange(6.0).reshape(2, 3), np.zeros((0, 3)), np.ones(1, bool)):
            doubled, back, path, more = worker.call(children.echo, array, spec, Path("/a b"), {"x": array})
            np.testing.assert_array_equal(doubled, array * 2)
            np.testing.assert_array_equal(more["x"], array + 1)
            assert (back, path) == (spec, Path("/a b"))
        assert InProcess().call(children.echo, array, spec, Path("p"), {})[1] == spec


def test_a_large_array_arrives_outside_the_heap_and_may_be_written_to(tmp_path: Path) -> None:
    sent = np.arange(100_000.0)
    for keep in (True, False):
        arrived = Wire(tmp_path, "b").unpack(Wire(tmp_path, "a").pack(sent), Any, keep)
        assert arrived.base is not None  # memory of a file, not of malloc
        np.testing.assert_array_equal(arrived, sent)
        arrived[0] = 7.0
    assert sent[0] == 0.0
    assert not list(tmp_path.iterdir())


def test_what_the_child_prints_stays_out_of_the_protocol_and_events_arrive_in_order() -> None:
    heard: list[object] = []
    with Worker(ENV, on_event=heard.append) as worker:
        assert worker.call(children.talk, 3) == "done"
    assert heard == [{"step": 0}, {"step": 1}, {"step": 2}]


def test_one_child_answers_many_calls_and_survives_an_error() -> None:
    with Worker(ENV) as worker:
        pid = worker.pid
        with pytest.raises(ChildFailed, match="ZeroDivisionError") as caught:
            worker.call(children.divide)
        assert "children.py" in caught.value.child_traceback
        with pytest.raises(UnavailableError, match="pip install it"):
            worker.call(children.lack)
        assert worker.call(children.big, 100_000).sum() == pytest.approx(99_999 * 50_000)
        assert worker.pid == pid


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("exit", "exit code 7"),
        ("SIGSEGV", "killed by SIGSEGV"),
        ("SIGKILL", "SIGKILL .often the system, out of memory"),
    ],
)
def test_a_death_is_named_with_the_last_words_and_a_command_that_repeats_it(how: str, said: str) -> None:
    with Worker(ENV) as worker:
        assert worker.call(children.talk, 0) == "done"
        with pytest.raises(WorkerCrashed, match=said) as caught:
            worker.call(children.die, how)
        with pytest.raises(WorkerCrashed, match=said):  # what is gone stays gone, by the same name
            worker.call(children.talk, 0)
        worker.close()
    message = str(caught.value)
    assert "about to die" in message
    again = message.partition("To see it again: ")[2]
    repeated = subprocess.run(again, shell=True, capture_output=True, text=True, timeout=60, check=False)
    assert repeated.returncode != 0
    assert "about to die" in repeated.stderr


def test_a_hang_is_stopped_and_its_process_is_gone() -> None:
    with Worker(ENV, timeout_s=1.0) as worker:
        pid = worker.pid
        begin = time.monotonic()
        with pytest.raises(WorkerTimeout, match="within 1 s"):
            worker.call(children.sleep, 600.0)
        assert time.monotonic() - begin < 10
    assert gone(pid)


def test_leaving_ends_the_child_and_its_own_children() -> None:
    with Worker(ENV) as worker:
        pid, grandchild = worker.pid, worker.call(children.start_grandchild)
        folder = next(Path("/tmp").glob("fwexport-worker-*"), None)
    assert gone(pid)
    assert gone(grandchild)
    assert folder is None or not worker._folder.exists()


def test_what_a_child_puts_aside_goes_with_it() -> None:
    with Worker(ENV) as worker:
        aside = worker.call(children.put_aside)
        assert aside.exists()
    assert not aside.exists()


def test_an_environment_is_added_and_removed_and_telemetry_is_off() -> None:
    os.environ["FWEXPORT_TEST_VARIABLE"] = "outside"
    try:
        with Worker({**ENV, "FWEXPORT_TEST_VARIABLE": None, "KERAS_BACKEND": "torch"}) as worker:
            assert worker.call(children.environment, "FWEXPORT_TEST_VARIABLE") is None
            assert worker.call(children.environment, "KERAS_BACKEND") == "torch"
            assert worker.call(children.environment, "HF_HUB_OFFLINE") == "1"
            assert worker.call(children.environment, "GOMP_SPINCOUNT") == "10000"
    finally:
        del os.environ["FWEXPORT_TEST_VARIABLE"]


@pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="this system has no /dev/full to stand for a full disk"
)
def test_a_full_disk_in_the_child_is_an_output_error() -> None:
    with Worker(ENV) as worker, pytest.raises(OutputError, match="no space left"):
        worker.call(children.fill_the_disk)


def test_a_busy_child_ends_with_a_parent_that_was_killed() -> None:
    code = (
        "import time, children\n"
        "from runtimes.client import Worker\n"
        f"worker = Worker({ENV!r})\n"
        "worker.start(children.sleep, 600.0)\n"
        "print(worker.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    command = [sys.executable, "-P", "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | ENV) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        time.sleep(1)
        assert Path(f"/proc/{child}").exists()
        parent.kill()
    assert gone(child)


def test_children_are_told_not_to_spin_and_a_person_may_say_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("GOMP_SPINCOUNT", "KMP_BLOCKTIME"):
        monkeypatch.delenv(name, raising=False)
    quiet = child_environment({})
    assert (quiet["GOMP_SPINCOUNT"], quiet["KMP_BLOCKTIME"]) == ("10000", "1")
    monkeypatch.setenv("KMP_BLOCKTIME", "200")
    assert child_environment({})["KMP_BLOCKTIME"] == "200"
    assert "KMP_BLOCKTIME" not in child_environment({"KMP_BLOCKTIME": None})
