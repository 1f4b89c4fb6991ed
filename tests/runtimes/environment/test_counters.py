"""What two readings of the system say of the time between them; and real readings of this machine."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import trees

from runtimes.environment import counters, watch
from runtimes.environment.cgroup import Throttling
from runtimes.environment.counters import Counters, cpu_times, pressure_s

BEFORE = Counters(
    wall_s=100.0,
    cores=4,
    own_s=7.0,
    busy_s=1000.0,
    stolen_s=5.0,
    throttles=35,
    raspberry=0x50000,
    quota=Throttling(40, 2.5),
    swapped_bytes=1 << 30,
    memory_wait_s=3.0,
    hottest_c=60.0,
    on_battery=False,
)
# Ten seconds later, with 20 s of CPU time that were all ours.
QUIET = replace(BEFORE, wall_s=110.0, own_s=27.0, busy_s=1020.0)


def found(after: Counters, before: Counters = BEFORE) -> list[tuple[str, str]]:
    return [(doubt.kind, doubt.text) for doubt in counters.doubts(before, after)]


def test_a_quiet_machine_raises_no_doubt() -> None:
    assert found(QUIET) == []
    # Others under 5 % of 4 cores in 10 s, the hypervisor under 1 %, under a MiB swapped.
    little = replace(QUIET, busy_s=1021.9, stolen_s=5.3, swapped_bytes=(1 << 30) + 4096, memory_wait_s=3.05)
    assert found(little) == []


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"busy_s": 1032.0}, "load", "took 30% of the 4 cores: 12.0 s of CPU time in 10 s"),
        ({"stolen_s": 6.0}, "steal", "took 2.5% of the time of the 4 cores"),
        ({"quota": Throttling(43, 2.75)}, "quota", "quota 3 times and was stopped for 0.25 s"),
        ({"throttles": 37}, "throttled", "for its heat 2 times"),
        ({"raspberry": 0x50005}, "throttled", "reports under-voltage, throttling (get_throttled 0x50005)"),
        ({"raspberry": 0x70000}, "throttled", "reports a capped clock"),
        ({"hottest_c": 81.0}, "temperature", "at 81 °C"),
        ({"swapped_bytes": (1 << 30) + (5 << 20)}, "swap", "swapped 5 MiB"),
        ({"memory_wait_s": 4.0}, "swap", "waited for memory in 10% of the time"),
        ({"on_battery": True}, "battery", "unplugged"),
    ],
)
def test_what_happened_in_between_is_a_doubt_with_its_values(
    change: dict[str, object], kind: str, said: str
) -> None:
    ((seen, text),) = found(replace(QUIET, **change))
    assert seen == kind
    assert said in text


def test_what_a_raspberry_pi_suffered_before_the_measurement_is_not_its_fault() -> None:
    assert found(replace(QUIET, raspberry=0x50000)) == []


def test_a_system_that_counts_nothing_raises_no_doubt() -> None:
    assert found(Counters(10.0, 8, 9.0), Counters(0.0, 8, 1.0)) == []


def test_cpu_times_are_of_the_allowed_cores_alone() -> None:
    stat = (
        "cpu  900 0 0 0 0 0 0 0 0 0\n"
        "cpu0 100 20 30 5000 70 5 6 8 2 0\n"
        "cpu1 200 0 0 6000 0 0 0 4 0 0\n"
        "cpu12 999 0 0 0 0 0 0 99 0 0\n"
        "intr 1 2 3\nctxt 7\n"
    )
    ticks = counters.os.sysconf("SC_CLK_TCK")
    assert cpu_times(stat, (0, 1)) == ((100 + 20 + 30 + 5 + 6 + 200) / ticks, 12 / ticks)
    assert cpu_times("cpu0 10 0 5 100\n", (0,)) == (15 / ticks, 0.0)  # the columns of an old kernel
    assert cpu_times("", (0,)) is None


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="there is no second source to compare with")
def test_other_systems_give_the_same_times_by_another_way() -> None:
    cores = tuple(range(counters.os.cpu_count() or 1))
    first = cpu_times(Path("/proc/stat").read_text(), cores)
    other, _ = counters.cpu_times_elsewhere()
    last = cpu_times(Path("/proc/stat").read_text(), cores)
    assert first is not None
    assert last is not None
    assert first[0] - 1 <= other <= last[0] + 1  # seconds: the whole machine's line is rounded by itself


def test_memory_pressure_is_the_time_in_which_some_task_waited() -> None:
    text = (
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\n"
        "full avg10=0.00 avg60=0.00 avg300=0.00 total=9\n"
    )
    assert pressure_s(text) == 1.5
    assert pressure_s("") is None


def test_a_reading_of_a_machine_finds_its_files(tmp_path: Path) -> None:
    root = trees.plant(
        {
            **trees.DOCKER,
            "proc/vmstat": "nr_free_pages 7\npswpin 3\npswpout 4\n",
            "proc/pressure/memory": "some avg10=0.00 avg60=0.00 avg300=0.00 total=2000000\n",
        },
        tmp_path,
    )
    seen = counters.read(root)
    assert seen.quota == Throttling(40, 2.5)
    assert seen.swapped_bytes == 7 * counters.os.sysconf("SC_PAGE_SIZE")
    assert seen.memory_wait_s == 2.0
    assert seen.busy_s is None
    bare = counters.read(tmp_path / "none")
    assert bare.own_s > 0
    assert (bare.busy_s, bare.quota, bare.swapped_bytes, bare.memory_wait_s) == (None, None, None, None)


BURN = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass\n"


def test_the_work_of_our_own_children_is_ours_also_after_they_ended() -> None:
    before = counters.read()
    subprocess.run([sys.executable, "-c", BURN], check=True)
    with subprocess.Popen([sys.executable, "-c", BURN + "input()"], stdin=subprocess.PIPE) as live:
        assert live.stdin is not None
        while counters.read().own_s - before.own_s < 0.55:
            assert live.poll() is None
        live.stdin.write(b"\n")
    assert (
        counters.read().own_s - before.own_s >= 0.6 - 0.05
    )  # a tick or two of each process may be uncounted


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="the load of others is read from /proc/stat")
def test_a_program_that_is_not_ours_is_load() -> None:
    """A double fork hands the program to init: it is nobody's child here."""
    spin = "import time\nend = time.time() + 20\nwhile time.time() < end: pass\n"
    start = (
        "import subprocess, sys\n"
        f"print(subprocess.Popen([sys.executable, '-c', {spin!r}], stdout=subprocess.DEVNULL).pid)"
    )
    pid = int(subprocess.run([sys.executable, "-c", start], check=True, stdout=subprocess.PIPE).stdout)
    try:
        watching = watch()
        subprocess.run([sys.executable, "-c", "import time; time.sleep(1.0)"], check=True)
        assert "load" in {doubt.kind for doubt in watching.doubts()}
    finally:
        counters.os.kill(pid, 9)


def test_what_a_killed_grandchild_computed_stays_ours() -> None:
    start = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN + 'print(flush=True); input()'!r}])"
    watching = watch()
    own = counters.own_s()
    child = subprocess.Popen(
        [sys.executable, "-c", start], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert child.stdout is not None
    assert child.stdout.readline()
    with watching.ending():
        counters.os.killpg(child.pid, 9)
        child.communicate()
    assert counters.own_s() - own + watching._ended_s >= 0.25
