"""One process as the system sees it: its memory and its CPU time. No framework, no other machine state."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from pathlib import Path


def peak_rss_bytes(*pids: int) -> int:
    """VmHWM in bytes: the highest resident memory of a process since it started, or since ``reset_peak_rss``.

    Of this process, or the sum of those that are named: no less than the highest that they had together.
    """
    return sum(map(_peak_rss_bytes, pids or (None,)))


def _peak_rss_bytes(pid: int | None) -> int:
    try:
        status = Path(f"/proc/{pid or 'self'}/status").read_text()
    except OSError:
        status = ""
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    if pid is None and sys.platform != "win32":
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    import psutil

    return int(psutil.Process(pid).memory_info().rss)


def reset_peak_rss(*pids: int) -> bool:
    """Let VmHWM begin again from the memory that is resident now; whether the system allows that (Linux does)."""
    try:
        for pid in pids or ("self",):
            Path(f"/proc/{pid}/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def cpu_seconds(pid: int) -> float:
    """CPU time of all threads of a process, those that have ended among them; 0 when it is gone.

    Linux gives it in nanoseconds as the process's own clock, whose number clock_getcpuclockid(3) computes as here.
    """
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except (OSError, AttributeError):
        pass
    import psutil

    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def at_rest(pid: int) -> bool:
    """Whether no thread of a process runs or wants to; True where the system does not say that (Linux does)."""
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        try:
            state = stat.read_text().rpartition(")")[2].split()[0]
        except OSError:  # the thread has ended
            continue
        if state == "R":
            return False
    return True


def how_it_ended(code: int) -> str:
    """The exit code of a child, as ``subprocess`` gives it, in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name
    hint = " (often the system, out of memory)" if name == "SIGKILL" else ""
    return f"was killed by {name}{hint}"


def wait_for_end(pid: int) -> None:
    """Return when a process has ended, whoever's child it is; where the system does not tell (Linux does), look."""
    try:
        end = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except (AttributeError, OSError):  # another system, an older kernel, a filter of system calls
        while not _has_ended(pid):
            time.sleep(0.5)
    else:
        select.select([end], [], [])
        os.close(end)


def _has_ended(pid: int) -> bool:
    """Also when nobody has collected it yet."""
    import psutil

    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return True


def with_descendants(pid: int) -> tuple[int, ...]:
    """The process and all that it started, directly or not."""
    import psutil

    try:
        return (pid, *(child.pid for child in psutil.Process(pid).children(recursive=True)))
    except psutil.Error:
        return (pid,)
