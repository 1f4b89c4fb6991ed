"""The machine as a measurement finds it: cores, memory, GPUs, how it is set up, versions. Reads; never sets."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path

from runtimes.doubts import Doubt
from runtimes.environment import cpu, gpu
from runtimes.environment.cgroup import quota_cores
from runtimes.environment.counters import HOT_C
from runtimes.environment.gpu import Gpu
from runtimes.environment.variables import doubtful, recorded

# Cores of one kind differ by a few per cent in their highest clock; little cores by far more.
CORE_SPEED_SHARE = 0.9
# What a person can change of a machine, in words.
_SET_UP = {
    "system": "system",  # whose kernel is updated
    "python": "Python",
    "governor": "governor",
    "turbo": "turbo",
    "smt": "SMT",
    "quota_cores": "CPU quota",
    "on_battery": "battery",
    "inside": "inside",
}


@dataclass(frozen=True)
class Machine:
    """What may have shaped the figures of a run. ``doubts`` are what is wrong with it at its start.

    ``cores`` are the logical ones that this process may use, of the machine's ``cores_total``, and ``quota_cores`` what its
    control groups leave it of them. ``governor`` has every kind that those cores have. ``inside`` says what lies between
    the process and the metal. ``variables`` are the environment variables that may shape speed or results, ``graphics`` the
    GPUs as they were when first looked at. None is what the system does not tell.
    """

    cpu: str
    cores: int
    memory_bytes: int
    system: str
    python: str
    load_1m: float
    governor: str | None
    gpus: tuple[str, ...]
    doubts: tuple[Doubt, ...] = field(default=())
    cores_total: int = 0
    quota_cores: float | None = None
    smt: bool | None = None
    turbo: bool | None = None
    clock_mhz: float | None = None
    max_clock_mhz: float | None = None
    hottest_c: float | None = None
    on_battery: bool | None = None
    inside: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)
    graphics: tuple[Gpu, ...] = ()


def same(one: Machine, other: Machine) -> bool:
    """Whether two results come from one machine, as far as it can be told: by what does not change from run to run."""
    return not differences(one, other)


def differences(one: Machine, other: Machine) -> tuple[str, ...]:
    """What tells two machines apart, in words."""
    return tuple(_unlike(one, other, {"cpu": "cpu", "cores": "cores", "gpus": "gpus"}))


def changes(one: Machine, other: Machine) -> tuple[str, ...]:
    """What is set up otherwise on what may be one machine, in words: each can move every figure."""
    found = [*_unlike(one, other, _SET_UP)]
    drivers = [sorted({str(card.driver) for card in machine.graphics}) for machine in (one, other)]
    if drivers[0] != drivers[1]:
        found.append(f"GPU driver {_plain(tuple(drivers[0]))} and {_plain(tuple(drivers[1]))}")
    for name in sorted({*one.variables, *other.variables}):
        values = [machine.variables.get(name) for machine in (one, other)]
        if values[0] != values[1]:
            said = ["not set" if value is None else repr(value) for value in values]
            found.append(f"{name} {said[0]} and {said[1]}")
    return tuple(found)


def _unlike(one: Machine, other: Machine, names: Mapping[str, str]) -> Iterator[str]:
    for field_, words in names.items():
        values = getattr(one, field_), getattr(other, field_)
        if values[0] != values[1]:
            yield f"{words} {_plain(values[0])} and {_plain(values[1])}"


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return (", ".join(value) if isinstance(value, tuple) else str(value or "")) or "none"


def describe(root: Path = Path("/")) -> Machine:
    """This machine, now; ``root`` is where its /proc and /sys lie."""
    import psutil

    allowed = cpu.allowed()
    clocks = cpu.clocks_mhz(allowed, root)
    found = Machine(
        cpu=cpu.model(root),
        cores=cpu.cores_allowed(root),
        memory_bytes=psutil.virtual_memory().total,
        system=platform.platform(),
        python=platform.python_version(),
        load_1m=round(os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0, 2),
        governor=", ".join(cpu.governors(allowed, root)) or None,
        gpus=gpus(),
        cores_total=os.cpu_count() or 1,
        quota_cores=quota_cores(root),
        smt=cpu.smt(root),
        turbo=cpu.turbo(root),
        clock_mhz=clocks and clocks[0],
        max_clock_mhz=clocks and clocks[1],
        hottest_c=cpu.hottest_c(root),
        on_battery=cpu.on_battery(root),
        inside=cpu.inside(root),
        variables=recorded(os.environ),
        graphics=gpu.known(),
    )
    return replace(found, doubts=tuple(_doubts(found, cpu.speeds(allowed, root))))


def _doubts(machine: Machine, speeds: tuple[int, ...]) -> Iterator[Doubt]:
    """What is wrong with the way that the machine is set up."""
    if machine.governor not in (None, "performance"):
        yield Doubt(
            "governor",
            f"the CPU governor is {machine.governor}, not performance: clocks follow the load, with a delay",
        )
    if machine.turbo:
        yield Doubt(
            "turbo",
            "turbo is on: clocks depend on the temperature and on how many cores work",
        )
    if speeds and min(speeds) < CORE_SPEED_SHARE * max(speeds):
        yield Doubt(
            "cores",
            f"the cores are of different speeds ({', '.join(map(str, speeds))} in the system's units): the time of a run "
            "depends on where it lands",
        )
    if machine.hottest_c is not None and machine.hottest_c >= HOT_C:
        yield Doubt(
            "temperature",
            f"the processor is at {machine.hottest_c:.0f} °C: from about {HOT_C:.0f} on it may slow down",
        )
    if machine.on_battery:
        yield Doubt("battery", "the machine runs on its battery: it may save power")
    for setting, does in doubtful(machine.variables):
        yield Doubt("environment", f"{setting} is set: {does}")


def cores_allowed() -> int:
    """Cores that this process may use: affinity, cut by the quota of its control groups."""
    return cpu.cores_allowed()


def gpus() -> tuple[str, ...]:
    """Names of the NVIDIA GPUs, as the driver's own tool lists them; no framework is imported."""
    return tuple(found.name for found in gpu.known())


def versions_of(*distributions: str) -> dict[str, str]:
    """Installed versions by distribution name; one that is not installed is left out."""
    found = {}
    for name in distributions:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
