"""The rows of ``fwexport compare``: what is printed by ``--json`` and as Markdown. Not saved in a bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from runtimes.doubts import Doubt
from runtimes.exit_codes import missed
from runtimes.machine import Machine
from runtimes.measuring.flags import Flag

SCHEMA = 1

Outcome = Literal[
    "same", "faster", "slower", "unclear", "new", "failed", "missing", "unavailable", "skipped", "emulated"
]


@dataclass(frozen=True)
class Change:
    """A figure of the old row and of the new one, in seconds or bytes; ``ratio`` is new / old.

    ``interval``, of 95 %, is there where rounds say how far the ratio would move in another measurement. ``changed`` is
    whether it is beyond what is usual for the figure: for a time, beyond its noise and the threshold.
    """

    old: float
    new: float
    ratio: float
    interval: tuple[float, float] | None = None
    changed: bool = False


@dataclass(frozen=True)
class CompareRow:
    """One row of bench before and now. The sources are "" where the row is not there, ``bundle`` where there is one only.

    ``slower`` and ``faster`` are beyond both noise and the threshold, ``same`` is no slower than the threshold, ``unclear`` what
    the noise leaves open. ``failed`` was measured before and now ended badly; ``missing`` is not there or not available
    any more. Of what was not measured before, ``new`` is measured now, ``unavailable`` still lacks something, and
    ``skipped`` is the rest. ``emulated`` is a row whose device software played on either side, whatever became of it: it
    decides nothing.

    ``compute`` and ``end_to_end`` are medians of single runs and decide; ``cold_s`` (import, load and first run),
    ``peak_rss_bytes`` and ``size_bytes`` inform. The flags are what makes the times of either side doubtful; ``notes``
    say in words what else differs. The field ``emulated`` names the software that played the device on either side, the new one's first.
    """

    bundle: str
    old_source: str
    new_source: str
    artifact: str
    runtime: str
    device: str
    backend: str
    threads: int
    batch: int
    precision: str
    outcome: Outcome
    reason: str = ""
    compute: Change | None = None
    end_to_end: Change | None = None
    cold_s: Change | None = None
    peak_rss_bytes: Change | None = None
    size_bytes: Change | None = None
    old_flags: tuple[Flag, ...] = ()
    new_flags: tuple[Flag, ...] = ()
    notes: tuple[str, ...] = ()
    emulated: str = ""


@dataclass(frozen=True)
class Side:
    """Where the rows of one side come from, and what was wrong on the machine before and meanwhile."""

    name: str
    created: str
    time: str
    machine: Machine
    doubts: tuple[Doubt, ...] = ()


@dataclass(frozen=True)
class CompareResult:
    """What ``compare --json`` prints. ``interleaved`` is whether both sides were measured now, in the same rounds;
    ``across_machines`` whether times of two machines were judged too.
    """

    schema: int
    created: str
    threshold: float
    interleaved: bool
    old: Side
    new: Side
    rows: tuple[CompareRow, ...]
    notes: tuple[str, ...] = ()
    across_machines: bool = False


def exit_code(
    rows: Sequence[CompareRow],
    strict: bool = False,
    devices: Sequence[str] = (),
    runtimes: Sequence[str] = (),
    browser: bool = False,
) -> int:
    """1 where something became slower or cannot be measured any more; 6 where what was asked for by name is not here; 3
    where nothing was decided, or, if ``strict``, not everything.
    """
    outcomes = {row.outcome for row in rows}
    if outcomes & {"slower", "failed", "missing"}:
        return 1
    if missed(rows, devices, runtimes, browser):
        return 6
    if not outcomes & {"same", "faster"} or (strict and "unclear" in outcomes):
        return 3
    return 0
