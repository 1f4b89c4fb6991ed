"""The mutants: does the verifier find every kind of fault, and blame no clean export? ``make mutants`` runs it.

    python tests/mutants/run.py                      every kind, and as many clean networks
    python tests/mutants/run.py softmax torch/file   those whose ``framework/kind`` contains one of the words
    python tests/mutants/run.py --resume             what mutants.json does not have yet

It exits with 1 when a fault passes, when a clean export does not, and when ``--explain`` is right too seldom.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from exporter.console import stderr, stdout
from exporter.converters import Converters
from exporter.explain.stage import Explainer, source_of
from runtimes.base import runtime
from runtimes.bundle import Bundle
from runtimes.client import Worker
from runtimes.errors import FwexportError
from runtimes.machine import versions_of
from runtimes.pool import Cell, Live, Pool, cells
from runtimes.reference import REFERENCE, open_reference
from runtimes.verify import judge_cells
from tests.mutants import runtime_faults
from tests.mutants.child import Options
from tests.mutants.kinds import FRAMEWORKS, KINDS, Kind
from tests.mutants.planting import Planted, Planter
from tests.mutants.rows import (
    EXPLAINED,
    SCHEMA,
    Clean,
    Results,
    Row,
    Tried,
    complaints,
    gap_table,
    kill_table,
    load,
    save,
    score_table,
    scores,
    summary,
    told,
    total,
)
from tests.zoo.registry import FAST, MODELS
from tests.zoo.rows import COLUMNS, column_of
from tests.zoo.run import DISTRIBUTIONS, Zoo

RESULTS = "mutants.json"
# What the search for a cause may take in a row, where there is one to be found.
SECONDS = 20.0
LONGEST = 400

Item = TypeVar("Item")
Made = TypeVar("Made")


class FaultyPool(Pool):
    """Sessions with a fault of the runtime, where one is set, in the children that clean sessions share."""

    fault = ""

    def __init__(self) -> None:
        super().__init__()
        self._claimed: list[Cell] = []

    def session(self, cell: Cell) -> Live:
        fresh = cell not in self._live
        live = super().session(cell)
        if fresh and self.fault:
            _ = live.opened
            live.worker.call(runtime_faults.plant, cell.runtime, self.fault)
        return live

    def one_thread(self, cell: Cell) -> Worker:
        worker = super().one_thread(cell)
        if self.fault and worker is not self.session(cell).worker:
            worker.call(runtime_faults.plant, cell.runtime, self.fault)
        return worker

    def next_bundle(self) -> None:
        """Faults end with their bundle."""
        if self.fault:
            for cell in self._live:
                for worker in (self.session(cell).worker, super().one_thread(cell)):
                    worker.call(runtime_faults.mend, cell.runtime)
            self.fault = ""
        super().next_bundle()
        for cell in self._claimed:  # what lies of its devices serves nobody else
            self._forget(cell)
        self._claimed.clear()

    def claim(self, cell: Cell) -> None:
        """The next session of this kind is opened in a child whose driver claims every device; there is none."""
        worker = Worker({"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"})
        worker.call(runtime_faults.claim, cell.runtime)
        self._forget(cell)
        self._idle[cell.runtime, cell.device, cell.backend] = worker
        self._claimed.append(cell)

    def _forget(self, cell: Cell) -> None:
        idle = self._idle.pop((cell.runtime, cell.device, cell.backend), None)
        if idle is not None:
            idle.close()


class Mutants:
    """The children of a run: those that plant, which work ahead, those that run artifacts, and those that explain."""

    def __init__(
        self,
        folder: Path,
        planting: Converters,
        explaining: Converters,
        pool: FaultyPool,
        explained: int = len(COLUMNS),
    ) -> None:
        self.folder = folder
        self.planter = Planter(folder, planting)
        self.zoo = Zoo(folder / "zoo", planting, pool)
        self.explaining = explaining
        self.explained = explained
        self.pool = pool

    def plant(self, kind: Kind, framework: str) -> Planted | str:
        """The bundle with the fault, or why there is none."""
        try:
            return self.planter.mutant(kind, framework)
        except (FwexportError, ValueError) as error:
            return str(error)

    def clean(self, net: Options | str) -> Bundle | str:
        """The bundle of a network without a fault, our own or the zoo's of this name; or why there is none."""
        try:
            if isinstance(net, Options):
                return self.planter.clean(net)
            return self.zoo.built(MODELS[net])
        except FwexportError as error:
            return str(error)

    def judge(self, kind: Kind, framework: str, planted: Planted | str) -> Tried:
        """What the verifier says of it, and ``--explain`` of what it found."""
        begin = time.perf_counter()
        if isinstance(planted, str):
            return Tried(kind.name, framework, error=planted)
        if not planted.bundle.manifest.artifacts:
            return Tried(kind.name, framework, planted.effect, planted.refused)
        chosen = cells(planted.bundle, devices=("cpu",))
        if kind.name == "device fallback":
            chosen = on_a_gpu(planted.bundle)
            for cell in chosen:
                self.pool.claim(cell)
        elif kind.place == "runtime":
            self.pool.fault = kind.name
        try:
            rows = self._rows(planted.bundle, chosen, kind, self._turn(kind, framework))
        finally:
            self.pool.next_bundle()
        return Tried(kind.name, framework, planted.effect, planted.refused, rows, time.perf_counter() - begin)

    def pass_clean(self, name: str, bundle: Bundle | str) -> Clean:
        """What the verifier says of a network without a fault."""
        if isinstance(bundle, str):
            return Clean(name, error=bundle)
        try:
            return Clean(name, self._rows(bundle, cells(bundle, devices=("cpu",))))
        finally:
            self.pool.next_bundle()

    def _rows(
        self, bundle: Bundle, chosen: Sequence[Cell], kind: Kind | None = None, explained: Sequence[str] = ()
    ) -> tuple[Row, ...]:
        reference = open_reference(bundle.folder / REFERENCE)
        seconds = SECONDS if kind and kind.causes else 0.0
        explainer = Explainer(source_of(bundle), reference, self.pool, self.explaining, seconds)
        rows = []
        for cell, row, _ in judge_cells(chosen, reference, self.pool):
            found = None
            if kind and row.outcome == "mismatch" and column_of(row) in explained:
                found = told(kind, explainer.explain(cell), hasattr(runtime(cell.runtime), "trace"))
            rows.append(
                Row(
                    column_of(row),
                    row.outcome,
                    row.reason,
                    row.max_noise_ratio,
                    row.median_noise_ratio,
                    found,
                )
            )
        return tuple(rows)

    def _turn(self, kind: Kind, framework: str) -> list[str]:
        """The columns in which this mutant is explained: the next ones in turn, where there is something to explain."""
        if not (kind.layers or kind.causes):
            return []
        number = list(KINDS).index(kind.name) * len(FRAMEWORKS) + FRAMEWORKS.index(framework)
        return [COLUMNS[(number * self.explained + place) % len(COLUMNS)] for place in range(self.explained)]


