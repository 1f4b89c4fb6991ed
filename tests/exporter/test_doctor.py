"""What ``fwexport doctor`` says of a machine, in words."""

from __future__ import annotations

from dataclasses import replace

from exporter.commands import doctor
from runtimes.doubts import Doubt
from runtimes.environment.gpu import Gpu
from runtimes.machine import Machine

BARE = Machine("ARMv8", 4, 4 << 30, "Linux-6.1", "3.11.7", 0.1, None, (), cores_total=4)
SERVER = replace(
    BARE,
    cpu="Intel(R) Xeon(R) Platinum 8488C",
    cores=2,
    cores_total=96,
    governor="powersave, performance",
    turbo=True,
    smt=True,
    clock_mhz=2400.0,
    max_clock_mhz=3800.0,
    hottest_c=61.4,
    quota_cores=2.5,
    inside=("container",),
    variables={"OMP_NUM_THREADS": "2"},
    graphics=(Gpu(0, "NVIDIA H100", "GPU-1", driver="550.54", memory_mib=81559, mig="Disabled"),),
)


def test_a_machine_that_tells_little_is_said_in_little() -> None:
    assert list(doctor._machine(BARE)) == [
        "ARMv8, 4 cores, 4.0 GiB, Linux-6.1, Python 3.11.7",
        "GPUs: none that the NVIDIA driver lists",
    ]


def test_a_machine_that_tells_much_is_said_in_full() -> None:
    assert list(doctor._machine(SERVER)) == [
        "Intel(R) Xeon(R) Platinum 8488C, 2 of 96 cores, 4.0 GiB, container, Linux-6.1, Python 3.11.7",
        "processor: governor powersave, performance, turbo on, SMT on, 2.40 of 3.80 GHz, 61 °C, "
        "a CPU quota of 2.5 cores",
        "GPU 0: NVIDIA H100, driver 550.54, 80 GiB, MIG disabled",
        "environment: OMP_NUM_THREADS=2",
    ]


def test_each_doubt_comes_with_what_to_do() -> None:
    assert list(doctor._doubts([Doubt("governor", "the CPU governor is powersave")])) == [
        "doubt governor: the CPU governor is powersave",
        "      -> sudo cpupower frequency-set -g performance",
    ]
    assert list(doctor._doubts([])) == ["nothing that would make figures doubtful"]
