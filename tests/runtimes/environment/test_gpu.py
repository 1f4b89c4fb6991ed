"""What nvidia-smi prints, as GPUs of several kinds do, and what follows from it. No GPU is needed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from runtimes import environment, machine
from runtimes.environment import gpu
from runtimes.environment.gpu import Gpu, Process, parse_gpus, parse_processes

H100 = (
    "0, NVIDIA H100 80GB HBM3, GPU-5b1d, 550.54.15, 81559, 0, 345, 1980, 33, 69.12, 700.00, 0, P0, Enabled, Enabled, "
    "Disabled, 0x0000000000000001, 9.0"
)
MIG = (
    "1, NVIDIA A100-SXM4-40GB, GPU-77aa, 550.54.15, 40960, 12, 1410, 1410, 41, 58.01, 400.00, [N/A], P0, Disabled, "
    "Enabled, Enabled, 0x0000000000000000, 8.0"
)
LAPTOP = (
    "0, NVIDIA GeForce GTX 1050, GPU-01c2, 470.223.02, 2002, 300, 1354, 1911, 82, [Not Supported], [Unknown Error], 97, P0, "
    "Disabled, [N/A], [N/A], 0x0000000000000024, [N/A]"
)


def parsed(*lines: str) -> tuple[Gpu, ...]:
    return parse_gpus("\n".join(lines) + "\n")


def test_a_line_for_each_gpu_whatever_it_does_not_tell() -> None:
    h100, mig = parsed(H100, MIG)
    assert h100 == Gpu(
        index=0,
        uuid="GPU-5b1d",
        name="NVIDIA H100 80GB HBM3",
        driver="550.54.15",
        memory_mib=81559,
        used_mib=0,
        clock_mhz=345,
        max_clock_mhz=1980,
        temperature_c=33,
        power_w=69.12,
        power_limit_w=700,
        busy_percent=0,
        performance_state="P0",
        persistence="Enabled",
        ecc="Enabled",
        mig="Disabled",
        reasons=1,
        compute_capability=9.0,
    )
    assert (mig.mig, mig.busy_percent, mig.reasons) == ("Enabled", None, 0)
    (laptop,) = parsed(LAPTOP)
    assert (laptop.power_w, laptop.power_limit_w, laptop.ecc, laptop.mig, laptop.compute_capability) == (
        None,
    ) * 5
    assert laptop.reasons == 0x24


@pytest.mark.parametrize(
    "text", ["", "No devices were found\n", "0, half a line\n", "[N/A], " * 17 + "[N/A]\n"]
)
def test_what_is_no_gpu_gives_none(text: str) -> None:
    assert parse_gpus(text) == ()


def test_processes_with_commas_in_their_names() -> None:
    text = (
        "GPU-5b1d, 4711, /usr/bin/python3, 1234\n"
        "GPU-77aa, 4712, /opt/a, b/train, [N/A]\n"
        "GPU-77aa, [N/A], [Insufficient Permissions], [N/A]\n"
    )
    assert parse_processes(text) == (
        Process("GPU-5b1d", 4711, "/usr/bin/python3", 1234.0),
        Process("GPU-77aa", 4712, "/opt/a, b/train", None),
    )
    assert parse_processes("") == ()


class OldDriver:
    """nvidia-smi that lacks some fields, and says so for one at a time."""

    def __init__(self, *lacks: str) -> None:
        self.lacks = lacks
        self.asked = 0

    def __call__(self, arguments: Sequence[str]) -> str:
        self.asked += 1
        fields = arguments[0].removeprefix("--query-gpu=").split(",")
        for name in self.lacks:
            if name in fields:
                said = f'Field "{name}" is not a valid field to query.\n\n'
                raise subprocess.CalledProcessError(2, "nvidia-smi", said, "")
        return ", ".join({"index": "0", "name": "Tesla K80"}.get(name, "[N/A]") for name in fields) + "\n"


def test_a_driver_that_lacks_fields_is_asked_without_them() -> None:
    driver = OldDriver("mig.mode.current", "compute_cap")
    assert [found.name for found in gpu.gpus(driver)] == ["Tesla K80"]
    assert driver.asked == 3


def test_a_driver_that_does_not_answer_has_no_gpus() -> None:
    def failing(arguments: Sequence[str]) -> str:
        said = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n"
        raise subprocess.CalledProcessError(9, "nvidia-smi", said, "")

    def hanging(arguments: Sequence[str]) -> str:
        raise subprocess.TimeoutExpired("nvidia-smi", 20)

    def absent(arguments: Sequence[str]) -> str:
        raise FileNotFoundError("nvidia-smi")

    for run in (failing, hanging, absent):
        assert gpu.gpus(run) == ()
        assert gpu.processes(run) == ()
        assert gpu.memory_of(1, run) is None


def test_memory_is_that_of_the_process_on_all_gpus() -> None:
    def run(arguments: Sequence[str]) -> str:
        return "GPU-a, 7, python, 100\nGPU-b, 7, python, 20\nGPU-b, 8, python, 5\nGPU-b, 9, python, [N/A]\n"

    assert gpu.memory_of(7, run) == 120 << 20
    assert gpu.memory_of(9, run) is None
    assert gpu.memory_of(10, run) is None


def before(gpus: Sequence[Gpu], *processes: Process) -> list[tuple[str, str]]:
    return [(doubt.kind, doubt.text) for doubt in gpu.doubts_before(gpus, processes, {4711})]


def test_a_gpu_that_others_use_is_a_doubt_and_our_own_process_is_none() -> None:
    (h100,) = parsed(H100)
    assert before([h100]) == []
    assert before([h100], Process("GPU-5b1d", 4711, "python", 10.0)) == []
    assert before([h100], Process("GPU-other", 1, "python", 10.0)) == []
    ((kind, text),) = before([h100], Process("GPU-5b1d", 1, "python", 10.0))
    assert kind == "gpu-shared"
    assert "GPU 0 (NVIDIA H100 80GB HBM3): python (pid 1)" in text
    ((kind, text),) = before([replace(h100, busy_percent=60.0)])  # a container does not show the others
    assert (kind, "60 % busy" in text) == ("gpu-shared", True)


def test_a_driver_that_starts_with_the_first_process_is_a_doubt_about_loading() -> None:
    assert [kind for kind, _ in before(parsed(MIG))] == ["gpu-persistence"]


SMI = """#!/bin/sh
case "$1" in
  --query-gpu=*) echo "{gpu}" ;;
  --query-compute-apps=*) echo "GPU-01c2, 1, /usr/bin/python3, 900" ;;
