"""The machine as a measurement sees it: cores, memory, GPUs, load, versions. Reads; never sets."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path


@dataclass(frozen=True)
class Doubt:
    """One thing that makes figures doubtful: its kind, for programs, and a sentence with the values seen."""

    kind: str
    text: str


@dataclass(frozen=True)
class Machine:
    """What may have shaped the figures of a run. ``doubts`` are what is wrong with it at its start."""

    cpu: str
    cores: int
    memory_bytes: int
    system: str
    python: str
    load_1m: float
    governor: str | None
    gpus: tuple[str, ...]
    doubts: tuple[Doubt, ...] = field(default=())


def same(one: Machine, other: Machine) -> bool:
    """Whether two results come from one machine, as far as it can be told."""
    return (one.cpu, one.cores, one.system, one.gpus) == (other.cpu, other.cores, other.system, other.gpus)


def describe() -> Machine:
    """This machine, now."""
    import psutil

    cores = cores_allowed()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    governor = _read(Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"))
    doubts = []
    if load > cores:
        doubts.append(Doubt("load", f"other programs were running: load {load:.1f} on {cores} cores"))
    if governor not in (None, "performance"):
        doubts.append(
            Doubt("governor", f"the CPU governor is {governor!r}: clocks change during the measurement")
        )
    return Machine(
        cpu=_cpu_model(),
        cores=cores,
        memory_bytes=psutil.virtual_memory().total,
        system=platform.platform(),
        python=platform.python_version(),
        load_1m=round(load, 2),
        governor=governor,
        gpus=gpus(),
        doubts=tuple(doubts),
    )


def cores_allowed() -> int:
    """Cores that this process may use: affinity, cut by the cgroup quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = (_read(Path("/sys/fs/cgroup/cpu.max")) or "max").split()
    if quota[0] != "max":
        cores = min(cores, max(1, int(quota[0]) // int(quota[1])))
    return cores


@cache
def gpus() -> tuple[str, ...]:
    """Names of the NVIDIA GPUs, as the driver's own tool lists them; no framework is imported."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    try:
        command = [tool, "--query-gpu=name", "--format=csv,noheader"]
        listed = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.strip() for line in listed.splitlines() if line.strip())


def versions_of(*distributions: str) -> dict[str, str]:
    """Installed versions by distribution name; one that is not installed is left out."""
    found = {}
    for name in distributions:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _cpu_model() -> str:
    for line in (_read(Path("/proc/cpuinfo")) or "").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
