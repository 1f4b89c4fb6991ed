"""Time many cases fairly: each in a fresh child, all of them interleaved, one measuring at a time.

For each process number a child is opened for every cell, thread count and precision, one after another: what a child
takes to import, load and run once is its cold start, with the machine to itself and the artifact in the page cache.
Then each batch warms up, the smallest first, because memory that a larger one has taken may stay. Then come the
rounds: each visits every case once, in an order drawn anew, so that a machine that drifts hits all of them alike; the
two sides of a comparison are visited one right after the other, so that they had the same machine. The children that wait read from a pipe; their CPU time is watched all along.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import ParamSpec, TypeAlias, TypeVar

import numpy as np

from runtimes import environment, measure_child
from runtimes.base import Array
from runtimes.batches import fixed_batch
from runtimes.errors import FwexportError
from runtimes.idle import Idleness
from runtimes.machine import Doubt
from runtimes.measure_child import Warmed
from runtimes.pool import TIMEOUT_S, Cell, Live
from runtimes.process import with_descendants
from runtimes.reference import REFERENCE, Reference, open_reference
from runtimes.session_child import Opened
from runtimes.verdicts import feeds

P = ParamSpec("P")
T = TypeVar("T")
Kind: TypeAlias = tuple[Cell, int | None, str, str]

# The longest warm-up of a case, as a share of its steady seconds.
WARMUP_SHARE = 0.5
# A batch sweep goes on while a doubling gains at least so much throughput.
SWEEP_GAIN = 1.05
SWEEP_UP_TO = 1024


@dataclass(frozen=True)
class Case:
    """What one row of bench is about. ``threads`` None is every core allowed. ``side`` names one of two bundles that
    are compared, which may be the same.
    """

    cell: Cell
    threads: int | None = None
    precision: str = "float32"
    batch: int = 1
    side: str = ""

    @property
    def kind(self) -> Kind:
        """What its child is opened for; cases that differ in batch alone share one."""
        return self.cell, self.threads, self.precision, self.side

    @property
    def rivals(self) -> tuple[object, ...]:
        """What it has in common with the case of the other side that it is compared with."""
        cell = self.cell
        where = (cell.artifact, cell.runtime, cell.device, cell.backend)
        return (*where, self.threads, self.precision, self.batch)


@dataclass(frozen=True)
class Plan:
    """``seconds`` of steady state for each case, over all rounds of all processes together.

    Each visit takes its part of them, but one run at least, so that a slow case has as many runs as there are rounds:
    a median of them, and one of each round to resample. ``sweep`` adds batches: see ``measure``.
    """

    seconds: float = 10.0
    rounds: int = 10
    processes: int = 1
    seed: int = 0
    sweep: bool = False
    timeout_s: float = TIMEOUT_S

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


OnCase = Callable[[Measured], None]
OnStep = Callable[[str], None]


def measure(
    cases: Sequence[Case], plan: Plan, on_case: OnCase | None = None, on_step: OnStep | None = None
) -> tuple[list[Measured], tuple[Doubt, ...]]:
    """Every case measured, or with the error that ended it, and what made the figures doubtful meanwhile.

    ``on_case`` is told of each as soon as it is done, ``on_step`` what goes on meanwhile. With ``plan.sweep`` each child
    is also asked for batches of 1, 2, 4 and so on until a doubling gains less than 5 % throughput; they become cases.
    """
    run = _Run(plan, cases, on_case or _ignore, on_step or _ignore)
    for number in range(plan.processes):
        run.process(number)
    return run.measured, (*run.watch.doubts(), *run.idleness.doubts())


class _Run:
    """A measurement under way: what is measured, and the children of this process number that live."""

    def __init__(self, plan: Plan, cases: Sequence[Case], on_case: OnCase, on_step: OnStep) -> None:
        self.measured = [Measured(case) for case in dict.fromkeys(cases)]
        self.watch = environment.watch()
        self.idleness = Idleness()
        self._plan, self._on_case, self._on_step = plan, on_case, on_step
        self._order = random.Random(plan.seed)
        self._live: dict[Kind, _Child] = {}
        self._reference = cache(lambda folder: open_reference(folder / REFERENCE))

    def process(self, number: int) -> None:
        """The cold starts, the warm-ups and the rounds of one process number."""
        plan = self._plan
        try:
            for kind in dict.fromkeys(item.case.kind for item in self._running()):
                self._on_step(f"{label(kind)} starts")
                self._start(kind)
            for kind in dict.fromkeys(item.case.kind for item in self._running()):
                self._on_step(f"{label(kind)} warms up")
                self._warm(kind, plan.sweep and number == 0)
            for item in self._running():
                item.times.append([])
                item.end_to_end.append([])
            for turn in range(plan.rounds):
                done = number * plan.rounds + turn + 1
                self._on_step(f"round {done} of {plan.rounds * plan.processes}")
                for item in visits(self._running(), self._order):
                    self._visit(item)
                    if item.error is None and done == plan.rounds * plan.processes:
                        self._on_case(item)
        finally:
            with self.watch.ending():
                while self._live:
                    self._live.popitem()[1].close()

    def _running(self, kind: Kind | None = None) -> list[Measured]:
        return [item for item in self.measured if item.error is None and kind in (None, item.case.kind)]

    def _start(self, kind: Kind) -> None:
        """One cold start, for all the cases that share the child."""
        items = self._running(kind)
        with self._failing(items):
            opened = self._open(kind).live.opened
            for item in items:
                item.opened.append(opened)

    def _open(self, kind: Kind) -> _Child:
        """A fresh child, opened while all others wait. Raises its error."""
        cell = kind[0]
        cell.bundle.check(cell.described)
        with self.idleness.watched(self._waiting(kind)):
            first = self._samples(cell, fixed_batch(cell.described.inputs) or 1)
            self._live[kind] = child = _Child(kind, first, self._plan.timeout_s)
            try:
                child.start()
            except FwexportError:
                child.close()
                raise
        return child

    def _warm(self, kind: Kind, sweep: bool) -> None:
        """Warm up every batch of a child in ascending order, those of a sweep among them."""
        asked = {item.case.batch: item for item in self._running(kind)}
        sweep = sweep and not fixed_batch(kind[0].described.inputs)
        swept = 1 if sweep else None
        runs_s: dict[int, float] = {}
        while asked or swept:
            batch = min([*asked, swept]) if swept else min(asked)
            item = asked.pop(batch, None) or self._added(kind, batch)
            with self._failing([item]):
                samples = self._samples(kind[0], batch)
                seconds = WARMUP_SHARE * self._plan.seconds / self._plan.processes
                item.warmed.append(self._call(kind, measure_child.warm_up, samples, seconds))
                runs_s[batch] = item.warmed[-1].run_s
            if batch == swept:
                swept = swept_next(batch, runs_s)

    def _added(self, kind: Kind, batch: int) -> Measured:
        """A case that the sweep asks for; the cold start of its child is the other cases' too."""
        opened = next(item.opened for item in self.measured if item.case.kind == kind)
        cell, threads, precision, side = kind
        item = Measured(Case(cell, threads, precision, batch, side), list(opened))
        self.measured.append(item)
        return item

    def _visit(self, item: Measured) -> None:
        case = item.case
        with self._failing([item]):
            child = self._child(case.kind)
            if not child.holds:
                child.hold(self._samples(case.cell))
            rewarm = item.warmed[-1].run_s < measure_child.SLOW_S
            on_gpu = case.cell.device != "cpu"
            seen = self._call(case.kind, measure_child.visit, case.batch, self._plan.visit_s, rewarm, on_gpu)
            item.times[-1].append(seen.compute_ns)
            if on_gpu:
                self.watch.look()
                item.end_to_end[-1].append(seen.end_to_end_ns)

    def _call(self, kind: Kind, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in a child while all others wait."""
        child = self._child(kind)
        with self.idleness.watched(self._waiting(kind)):
            return child.live.worker.call(function, *args, **kwargs)

    def _child(self, kind: Kind) -> _Child:
        """The live child; one that another of its cases has killed is opened again."""
        child = self._live[kind]
        return child if child.live.worker.alive else self._open(kind)

    def _waiting(self, but: Kind) -> dict[str, tuple[int, ...]]:
        return {label(kind): child.pids for kind, child in self._live.items() if kind != but}

    def _samples(self, cell: Cell, batch: int | None = None) -> dict[str, Array]:
        """The real samples, as the artifact takes them: all, or a batch of them, repeated where it is larger."""
        reference: Reference = self._reference(cell.folder)
        real = np.flatnonzero(reference.roles != "sentinel")
        rows = real if batch is None else real[np.arange(batch) % len(real)]
        chosen = {name: array[rows] for name, array in reference.inputs.items()}
        return feeds(chosen, cell.bundle.manifest.model, cell.described)

    @contextmanager
    def _failing(self, items: Sequence[Measured]) -> Iterator[None]:
        """What a runtime does wrong ends these cases, and no others."""
        try:
            yield
        except FwexportError as error:
            for item in items:
                item.error = error
                self._on_case(item)


class _Child:
    """One child process, with its cold start."""

    def __init__(self, kind: Kind, first: dict[str, Array], timeout_s: float) -> None:
        cell, threads, precision, _ = kind
        self.live = Live(cell, threads, timeout_s, precision=precision, first=first)
        self.pids: tuple[int, ...] = (self.live.worker.pid,)
        self.holds = False

    def start(self) -> None:
        """Wait until it is open and has run once. Raises its error."""
        _ = self.live.opened
        self.pids = with_descendants(self.live.worker.pid)

    def hold(self, samples: dict[str, Array]) -> None:
        """Give it the samples of the visits to come."""
        self.live.worker.call(measure_child.hold, samples)
        self.holds = True

    def close(self) -> None:
        """End it."""
        self.live.worker.close()


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


def label(kind: Kind) -> str:
    """A child as messages name it."""
    cell, threads, precision, side = kind
    said = [f"{side} {cell.name}" if side else cell.name]
    if threads:
        said.append(f"{threads} thread{'s' * (threads > 1)}")
    if precision != "float32":
        said.append(precision)
    return ", ".join(said)


def _ignore(_: object) -> None:
    """Nobody listens."""
