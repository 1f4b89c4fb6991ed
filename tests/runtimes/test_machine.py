"""The machine as data, and what is wrong with the way it is set up."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from runtimes import machine
from runtimes.doubts import ADVICE, Doubt, Kind
from runtimes.environment import cpu
from runtimes.environment.gpu import Gpu
from runtimes.machine import Machine, describe, same

CPUS = "sys/devices/system/cpu"


def plant(root: Path, core: dict[str, str], files: dict[str, str]) -> Path:
    """The files, and those of each core that this process may use."""
    of_cores = {f"{CPUS}/cpu{n}/{name}": text for n in cpu.allowed() for name, text in core.items()}
    for name, content in {**of_cores, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in describe().variables:
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("core", "files", "kind", "said"),
    [
        ({"cpufreq/scaling_governor": "powersave"}, {}, "governor", "powersave, not performance"),
        ({}, {f"{CPUS}/intel_pstate/no_turbo": "0"}, "turbo", "turbo is on"),
        ({}, {f"{CPUS}/cpufreq/boost": "1"}, "turbo", "turbo is on"),
        (
            {},
            {
                "sys/class/thermal/thermal_zone0/type": "x86_pkg_temp",
                "sys/class/thermal/thermal_zone0/temp": "91000",
            },
            "temperature",
            "at 91 °C",
        ),
        (
            {},
            {
                "sys/class/power_supply/BAT0/type": "Battery",
                "sys/class/power_supply/BAT0/status": "Discharging",
            },
            "battery",
            "on its battery",
        ),
    ],
)
def test_what_is_wrong_with_the_set_up_is_a_doubt(
    core: dict[str, str], files: dict[str, str], kind: str, said: str, tmp_path: Path
) -> None:
    (doubt,) = describe(plant(tmp_path, core, files)).doubts
    assert doubt.kind == kind
    assert said in doubt.text


def test_a_machine_set_up_for_measuring_raises_no_doubt(tmp_path: Path) -> None:
    core = {"cpufreq/scaling_governor": "performance", "cpu_capacity": "1024"}
    files = {f"{CPUS}/intel_pstate/no_turbo": "1", "proc/cpuinfo": "model name\t: Some CPU\n"}
    found = describe(plant(tmp_path, core, files))
    assert found.doubts == ()
    assert (found.cpu, found.governor, found.turbo) == ("Some CPU", "performance", False)


def test_a_system_that_tells_nothing_raises_no_doubt(tmp_path: Path) -> None:
    found = describe(tmp_path)
    assert found.doubts == ()
    assert (found.governor, found.turbo, found.smt, found.max_clock_mhz, found.inside) == (None,) * 4 + ((),)
    assert found.cpu
    assert found.cores >= 1


def test_cores_of_different_speeds_are_a_doubt() -> None:
    found = describe()
    little = machine._doubts(replace(found, governor=None, turbo=None), (1024, 446))
    assert [(doubt.kind, "1024, 446" in doubt.text) for doubt in little] == [("cores", True)]
    assert not list(machine._doubts(replace(found, governor=None, turbo=None), (5083398, 4917968)))


def test_a_variable_that_slows_runs_is_recorded_and_a_doubt(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    found = describe(tmp_path)
    assert found.variables == {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "active"}
    assert [doubt.kind for doubt in found.doubts] == ["environment"]
    assert "OMP_WAIT_POLICY=active is set: idle threads spin" in found.doubts[0].text


def test_it_is_one_machine_however_its_state_changes() -> None:
    here = describe()
    now = replace(
        here, load_1m=9.0, hottest_c=80.0, on_battery=True, doubts=(Doubt("load", "x"),), turbo=True
    )
    assert same(here, now)
    assert not same(here, replace(here, cpu="another"))
    assert not same(here, replace(here, cores=here.cores + 1))
    assert not same(here, replace(here, gpus=("NVIDIA H100",)))
    assert machine.differences(replace(here, cores=1), replace(here, cores=2)) == ("cores 1 and 2",)


def test_a_machine_travels_as_json_and_an_older_file_is_read() -> None:
    here = describe()
    assert msgspec.json.decode(msgspec.json.encode(here), type=Machine) == here
    old = {
        "cpu": "x",
        "cores": 2,
        "memory_bytes": 1,
        "system": "s",
        "python": "3.11",
        "load_1m": 0.1,
        "governor": None,
        "gpus": [],
    }
    assert msgspec.convert(old, Machine).variables == {}


def test_there_is_advice_for_every_kind_of_doubt_and_the_readme_lists_it() -> None:
    assert set(ADVICE) == set(Kind.__args__)
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    table = readme.partition("## What makes a latency doubtful")[2].partition("## ")[0]
    first = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert sorted(re.findall(r"`([a-z-]+)`", " ".join(first))) == sorted(ADVICE)


def test_describing_is_quick_and_imports_no_framework() -> None:
    code = (
        "import sys; from runtimes import machine, environment; machine.describe(); environment.watch().doubts()\n"
        "bad = {'torch', 'tensorflow', 'onnxruntime', 'ai_edge_litert', 'scipy'} & set(sys.modules)\n"
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True, timeout=60)
    times = []
    for _ in range(5):
        begin = time.process_time()
        describe()
        times.append(time.process_time() - begin)
    assert min(times) < 0.05


def test_what_was_set_up_otherwise_on_one_machine_is_said_in_words() -> None:
    here = replace(describe(), governor="powersave", turbo=True, quota_cores=None, on_battery=False)
    assert machine.changes(here, here) == ()
    there = replace(
        here,
        system="Linux-9",
        python="3.14.0",
        governor="performance",
        turbo=False,
        quota_cores=1.5,
        on_battery=True,
        variables={"OMP_NUM_THREADS": "1"},
        graphics=(Gpu(0, "NVIDIA T4", "GPU-1", driver="550.54"),),
    )
    assert machine.changes(here, there) == (
        f"system {here.system} and Linux-9",
        f"Python {here.python} and 3.14.0",
        "governor powersave and performance",
        "turbo on and off",
        "CPU quota none and 1.5",
        "battery off and on",
        "GPU driver none and 550.54",
        "OMP_NUM_THREADS not set and '1'",
    )
    assert same(here, there)
