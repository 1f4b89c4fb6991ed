"""What is measured, and in which order. Pure: ``runtimes.measuring.measure`` does it."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from runtimes.base import Array
from runtimes.errors import FwexportError
from runtimes.measuring.measure_child import Warmed
from runtimes.pool import Cell
from runtimes.session_child import Opened

# A batch sweep goes on while a doubling gains at least so much throughput.
SWEEP_GAIN = 1.05
SWEEP_UP_TO = 1024


@dataclass(frozen=True)
class Case:
    """What one row of bench is about. ``threads`` None is every core allowed.

    ``side`` names one of two bundles that are compared, which may be the same.
    """

    cell: Cell
    threads: int | None = None
    precision: str = "float32"
    batch: int = 1
    side: str = ""

    @property
    def kind(self) -> Kind:
        """What its child is opened for; cases that differ in batch alone share one."""
        return Kind(self.cell, self.threads, self.precision, self.side)

    @property
    def rivals(self) -> tuple[object, ...]:
        """What it has in common with the case of the other side that it is compared with."""
        cell = self.cell
        where = (cell.artifact, cell.runtime, cell.device, cell.backend)
        return (*where, self.threads, self.precision, self.batch)


class Kind(NamedTuple):
    """What a child is opened for; its fields are those of ``Case``."""

    cell: Cell
    threads: int | None
    precision: str
    side: str

    def case(self, batch: int) -> Case:
        """The case of this batch."""
        return Case(self.cell, self.threads, self.precision, batch, self.side)

    @property
    def label(self) -> str:
        """As messages name it."""
        said = [f"{self.side} {self.cell.name}" if self.side else self.cell.name]
        if self.threads:
            said.append(f"{self.threads} thread{'s' * (self.threads > 1)}")
        if self.precision != "float32":
            said.append(self.precision)
        return ", ".join(said)


@dataclass(frozen=True)
class Plan:
    """``seconds`` of steady state for each case, over all rounds of all processes together.

    Each visit takes its part of them, but one run at least, so that a slow case has as many runs as there are rounds:
    a median of them, and one of each round to resample. ``sweep`` adds batches: see ``runtimes.measuring.measure``.
    Without ``emulated_batches``, a device that software plays has the smallest of its batches alone: it takes seconds for a
    large one, and they say nothing of the device.
    """

    seconds: float = 10.0
    rounds: int = 10
    processes: int = 1
    sweep: bool = False
    emulated_batches: bool = True

    @property
    def visit_s(self) -> float:
        """Seconds of one visit."""
        return self.seconds / (self.rounds * self.processes)


@dataclass
class Measured:
    """What a case has given so far. Lists are by process; times are ``[process][round]`` arrays of nanoseconds.

    ``end_to_end`` is empty on a CPU, where it would be ``times``. After an ``error`` nothing more came.
    """

    case: Case
    opened: list[Opened] = field(default_factory=list)
    warmed: list[Warmed] = field(default_factory=list)
    times: list[list[Array]] = field(default_factory=list)
    end_to_end: list[list[Array]] = field(default_factory=list)
    error: FwexportError | None = None


def spares(items: Iterable[Measured], plan: Plan) -> bool:
    """Whether the plan keeps one batch alone of a child, by its cases: see ``Plan.emulated_batches``."""
    return not plan.emulated_batches and any(item.opened[-1].emulated for item in items)


def spared(items: Sequence[Measured], plan: Plan) -> list[Measured]:
    """Which of the cases of one child, just opened, the plan leaves out."""
    if not spares(items, plan):
        return []
    least = min(item.case.batch for item in items)
    return [item for item in items if item.case.batch != least]


def swept_next(batch: int, runs_s: Mapping[int, float]) -> int | None:
    """The batch of a sweep after this one, by the seconds of a run of each batch so far; None when it is over.

    It ends where a doubling gained less than 5 % throughput, where a batch has failed, and at 1024.
    """
    if batch not in runs_s or batch >= SWEEP_UP_TO:
        return None
    half = batch // 2
    gain = (batch / runs_s[batch]) / (half / runs_s[half]) if half in runs_s else SWEEP_GAIN
    return batch * 2 if gain >= SWEEP_GAIN else None


def visits(items: Sequence[Measured], order: random.Random) -> list[Measured]:
    """The order of one round, drawn at random. The two sides of a comparison follow each other, either of them first."""
    rivals: dict[tuple[object, ...], list[Measured]] = {}
    for item in items:
        rivals.setdefault(item.case.rivals, []).append(item)
    drawn = order.sample(list(rivals.values()), len(rivals))
    return [item for some in drawn for item in order.sample(some, len(some))]
