"""What the system counts of what a measurement suffers from, and what two readings say of the time between them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtimes.doubts import Doubt
from runtimes.environment import cgroup, cpu
from runtimes.environment.cgroup import Throttling
from runtimes.environment.system_files import read_text

# The least slowdown that comparisons look for is 5 %: others may take less than that of the cores that are measured on.
OTHERS_SHARE = 0.05
# From one run in a hundred on, a pause by the hypervisor or for memory is what the p99 shows.
PAUSE_SHARE = 0.01
# A few pages of some sleeping program come and go on any machine.
SWAPPED_BYTES = 1 << 20
# A Raspberry Pi slows down at 80 °C, and other processors 5 to 20 degrees above it.
HOT_C = 80.0
# What the firmware of a Raspberry Pi reports, by bit; 16 bits higher it stands for the time since the start.
_RASPBERRY = {0: "under-voltage", 1: "a capped clock", 2: "throttling", 3: "the soft temperature limit"}


@dataclass(frozen=True)
class Counters:
    """Readings at one moment. Times are seconds since some beginning; None is what this system does not count.

    ``busy_s`` and ``stolen_s`` are of the ``cores`` that this process may use, together; ``own_s`` is the CPU time of
    this process and all that it started.
    """

    wall_s: float
    cores: int
    own_s: float
    busy_s: float | None = None
    stolen_s: float | None = None
    throttles: int | None = None
    raspberry: int | None = None
    quota: Throttling | None = None
    swapped_bytes: int | None = None
    memory_wait_s: float | None = None
    hottest_c: float | None = None
    on_battery: bool | None = None


def read(root: Path = Path("/")) -> Counters:
    """Every counter, now."""
    cores = cpu.allowed()
    times = cpu_times(read_text(root / "proc/stat") or "", cores)
    if times is None and root == Path("/"):
        times = cpu_times_elsewhere()
    vmstat = dict(line.split() for line in (read_text(root / "proc/vmstat") or "").splitlines())
    pages = [int(vmstat[name]) for name in ("pswpin", "pswpout") if name in vmstat]
    return Counters(
        wall_s=time.monotonic(),
        cores=len(cores),
        own_s=own_s(),
        busy_s=times[0] if times else None,
        stolen_s=times[1] if times else None,
        throttles=cpu.throttle_count(root),
        raspberry=cpu.raspberry_flags(root),
        quota=cgroup.throttling(root),
        swapped_bytes=sum(pages) * _page_bytes() if pages else None,
        memory_wait_s=pressure_s(read_text(root / "proc/pressure/memory") or ""),
        hottest_c=cpu.hottest_c(root),
        on_battery=cpu.on_battery(root),
    )


def cpu_times(stat: str, cores: tuple[int, ...]) -> tuple[float, float] | None:
    """``(busy, stolen)`` seconds of these cores together since the start, from the text of /proc/stat.

    Busy is what is neither idle, waiting for a disk nor stolen. Guests count within user time.
    """
    ticks_per_s = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
    busy = stolen = 0
    found = False
    for line in stat.splitlines():
        name, *cells = line.split()
        if name.startswith("cpu") and name[3:].isdigit() and int(name[3:]) in cores:
            user, nice, system, _, _, irq, softirq, steal = [*map(int, cells[:8]), *[0] * 8][:8]
            busy += user + nice + system + irq + softirq
            stolen += steal
            found = True
    return (busy / ticks_per_s, stolen / ticks_per_s) if found else None


def cpu_times_elsewhere() -> tuple[float, float]:
    """The same of all cores, on a system without /proc/stat, which counts nothing as stolen."""
    import psutil

    times = psutil.cpu_times()._asdict()
    return sum(times.get(kind, 0.0) for kind in ("user", "nice", "system", "irq", "softirq")), 0.0


def pressure_s(text: str) -> float | None:
    """Seconds in which some task waited for memory, from the text of /proc/pressure/memory."""
    for line in text.splitlines():
        kind, *fields = line.split()
        totals = [field.removeprefix("total=") for field in fields if field.startswith("total=")]
        if kind == "some" and totals:
            return int(totals[0]) / 1e6
    return None


def doubts(before: Counters, after: Counters) -> Iterator[Doubt]:
    """What the change from one reading to the other says against figures measured between them."""
    seconds = max(after.wall_s - before.wall_s, 1e-9)
    core_s = seconds * after.cores
    if before.busy_s is not None and after.busy_s is not None:
        others = (after.busy_s - before.busy_s) - (after.own_s - before.own_s)
        if others > OTHERS_SHARE * core_s:
            yield Doubt(
                "load",
                f"other programs took {others / core_s:.0%} of the {after.cores} cores: {others:.1f} s of CPU time in "
                f"{seconds:.0f} s",
            )
    stolen = (after.stolen_s or 0) - (before.stolen_s or 0)
    if stolen > PAUSE_SHARE * core_s:
        yield Doubt(
            "steal", f"the hypervisor took {stolen / core_s:.1%} of the time of the {after.cores} cores"
        )
    if before.quota is not None and after.quota is not None:
        periods = after.quota.periods - before.quota.periods
        stopped = after.quota.seconds - before.quota.seconds
        if periods > 0:
            yield Doubt(
                "quota",
                f"the control group used up its CPU quota {periods} times and was stopped for {stopped:.2f} s",
            )
    yield from _heat(before, after)
    yield from _memory(before, after, seconds)
    if after.on_battery and not before.on_battery:
        yield Doubt("battery", "the power supply was unplugged during the measurement")


def _heat(before: Counters, after: Counters) -> Iterator[Doubt]:
    throttled = (after.throttles or 0) - (before.throttles or 0)
    if throttled > 0:
        yield Doubt("throttled", f"the processor slowed itself down for its heat {throttled} times")
    flags = after.raspberry or 0
    fresh = flags & 0xF | (flags & ~(before.raspberry or 0)) >> 16 & 0xF
    if fresh:
        said = ", ".join(words for bit, words in _RASPBERRY.items() if fresh >> bit & 1)
        yield Doubt("throttled", f"the board's firmware reports {said} (get_throttled 0x{flags:x})")
    if after.hottest_c is not None and after.hottest_c >= HOT_C:
        yield Doubt(
            "temperature",
            f"the processor was at {after.hottest_c:.0f} °C at the end of the measurement: from about {HOT_C:.0f} on "
            "it may slow down",
        )


def _memory(before: Counters, after: Counters, seconds: float) -> Iterator[Doubt]:
    if before.swapped_bytes is not None and after.swapped_bytes is not None:
        swapped = after.swapped_bytes - before.swapped_bytes
        if swapped >= SWAPPED_BYTES:
            yield Doubt("swap", f"the system swapped {swapped / 2**20:.0f} MiB during the measurement")
    waited = (after.memory_wait_s or 0) - (before.memory_wait_s or 0)
    if waited > PAUSE_SHARE * seconds:
        yield Doubt("swap", f"programs waited for memory in {waited / seconds:.0%} of the time")


def own_s() -> float:
    """CPU seconds of this process and all its descendants, those that have ended and been waited for included."""
    import psutil

    total = sum(os.times()[:4])
    for child in children():
        try:
            total += sum(child.cpu_times()[:4])
        except psutil.Error:
            continue
    return total


def children() -> list[Any]:
    """The processes that this one started and those that they did, as psutil has them."""
    import psutil

    children: list[Any] = psutil.Process().children(recursive=True)
    return children


def _page_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
