"""How much CPU and memory a Linux control group may use, and how often it was stopped for using up the CPU: versions 1 and 2."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from runtimes.environment.system_files import read_text


@dataclass(frozen=True)
class Throttling:
    """Since the group began: ``periods`` in which it was stopped, and for how many ``seconds`` in sum over its cores."""

    periods: int
    seconds: float


def quota_cores(root: Path = Path("/")) -> float | None:
    """The least quota of this process's groups in cores, such as 1.5; None without one."""
    quotas = [quota for folder in _folders(root) if (quota := _quota(folder)) is not None]
    return min(quotas, default=None)


def memory_limit_bytes(root: Path = Path("/")) -> int | None:
    """The least limit of this process's groups; None without one."""
    texts = (
        read_text(folder / name)
        for folder in _folders(root, "memory")
        for name in ("memory.max", "memory.limit_in_bytes")
    )
    return min((int(text) for text in texts if text and text.strip() != "max"), default=None)


def throttling(root: Path = Path("/")) -> Throttling | None:
    """Of this process's groups together; None where no group counts it."""
    found = [counts for folder in _folders(root) if (counts := _throttling(folder)) is not None]
    if not found:
        return None
    return Throttling(sum(one.periods for one in found), sum(one.seconds for one in found))


def _folders(root: Path, controller: str = "cpu") -> Iterator[Path]:
    """The folders of a controller, from this process's group up to the root of what it can see.

    A container may be told its group's path on the host, which it has no folder for: then only the root is there.
    """
    mounted = root / "sys/fs/cgroup"
    for line in (read_text(root / "proc/self/cgroup") or "0::/").splitlines():
        _, controllers, group = line.strip().split(":", 2)
        if controllers == "":
            tops = [mounted, mounted / "unified"]
        elif controller in controllers.split(","):
            tops = [mounted / controllers, mounted / controller]
        else:
            continue
        top = next((folder for folder in tops if folder.is_dir()), None)
        if top is not None:
            relative = PurePosixPath(group.lstrip("/"))
            yield from (top / part for part in (relative, *relative.parents))


def _quota(folder: Path) -> float | None:
    both = (read_text(folder / "cpu.max") or "").split()
    if both:
        return None if both[0] == "max" else int(both[0]) / int(both[1])
    limit, period = read_text(folder / "cpu.cfs_quota_us"), read_text(folder / "cpu.cfs_period_us")
    return int(limit) / int(period) if limit and period and int(limit) > 0 else None


def _throttling(folder: Path) -> Throttling | None:
    counts = dict(line.split() for line in (read_text(folder / "cpu.stat") or "").splitlines())
    if "nr_throttled" not in counts:
        return None
    nanoseconds = int(counts.get("throttled_usec", 0)) * 1000 + int(counts.get("throttled_time", 0))
    return Throttling(int(counts["nr_throttled"]), nanoseconds / 1e9)
