"""The NVIDIA GPUs as the driver's own tool describes them; no framework is imported, and nothing is set.

The parsers take what ``nvidia-smi --format=csv,noheader,nounits`` prints. Where a GPU has no such value it says so in
words: ``[N/A]``, ``[Not Supported]``, ``[Insufficient Permissions]``; these become None.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from runtimes.doubts import Doubt

# The query's name of each field of ``Gpu``; of what newer drivers call clocks_event_reasons, the name that all know.
_FIELDS = {
    "index": "index",
    "name": "name",
    "uuid": "uuid",
    "driver": "driver_version",
    "memory_mib": "memory.total",
    "used_mib": "memory.used",
    "clock_mhz": "clocks.current.sm",
    "max_clock_mhz": "clocks.max.sm",
    "temperature_c": "temperature.gpu",
    "power_w": "power.draw",
    "power_limit_w": "power.limit",
    "busy_percent": "utilization.gpu",
    "performance_state": "pstate",
    "persistence": "persistence_mode",
    "ecc": "ecc.mode.current",
    "mig": "mig.mode.current",
    "reasons": "clocks_throttle_reasons.active",
    "compute_capability": "compute_cap",
}
_WORDS = ("uuid", "name", "driver", "performance_state", "persistence", "ecc", "mig", "reasons")
# The bits of ``reasons`` that slow a GPU down against its wishes (NVML's nvmlClocksEventReasons). The others say that it
# is idle, or that somebody set its clocks.
_THROTTLES = {
    0x04: "its power limit",
    0x08: "a hardware slowdown",
    0x20: "its temperature, by the driver",
    0x40: "its temperature, by the hardware",
    0x80: "the power supply's brake",
}
IDLE_BIT = 0x01
# A GPU that nothing of ours uses is idle: what it does beyond this share of its time, it does for others.
BUSY_PERCENT = 5.0
# Boost moves the clocks by a few per cent with the temperature alone; more than this is another speed.
CLOCK_SHARE = 0.9

Run = Callable[[Sequence[str]], str]


@dataclass(frozen=True)
class Gpu:
    """One GPU at one moment. What it does not tell is None; ``reasons`` are NVML's bits of what holds the clocks."""

    index: int
    name: str
    uuid: str
    driver: str | None = None
    memory_mib: float | None = None
    used_mib: float | None = None
    clock_mhz: float | None = None
    max_clock_mhz: float | None = None
    temperature_c: float | None = None
    power_w: float | None = None
    power_limit_w: float | None = None
    busy_percent: float | None = None
    performance_state: str | None = None
    persistence: str | None = None
    ecc: str | None = None
    mig: str | None = None
    reasons: int | None = None
    compute_capability: float | None = None


@dataclass(frozen=True)
class Process:
    """A process that computes on a GPU."""

    gpu_uuid: str
    pid: int
    name: str
    used_mib: float | None


def gpus(run: Run | None = None) -> tuple[Gpu, ...]:
    """Every GPU now; none where there is no driver. A field that this driver does not know is left out."""
    fields = dict(_FIELDS)
    while fields:
        command = [f"--query-gpu={','.join(fields.values())}", "--format=csv,noheader,nounits"]
        try:
            return parse_gpus((run or _nvidia_smi)(command), tuple(fields))
        except subprocess.CalledProcessError as error:
            unknown = re.search(r'Field "([^"]+)" is not a valid field', f"{error.stdout}{error.stderr}")
            left = {key: name for key, name in fields.items() if unknown and name != unknown.group(1)}
            if not left or len(left) == len(fields):
                return ()
            fields = left
        except (OSError, subprocess.SubprocessError):
            return ()
    return ()


def processes(run: Run | None = None) -> tuple[Process, ...]:
    """Every process that computes on a GPU, as far as the driver shows them: in a container it shows none."""
    command = [
        "--query-compute-apps=gpu_uuid,pid,process_name,used_gpu_memory",
        "--format=csv,noheader,nounits",
    ]
    try:
        return parse_processes((run or _nvidia_smi)(command))
    except (OSError, subprocess.SubprocessError):
        return ()