def on_a_gpu(bundle: Bundle) -> list[Cell]:
    """Every cell of the bundle on a GPU that is not here, also of runtimes that have none."""
    chosen = cells(bundle, devices=("gpu",))
    missing = [
        cell for cell in cells(bundle, devices=("cpu",)) if not runtime(cell.runtime).DEVICES.keys() - {"cpu"}
    ]
    return chosen + [replace(cell, device="gpu") for cell in missing]


def ahead(make: Callable[[Item], Made], items: Sequence[Item]) -> Iterator[tuple[Item, Made]]:
    """Each item with what is made of it; the next one is being made meanwhile."""
    with ThreadPoolExecutor(1) as executor:
        waiting = [executor.submit(make, item) for item in items[:1]]
        for place, item in enumerate(items):
            made = waiting.pop().result()
            waiting += [executor.submit(make, another) for another in items[place + 1 : place + 2]]
            yield item, made


def clean_networks(count: int) -> list[Options | str]:
    """``count`` networks: some of the zoo's, and our own with other seeds, widths and heads."""
    own = [
        Options(FRAMEWORKS[number % 2], (4, 8, 12, 16)[number // 2 % 4], number % 3 == 0, 10 + number)
        for number in range(count)
    ]
    return [*FAST, *own][:count]


def chosen(words: Sequence[str]) -> list[tuple[Kind, str]]:
    """The mutants, a kind in a framework each, whose ``framework/kind`` contains one of the words; all without words."""
    pairs = {
        f"{framework}/{kind.name}": (kind, framework)
        for kind in KINDS.values()
        for framework in kind.frameworks
    }
    for word in words:
        if not any(word in key for key in pairs):
            sys.exit(f"no mutant's name contains {word!r}. The mutants are: {', '.join(pairs)}.")
    return [pair for key, pair in pairs.items() if not words or any(word in key for word in words)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was chosen, print the tables and what is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "words", nargs="*", metavar="WORD", help="only the mutants whose framework/kind contains it"
    )
    parser.add_argument("--resume", action="store_true", help=f"keep what {RESULTS} has")
    parser.add_argument(
        "--explain",
        type=int,
        default=2,
        metavar="N",
        help="explain each mutant in N of its artifacts, in turn (2)",
    )
    parser.add_argument(
        "--clean", type=int, metavar="N", help="clean networks (as many as there are mutants)"
    )
    parser.add_argument(
        "-o", dest="out", type=Path, default=Path("build/mutants"), help="where (build/mutants)"
    )
    options = parser.parse_args(arguments)
    pairs = chosen(options.words)
    options.out.mkdir(parents=True, exist_ok=True)
    before = load(options.out / RESULTS) if options.resume else None
    tried = {one.key: one for one in before.tried} if before else {}
    fine = {one.name: one for one in before.clean} if before else {}
    created, versions = datetime.now(UTC).isoformat(timespec="seconds"), versions_of(*DISTRIBUTIONS)

    def keep() -> None:
        save(
            options.out / RESULTS,
            Results(SCHEMA, created, versions, tuple(tried.values()), tuple(fine.values())),
        )

    wanted = clean_networks(len(pairs) if options.clean is None else options.clean)
    with ExitStack() as stack:
        planting, explaining = (stack.enter_context(Converters()) for _ in range(2))
        run = Mutants(options.out, planting, explaining, stack.enter_context(FaultyPool()), options.explain)
        due = [(kind, framework) for kind, framework in pairs if f"{framework}/{kind.name}" not in tried]
        for number, ((kind, framework), planted) in enumerate(ahead(lambda pair: run.plant(*pair), due), 1):
            one = run.judge(kind, framework, planted)
            tried[one.key] = one
            keep()
            stderr.print(
                f"{number}/{len(due)} {one.key}: {_line(one.rows)} ({one.seconds:.0f} s)", markup=False
            )
            shutil.rmtree(options.out / "mutants" / f"{framework} {kind.name}", ignore_errors=True)
        nets = [net for net in wanted if _name(net) not in fine]
        for number, (net, bundle) in enumerate(ahead(run.clean, nets), 1):
            net_done = run.pass_clean(_name(net), bundle)
            fine[net_done.name] = net_done
            keep()
            stderr.print(f"{number}/{len(nets)} clean {net_done.name}: {_line(net_done.rows)}", markup=False)
            if isinstance(bundle, Bundle):
                shutil.rmtree(bundle.folder.parent, ignore_errors=True)
    shown = [tried[f"{framework}/{kind.name}"] for kind, framework in pairs]
    passed = [fine[_name(net)] for net in wanted]
    return report(shown, passed)


def report(shown: Sequence[Tried], passed: Sequence[Clean]) -> int:
    """Print the tables and what is wrong; the exit code."""
    by_kind = scores(shown)
    wrong = complaints(shown, passed)
    stdout.print(kill_table(shown))
    stdout.print(gap_table(shown, passed))
    if by_kind:
        stdout.print(score_table(by_kind))
        for what in ("layer", "cause"):
            right, of = total(by_kind, what)
            if right < EXPLAINED * of:
                wrong.append(f"--explain names the right {what} in {right} of {of}.")
    for line in [*summary(shown, passed), *(textwrap.shorten(complaint, LONGEST) for complaint in wrong)]:
        stdout.print(line, markup=False)
    return 1 if wrong else 0


def _name(net: Options | str) -> str:
    return net if isinstance(net, str) else net.name


def _line(rows: Sequence[Row]) -> str:
    return ", ".join(f"{row.column} {row.outcome}" for row in rows)


if __name__ == "__main__":
    sys.exit(main())
