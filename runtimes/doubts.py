"""What makes figures doubtful, as data: the closed list of kinds, and what a person can do about each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "load",
    "steal",
    "governor",
    "turbo",
    "cores",
    "temperature",
    "throttled",
    "quota",
    "swap",
    "battery",
    "environment",
    "idle",
    "gpu-shared",
    "gpu-throttled",
    "gpu-clocks",
    "gpu-persistence",
]


@dataclass(frozen=True)
class Doubt:
    """One thing that makes figures doubtful: its kind, for programs, and a sentence with the values seen."""

    kind: Kind
    text: str


ADVICE: Mapping[Kind, str] = {
    "load": "end the other programs, or measure when the machine is quiet",
    "steal": "measure on a dedicated host: the hypervisor gave this machine's cores to others",
    "governor": "sudo cpupower frequency-set -g performance",
    "turbo": "echo 1 | sudo tee /sys/devices/system/cpu/intel_pstate/no_turbo, or "
    "echo 0 | sudo tee /sys/devices/system/cpu/cpufreq/boost",
    "cores": "measure on cores of one kind: taskset -c 0-3 fwexport bench ...",
    "temperature": "let the machine cool down, or give it a fan",
    "throttled": "cool the machine, and give a Raspberry Pi a power supply of 5 V that holds",
    "quota": "give the container more CPU (docker run --cpus), or ask for fewer --threads",
    "swap": "end what needs the memory, or measure fewer artifacts at a time",
    "battery": "plug the power supply in",
    "environment": "unset the variable, or keep it in every run that is compared",
    "idle": "ask for fewer artifacts at a time (--format, --runtime)",
    "gpu-shared": "end the other processes that use the GPU (nvidia-smi lists them), or choose another with --device cuda:1",
    "gpu-throttled": "cool the GPU, or raise its power limit (nvidia-smi -pl)",
    "gpu-clocks": "lock the clocks (sudo nvidia-smi -lgc MHZ), or undo a lock that is too low (sudo nvidia-smi -rgc)",
    "gpu-persistence": "sudo nvidia-smi -pm 1",
}
