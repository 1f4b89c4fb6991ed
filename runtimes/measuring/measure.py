"""Time many cases fairly: each in a fresh child, all of them interleaved, one measuring at a time.

For each process number a child is opened for every cell, thread count and precision, one after another: what a child
takes to import, load and run once is its cold start, with the machine to itself and the artifact in the page cache.
Then each batch warms up, the smallest first, because memory that a larger one has taken may stay. Then come the
rounds: each visits every case once, in an order drawn anew, so that a machine that drifts hits all of them alike; the
two sides of a comparison are visited one right after the other, so that they have the same machine. The children that
wait read from a pipe; their CPU time is watched all along.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import ParamSpec, TypeVar

import numpy as np

from runtimes import environment
from runtimes.base import Array, in_browser
from runtimes.batches import fixed_batch
from runtimes.doubts import Doubt
from runtimes.errors import FwexportError, WorkerError
from runtimes.measuring import measure_child
from runtimes.measuring.cases import Case, Kind, Measured, Plan, spared, spares, swept_next, visits
from runtimes.measuring.idle import Idleness, settle
from runtimes.measuring.measure_child import Warmed
from runtimes.pool import Cell, Live
from runtimes.process import with_descendants
from runtimes.reference import REFERENCE, open_reference
from runtimes.verdict.verdicts import feeds

P = ParamSpec("P")
T = TypeVar("T")

# The longest warm-up of a case: a share of its steady seconds, and no more than these.
WARMUP_SHARE = 0.5
WARMUP_S = 10.0

OnCase = Callable[[Measured], None]
OnStep = Callable[[str], None]


def measure(
    cases: Sequence[Case], plan: Plan, on_case: OnCase | None = None, on_step: OnStep | None = None
) -> tuple[list[Measured], tuple[Doubt, ...]]:
    """Every case measured, or with the error that ended it, and what made the figures doubtful meanwhile.

    ``on_case`` is told of each as soon as it is done, ``on_step`` what goes on meanwhile. With ``plan.sweep`` each child
    is also asked for batches of 1, 2, 4 and so on until a doubling gains less than 5 % throughput; they become cases.
    Raises UsageError where a bundle has no samples to run.
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
        self._order = random.Random(0)
        self._live: dict[Kind, _Child] = {}
        folders = {case.cell.folder for case in cases}
        self._references = {folder: open_reference(folder / REFERENCE) for folder in folders}

    def process(self, number: int) -> None:
        """The cold starts, the warm-ups and the rounds of one process number."""
        plan = self._plan
        try:
            for kind in dict.fromkeys(item.case.kind for item in self._running()):
                self._on_step(f"{kind.label} starts")
                self._start(kind)
            for kind in dict.fromkeys(item.case.kind for item in self._running()):
                self._on_step(f"{kind.label} warms up")
                self._warm(kind, plan.sweep and number == 0)
            for item in self._running():
                item.times.append([])
                item.end_to_end.append([])
            for turn in range(plan.rounds if self._running() else 0):
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
            for item in spared(items, self._plan):
                self.measured.remove(item)

    def _open(self, kind: Kind) -> _Child:
        """A fresh child, opened while all others wait. Raises its error."""
        cell = kind.cell
        cell.bundle.check(cell.described)
        with self._watched(kind):
            first = self._samples(cell, fixed_batch(cell.described.inputs) or 1)
            self._live[kind] = child = _Child(kind, first)
            try:
                child.start()
            except FwexportError:
                child.close()
                raise
        settle(child.pids)
        return child

    def _warm(self, kind: Kind, sweep: bool) -> None:
        """Warm up every batch of a child in ascending order, those of a sweep among them."""
        asked = {item.case.batch: item for item in self._running(kind)}
        sweep = (
            sweep and not fixed_batch(kind.cell.described.inputs) and not spares(asked.values(), self._plan)
        )
        swept = 1 if sweep else None
        runs_s: dict[int, float] = {}
        while asked or swept:
            batch = min([*asked, swept]) if swept else min(asked)
            item = asked.pop(batch, None) or self._added(kind, batch)
            with self._failing([item]):
                item.warmed.append(self._warmed(self._child(kind), batch))
                runs_s[batch] = item.warmed[-1].run_s
            if batch == swept:
                swept = swept_next(batch, runs_s)

    def _warmed(self, child: _Child, batch: int) -> Warmed:
        """The warm-up of one batch."""
        seconds = min(WARMUP_S, WARMUP_SHARE * self._plan.seconds / self._plan.processes)
        found = self._call(child, measure_child.warm_up, self._samples(child.kind.cell, batch), seconds)
        child.warm.add(batch)
        return found

    def _added(self, kind: Kind, batch: int) -> Measured:
        """A case that the sweep asks for; the cold start of its child is the other cases' too."""
        opened = next(item.opened for item in self.measured if item.case.kind == kind)
        item = Measured(kind.case(batch), list(opened))
        self.measured.append(item)
        return item

    def _visit(self, item: Measured) -> None:
        case = item.case
        with self._failing([item]):
            child = self._child(case.kind)
            if case.batch not in child.warm:  # it was opened again
                self._warmed(child, case.batch)
            if not child.holds:
                child.hold(self._samples(case.cell))
            rewarm = item.warmed[-1].run_s < measure_child.SLOW_S
            on_gpu = case.cell.device != "cpu"
            seen = self._call(child, measure_child.visit, case.batch, self._plan.visit_s, rewarm, on_gpu)
            item.times[-1].append(seen.compute_ns)
            if on_gpu:
                self.watch.look()
                item.end_to_end[-1].append(seen.end_to_end_ns)

    def _call(self, child: _Child, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in a child while all others wait. One whose own child died is ended too."""
        try:
            with self._watched(child.kind):
                found = child.live.worker.call(function, *args, **kwargs)
        except WorkerError:
            child.close()
            raise
        settle(child.pids)
        return found

    def _child(self, kind: Kind) -> _Child:
        """The live child; one that another of its cases has killed is opened again."""
        child = self._live[kind]
        return child if child.live.worker.alive else self._open(kind)

    def _watched(self, but: Kind) -> AbstractContextManager[None]:
        """What all others use while the block runs is counted."""
        waiting: dict[str, tuple[int, ...]] = {}
        others = [(kind, child) for kind, child in self._live.items() if kind != but]
        for kind, child in others:  # bundles of one framework have the same names
            waiting[kind.label] = (*waiting.get(kind.label, ()), *child.pids)
        return self.idleness.watched(waiting, sum(in_browser(kind.cell.runtime) for kind, _ in others))

    def _samples(self, cell: Cell, batch: int | None = None) -> dict[str, Array]:
        """The real samples, as the artifact takes them: all, or a batch of them, repeated where it is larger."""
        reference = self._references[cell.folder]
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

    def __init__(self, kind: Kind, first: dict[str, Array]) -> None:
        self.kind = kind
        self.live = Live(kind.cell, kind.threads, precision=kind.precision, first=first)
        self.pids: tuple[int, ...] = (self.live.worker.pid,)
        self.warm: set[int] = set()
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


def _ignore(_: object) -> None:
    """Nobody listens."""
