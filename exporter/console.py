"""What a person sees: tables on standard output, progress and steps on standard error, JSON when it is asked for."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from runtimes import emulation
from runtimes.base import Array
from runtimes.browser import find
from runtimes.bundle import Failure
from runtimes.comparing.compare_rows import CompareRow
from runtimes.explanation import in_words
from runtimes.predict import Prediction
from runtimes.report import units
from runtimes.rows import SCHEMA, BenchRow, VerifyRow

stdout = Console(width=None if sys.stdout.isatty() else 120)
stderr = Console(stderr=True, soft_wrap=True, highlight=False)

# Backends that are of a GPU by their names.
WEB_GPU = ("webgl", "webgpu")

_COLOURS = {"passed": "green", "unavailable": "yellow", "inconclusive": "yellow"}


class Steps:
    """Steps of a long command: a bar on a terminal, a plain line each elsewhere; their times at the end."""

    def __init__(self, quiet: bool = False) -> None:
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=stderr,
            transient=True,
            disable=quiet or not stderr.is_terminal,
        )
        self._quiet = quiet
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[Stage]:
        """One stage, timed, with a bar of ``total`` steps."""
        begin = time.perf_counter()
        task = self._bars.add_task(name, total=total)
        try:
            yield Stage(self._bars, task, self._quiet, name)
        finally:
            self._bars.remove_task(task)
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begin

    def say(self, text: str) -> None:
        """A line for the log."""
        if not self._quiet:
            stderr.print(text, markup=False)

    def __enter__(self) -> Steps:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()


class Stage:
    """One bar."""

    def __init__(self, bars: Progress, task: TaskID, quiet: bool, name: str) -> None:
        self._bars, self._task, self._quiet, self._name = bars, task, quiet, name

    def step(self, what: str, of: int | None = None) -> None:
        """One step is done or begun; ``what`` is its name, ``of`` how many there are."""
        self._bars.update(self._task, advance=1, description=f"{self._name}: {what}", total=of)
        if not self._quiet:
            stderr.print(f"{self._name}: {what}", markup=False)

    def say(self, text: str) -> None:
        """A line for the log, which is no step."""
        if not self._quiet:
            stderr.print(text, markup=False)

    def describe(self, what: str) -> None:
        """What goes on, and is no step of its own: beside the bar on a terminal, else a line."""
        self._bars.update(self._task, description=f"{self._name}: {what}")
        if not (self._quiet or stderr.is_terminal):
            stderr.print(f"{self._name}: {what}", markup=False)

    def expect(self, more: int) -> None:
        """That many more steps will come."""
        task = next(task for task in self._bars.tasks if task.id == self._task)
        self._bars.update(self._task, total=(task.total or 0) + more)

    def on_event(self, event: dict[str, Any]) -> None:
        """What a training child tells: a batch within the epoch, or an epoch."""
        if "batch" in event:
            self._bars.update(self._task, completed=event["batch"], total=event["of"])
        elif "epoch" in event:
            self._bars.update(self._task, completed=0)
            if not self._quiet:
                stderr.print(
                    f"{self._name}: epoch {event['epoch']}/{event['of']}, loss {event['loss']:.4f}, "
                    f"held-out accuracy {event['accuracy']:.4f}",
                    markup=False,
                )


def print_json(content: object) -> None:
    """A result, in the form of its file, on standard output."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(content), indent=2).decode() + "\n")


def print_verify(rows: Sequence[VerifyRow]) -> None:
    """The verdicts as a table; each reason below it."""
    table = new_table(
        "Same predictions?", ["artifact", "in", "outcome"], ["worst e/n", "max error", "top-1", "accuracy"]
    )
    for row in rows:
        table.add_row(
            f"{row.source}/{row.artifact}",
            where(row),
            _outcome(row.outcome),
            _number(row.max_noise_ratio, ".2f"),
            _number(row.max_abs_error, ".1e"),
            _number(row.top1_agreement, ".4f"),
            _number(row.accuracy, ".4f"),
        )
    print_table(table, markup=True)
    for line in where_they_ran(rows):
        stdout.print(line, markup=False)
    generated = dict.fromkeys(row.source for row in rows if row.samples == "generated")
    if generated:
        stdout.print(f"{', '.join(generated)}: judged on generated inputs; bring real ones with --samples.")
    for source in dict.fromkeys(row.source for row in rows):
        _classes(source, [row for row in rows if row.source == source and row.top1_interval])
    print_reasons(rows)


def warn(lines: Sequence[str]) -> None:
    """What makes a result doubtful, on stderr."""
    for line in lines:
        stderr.print(f"warning: {line}", markup=False)


def print_predictions(found: Sequence[Prediction], as_json: bool) -> None:
    """A line for each sample and its classes, or its outputs' sizes; as JSON, ``outputs`` are the numbers themselves."""
    if as_json:
        rows = msgspec.json.encode({"schema": SCHEMA, "rows": found}, enc_hook=lambda array: array.tolist())
        sys.stdout.write(msgspec.json.format(rows, indent=2).decode() + "\n")
        return
    several = {one.file for one in found if one.sample}
    for one in found:
        file = f"{one.file}[{one.sample}]" if one.file in several else one.file
        device = f" on {one.device}" if one.device != "cpu" else ""
        click.echo(f"{file}: {one.source}/{one.artifact} in {one.runtime}{device}")
        for each in one.top:
            click.echo(f"  {each.score:.4f}  {each.label or f'class {each.index}'}")
        for name, array in one.outputs.items() if not one.top else ():
            click.echo(f"  {name}: {_summary(array)}")
    if found and found[0].scores:
        click.echo(f"scores: {found[0].scores}")