def memory_of(pid: int, run: Run | None = None) -> int | None:
    """Bytes of GPU memory that a process holds, its context included; None where the driver does not say."""
    used = [one.used_mib for one in processes(run) if one.pid == pid and one.used_mib is not None]
    return int(sum(used) * 2**20) if used else None


@cache
def known() -> tuple[Gpu, ...]:
    """The GPUs as they were when first asked for: for what does not change, their names and drivers."""
    return gpus()


def parse_gpus(text: str, fields: Sequence[str] = tuple(_FIELDS)) -> tuple[Gpu, ...]:
    """A line for each GPU, with the values of ``fields`` between commas."""
    found = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) != len(fields):
            continue
        given = {field: _value(field, cell) for field, cell in zip(fields, cells, strict=True)}
        if given.get("index") is None:
            continue
        found.append(
            Gpu(**{"uuid": "", "name": "", **given, "index": int(given["index"])})  # type: ignore[arg-type]
        )
    return tuple(found)


def parse_processes(text: str) -> tuple[Process, ...]:
    """A line for each process: the GPU's uuid, the pid, the program (which may have commas), its MiB."""
    found = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) >= 4 and cells[1].isdigit():
            found.append(Process(cells[0], int(cells[1]), ", ".join(cells[2:-1]), _number(cells[-1])))
    return tuple(found)


def doubts_before(
    gpus: Sequence[Gpu], processes: Iterable[Process], ours: Collection[int]
) -> Iterator[Doubt]:
    """What is wrong before anything of ours computes: ``ours`` are the pids of our own processes."""
    others = [process for process in processes if process.pid not in ours]
    for gpu in gpus:
        beside = [process for process in others if process.gpu_uuid == gpu.uuid]
        names = ", ".join(f"{process.name} (pid {process.pid})" for process in beside)
        if beside:
            yield Doubt("gpu-shared", f"other processes use GPU {gpu.index} ({gpu.name}): {names}")
        elif (gpu.busy_percent or 0) > BUSY_PERCENT:
            yield Doubt(
                "gpu-shared",
                f"GPU {gpu.index} ({gpu.name}) was {gpu.busy_percent:.0f} % busy before the measurement",
            )
        if gpu.persistence == "Disabled":
            yield Doubt(
                "gpu-persistence",
                f"GPU {gpu.index} ({gpu.name}) is not in persistence mode: the first process to use it also waits for "
                "its driver to start, which counts as loading",
            )


def doubts_during(looks: Sequence[Gpu]) -> Iterator[Doubt]:
    """What was wrong while we computed: ``looks`` at the GPUs, taken right after measurements on them."""
    for index in dict.fromkeys(gpu.index for gpu in looks):
        own = [gpu for gpu in looks if gpu.index == index]
        bits = 0
        for gpu in own:
            bits |= gpu.reasons or 0
        slowed = [words for bit, words in _THROTTLES.items() if bits & bit]
        if slowed:
            hottest = max((gpu.temperature_c or 0 for gpu in own), default=0)
            at = f", at {hottest:.0f} °C" if hottest else ""
            yield Doubt(
                "gpu-throttled",
                f"GPU {index} ({own[0].name}) was slowed down while it was measured, by {' and by '.join(slowed)}{at}",
            )
        at_work = [gpu for gpu in own if not (gpu.reasons or 0) & IDLE_BIT]
        clocks = [gpu.clock_mhz for gpu in at_work if gpu.clock_mhz]
        most = own[0].max_clock_mhz
        if clocks and most and max(clocks) < CLOCK_SHARE * most:
            yield Doubt(
                "gpu-clocks",
                f"GPU {index} ({own[0].name}) ran at {max(clocks):.0f} MHz at most, of the {most:.0f} that it can",
            )


def _value(field: str, cell: str) -> str | float | int | None:
    if field == "reasons":
        return int(cell, 16) if re.fullmatch(r"0x[0-9a-fA-F]+", cell) else None
    if field in _WORDS:
        return None if re.fullmatch(r"\[.*\]|N/A|", cell) and field not in ("uuid", "name") else cell
    return _number(cell)


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _nvidia_smi(arguments: Sequence[str]) -> str:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        raise FileNotFoundError("nvidia-smi")
    return subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=20, check=True).stdout