esac
"""


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine with one hot GPU that another process uses, as far as ``nvidia-smi`` tells."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text(SMI.format(gpu=LAPTOP))
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    gpu.known.cache_clear()
    yield
    gpu.known.cache_clear()


@pytest.mark.skipif(os.name != "posix", reason="nvidia-smi is a shell script here")
@pytest.mark.usefixtures("driver")
def test_a_watch_speaks_of_gpus_when_something_was_measured_on_one() -> None:
    assert machine.describe().gpus == ("NVIDIA GeForce GTX 1050",)
    assert machine.describe().graphics[0].driver == "470.223.02"
    watching = environment.watch()
    assert not [doubt for doubt in watching.doubts() if doubt.kind.startswith("gpu")]
    watching.look()
    kinds = {doubt.kind for doubt in watching.doubts()}
    assert kinds >= {"gpu-shared", "gpu-persistence", "gpu-throttled", "gpu-clocks"}


def during(*looks: Gpu) -> list[tuple[str, str]]:
    return [(doubt.kind, doubt.text) for doubt in gpu.doubts_during(looks)]


def test_a_gpu_that_was_slowed_down_is_a_doubt_with_its_reasons() -> None:
    ((kind, text), (clocks, speed)) = during(*parsed(LAPTOP))
    assert kind == "gpu-throttled"
    assert "by its power limit and by its temperature, by the driver, at 82 °C" in text
    assert clocks == "gpu-clocks"
    assert "1354 MHz at most, of the 1911" in speed


def test_the_low_clocks_of_an_idle_gpu_are_no_doubt() -> None:
    (h100,) = parsed(H100)
    at_work = replace(h100, clock_mhz=1980.0, reasons=0)
    assert during(h100, at_work) == []
    assert during(h100) == []
    assert during() == []