def _summary(array: Array) -> str:
    """The numbers of a small output, and what can be said in a line of a large one."""
    if array.size <= 10:
        return ", ".join(f"{value:.6g}" for value in array.ravel().tolist())
    shape = "x".join(map(str, array.shape))
    return f"{shape}, from {array.min():.6g} to {array.max():.6g}, mean {array.mean():.6g} (all of it with --json)"


def print_notes(notes: Sequence[str]) -> None:
    """What there is to say beyond the rows, a line each."""
    for note in notes:
        stdout.print(f"note: {note}", markup=False)


def print_failures(failures: Sequence[Failure]) -> None:
    """The formats that could not be written, those that one conversion is to blame for together."""
    together: dict[tuple[str, str], list[str]] = {}
    for failure in failures:
        together.setdefault((failure.edge, failure.message), []).append(failure.format)
    for (edge, message), formats in together.items():
        why = f"{edge}: {message}" if edge else message
        stderr.print(f"no {', '.join(formats)}: {why}", markup=False)


def _classes(source: str, rows: Sequence[VerifyRow]) -> None:
    """What the held-out samples say: a line for all rows that it is the same of, the many last."""
    together: dict[str, list[VerifyRow]] = {}
    for row in rows:
        together.setdefault(_held_out(row), []).append(row)
    for text, same in sorted(together.items(), key=lambda item: len(item[1])):
        names = ", ".join(f"{source}/{row.artifact} in {where(row)}" for row in same)
        others = f"{source}, the other {len(same)}" if len(same) > len(rows) / 2 > 1 else names
        stdout.print(f"{source if len(together) == 1 else others}: {text}", markup=False)


def _held_out(row: VerifyRow) -> str:
    """The agreement and the change in accuracy of one row, with their 95 % intervals."""
    same = round((row.top1_agreement or 0) * row.heldout_n)
    count = f"all {same}" if same == row.heldout_n else f"{same} of {row.heldout_n}"
    said = f"the source's class on {count} held-out samples (95 % interval {units.shares(row.top1_interval)})"
    if row.accuracy_change is None:
        return said
    change = (
        f"change {units.points(row.accuracy_change)} points ({units.changes(row.accuracy_change_interval)})"
    )
    luck = f", p {units.significant(row.mcnemar_p)}" if row.accuracy_change else ""
    return f"{said}; accuracy {units.percent(row.accuracy)}, {change}{luck}"


def print_reasons(rows: Sequence[VerifyRow] | Sequence[BenchRow]) -> None:
    """Why each row is what it is, where there is more to say than its outcome; once for rows that differ in batch alone."""
    said = set()
    for row in rows:
        name = f"{row.source}/{row.artifact}"
        if row.runtime != "-":
            name += f" in {row.runtime} ({row.backend}) on {row.device}"
        line = f"{name}: {row.outcome}: {row.reason}"
        if row.reason and line not in said:
            said.add(line)
            stdout.print(line, markup=False)
        if isinstance(row, VerifyRow) and row.explanation is not None:
            for line in in_words(row.explanation):
                stdout.print(f"  {line}", markup=False)


def new_table(title: str, texts: Sequence[str], numbers: Sequence[str]) -> Table:
    """Columns of text, then of numbers; without rows.

    What the box puts between two columns is enough, so that the whole fits 80 columns; where it does not, a backend stands
    below its runtime, in the column ``in``.
    """
    style: dict[str, Any] = {"box": SIMPLE_HEAD, "show_edge": False, "padding": (0, 0)}
    table = Table(title=title, title_justify="left", title_style="bold", **style)
    for text in texts:
        table.add_column(text, no_wrap=text != "in")
    for number in numbers:
        table.add_column(number, justify="right", no_wrap=True)
    return table


def print_table(table: Table, markup: bool = False) -> None:
    """The table, and a line below it. With ``markup`` its cells may have colours, else brackets are themselves."""
    stdout.print(table, markup=markup)
    stdout.print()


def where(row: VerifyRow | BenchRow | CompareRow) -> str:
    """The runtime; its backend when the name does not say it, and the device unless it is the CPU or the backend says it.

    A star is for a device that software plays, see ``where_they_ran``.
    """
    backend = (
        row.backend if row.backend not in (row.runtime, row.device, "torch", "tensorflow", "xnnpack") else ""
    )
    device = "" if row.device == "cpu" or backend in WEB_GPU else row.device
    star = "*" if row.emulated else ""
    return " ".join(word for word in (row.runtime, backend, device) if word) + star


def where_they_ran(rows: Sequence[VerifyRow | BenchRow]) -> Iterator[str]:
    """The browsers of the rows that ran in one; then what the star means."""
    for browser in dict.fromkeys(filter(None, (find.named(row.versions) for row in rows))):
        yield f"browser: {browser}"
    yield from stars(rows)


def stars(rows: Sequence[VerifyRow | BenchRow | CompareRow]) -> Iterator[str]:
    """What the star means, for each software that plays a device."""
    for device, software in dict.fromkeys((row.device, row.emulated) for row in rows if row.emulated):
        judged = all(isinstance(row, VerifyRow) for row in rows)
        yield f"* {device}, played by {software}: {emulation.VERDICTS if judged else emulation.TIMES}"


def _outcome(outcome: str) -> str:
    colour = _COLOURS.get(outcome, "red")
    return f"[{colour}]{outcome}[/{colour}]"


def _number(value: float | None, spec: str) -> str:
    return "-" if value is None else format(value, spec)
