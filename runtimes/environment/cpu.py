"""The processor as Linux describes it in /proc and /sys, and as far as other systems do. ``root`` is where those lie."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

from runtimes.environment.cgroup import quota_cores
from runtimes.environment.system_files import read_int, read_text

CPUS = "sys/devices/system/cpu"
# Parts of ARM Ltd. (implementer 0x41) as /proc/cpuinfo numbers them; other systems print the name itself.
_ARM_PARTS = {
    "0xd03": "Cortex-A53",
    "0xd04": "Cortex-A35",
    "0xd05": "Cortex-A55",
    "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72",
    "0xd09": "Cortex-A73",
    "0xd0a": "Cortex-A75",
    "0xd0b": "Cortex-A76",
    "0xd0c": "Neoverse-N1",
    "0xd0d": "Cortex-A77",
    "0xd40": "Neoverse-V1",
    "0xd41": "Cortex-A78",
    "0xd44": "Cortex-X1",
    "0xd46": "Cortex-A510",
    "0xd47": "Cortex-A710",
    "0xd48": "Cortex-X2",
    "0xd49": "Neoverse-N2",
    "0xd4f": "Neoverse-V2",
}


def allowed() -> tuple[int, ...]:
    """The numbers of the logical cores on which this process may run."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def cores_allowed(root: Path = Path("/")) -> int:
    """Cores that this process may use: affinity, cut by the quota of its control groups."""
    cores, quota = len(allowed()), quota_cores(root)
    return cores if quota is None else min(cores, max(1, int(quota)))


def model(root: Path = Path("/")) -> str:
    """The processor's name; where the system has none, the board's with the kinds of its cores."""
    described = read_text(root / "proc/cpuinfo") or ""
    fields = [line.partition(":") for line in described.splitlines()]
    named = [(key.strip(), value.strip()) for key, _, value in fields]
    by_key = dict(reversed(named))
    if "model name" in by_key and "CPU part" not in by_key:
        return by_key["model name"]
    parts = [_ARM_PARTS.get(value, value) for key, value in named if key == "CPU part"]
    board = read_text(root / "proc/device-tree/model") or by_key.get("Model") or by_key.get("Hardware") or ""
    cores = " + ".join(f"{parts.count(part)} {part}" for part in dict.fromkeys(parts))
    if board or cores:
        return f"{board} ({cores})" if board and cores else board or cores
    return _apple() or platform.processor() or platform.machine()


@cache
def _apple() -> str:
    if sys.platform != "darwin":
        return ""
    command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def governors(cores: tuple[int, ...], root: Path = Path("/")) -> tuple[str, ...]:
    """What decides over the clocks of these cores, each kind once; empty where the system does not say."""
    paths = [root / CPUS / f"cpu{core}/cpufreq/scaling_governor" for core in cores]
    return tuple(dict.fromkeys(text for path in paths if (text := read_text(path))))


def turbo(root: Path = Path("/")) -> bool | None:
    """Whether cores may run above their base clock; None where the system does not say."""
    off = read_int(root / CPUS / "intel_pstate/no_turbo")
    if off is not None:
        return off == 0
    on = read_int(root / CPUS / "cpufreq/boost")
    return None if on is None else on == 1


def clocks_mhz(cores: tuple[int, ...], root: Path = Path("/")) -> tuple[float, float] | None:
    """The slowest clock of these cores now, and the highest that one of them can reach."""
    folders = [root / CPUS / f"cpu{core}/cpufreq" for core in cores]
    now = [khz for folder in folders if (khz := read_int(folder / "scaling_cur_freq"))]
    most = [khz for folder in folders if (khz := read_int(folder / "cpuinfo_max_freq"))]
    return (min(now) / 1e3, max(most) / 1e3) if now and most else None


def speeds(cores: tuple[int, ...], root: Path = Path("/")) -> tuple[int, ...]:
    """The different speeds that these cores are made for, highest first: big and little ones; empty when unknown."""
    for name in ("cpu_capacity", "cpufreq/cpuinfo_max_freq"):
        found = {read_int(root / CPUS / f"cpu{core}" / name) for core in cores} - {None}
        if found:
            return tuple(sorted((speed for speed in found if speed is not None), reverse=True))
    return ()


def smt(root: Path = Path("/")) -> bool | None:
    """Whether two logical cores may share one physical core; None where the system does not say."""
    active = read_int(root / CPUS / "smt/active")
    return None if active is None else active == 1


def inside(root: Path = Path("/")) -> tuple[str, ...]:
    """What lies between this process and the metal: a virtual machine, a container; empty when nothing shows."""
    found = []
    flags = re.search(r"^flags\s*:.*\bhypervisor\b", read_text(root / "proc/cpuinfo") or "", re.MULTILINE)
    product = read_text(root / "sys/class/dmi/id/product_name") or ""
    if flags or re.search("virtual|vmware|kvm|hvm|compute engine", product, re.IGNORECASE):
        found.append("virtual machine")
    marks = (root / ".dockerenv", root / "run/.containerenv")
    groups = read_text(root / "proc/1/cgroup") or ""
    if any(mark.exists() for mark in marks) or re.search("docker|kubepods|containerd|lxc", groups):
        found.append("container")
    return tuple(found)


def hottest_c(root: Path = Path("/")) -> float | None:
    """The highest temperature of the processor that a thermal zone shows, in degrees Celsius."""
    found = []
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        kind, milli = read_text(zone / "type") or "", read_int(zone / "temp")
        if milli and re.search("cpu|pkg|soc|core|tctl", kind, re.IGNORECASE):
            found.append(milli / 1000)
    return max(found, default=None)


def throttle_count(root: Path = Path("/")) -> int | None:
    """How often the cores were slowed down for their heat since the system started; None where it does not count."""

    def counts(name: str) -> list[int]:
        paths = (root / CPUS).glob(f"cpu[0-9]*/thermal_throttle/{name}_throttle_count")
        return [count for path in paths if (count := read_int(path)) is not None]

    cores, packages = counts("core"), counts("package")  # each core repeats the count of its package
    return sum(cores) + max(packages, default=0) if cores or packages else None


def raspberry_flags(root: Path = Path("/")) -> int | None:
    """The firmware's bits of a Raspberry Pi: 0 under-voltage, 1 clock capped, 2 throttled, 3 soft temperature limit.

    Bits 16 to 19 say that the same has happened since the board started. See ``vcgencmd get_throttled``.
    """
    # Up to the Raspberry Pi 4 it is soc/soc:firmware; the Raspberry Pi 5 has the address in both names.
    for file in (root / "sys/devices/platform").glob("soc*/soc*:firmware/get_throttled"):
        with contextlib.suppress(ValueError):
            return int(read_text(file) or "", 16)
    return None


def on_battery(root: Path = Path("/")) -> bool | None:
    """Whether the machine runs on its battery; None where it has none or does not say."""
    supplies = list((root / "sys/class/power_supply").glob("*"))
    batteries = [
        supply
        for supply in supplies
        if read_text(supply / "type") == "Battery" and read_text(supply / "scope") != "Device"
    ]
    if batteries:
        online = [read_int(supply / "online") for supply in supplies if supply not in batteries]
        return 1 not in online and any(read_text(one / "status") == "Discharging" for one in batteries)
    if sys.platform == "linux":
        return None
    import psutil

    battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    return None if battery is None or battery.power_plugged is None else not battery.power_plugged
