"""``bench --require`` as a person sees it: each row against each requirement, and which to deploy."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from exporter.console import new_table, print_table, stdout
from exporter.console_bench import places
from runtimes.rows import BenchRow, Check, Choice

_MARKS = {
    "met": ("", "green"),
    "within noise": (" ~", "yellow"),
    "missed": (" no", "red"),
    "unknown": ("?", "red"),
}


def print_choice(choice: Choice, rows: Sequence[BenchRow]) -> None:
    """A column for each requirement, the Pareto front, and the recommended row with its margins."""
    pairs = list(zip(rows, choice.rows, strict=True))
    named = places(rows)
    shown = new_table("Which to deploy?", ["artifact", "in"], ["batch", *choice.requirements, "meets all"])
    for (row, judged), place in zip(pairs, named, strict=True):
        cells = map(_cell, judged.checks)
        shown.add_row(
            f"{row.source}/{row.artifact}", place, str(row.batch), *cells, "yes" if judged.meets else "no"
        )
    print_table(shown)
    names = {
        judged.name: f"{row.source}/{row.artifact} in {place}, batch {row.batch}"
        for (row, judged), place in zip(pairs, named, strict=True)
    }
    for row, judged in pairs:
        if row.outcome == "passed" and not judged.meets and all(c.outcome != "missed" for c in judged.checks):
            stdout.print(f"{names[judged.name]}: {judged.reason}", markup=False)
    front = "; ".join(names[name] for name in choice.pareto) or "empty: no row has a verdict that passed"
    stdout.print(f"Pareto front of {', '.join(choice.axes)}, each batch for itself: {front}", markup=False)
    if choice.recommended is None:
        stdout.print("recommended: none, as no row meets all requirements", style="bold red")
    for row, judged in pairs:
        if judged.name == choice.recommended:
            stdout.print(f"recommended: {names[judged.name]}", style="bold green", markup=False)
            for check in judged.checks:
                stdout.print(f"  {_margin(check)}", markup=False)
            if row.compute and row.compute.flags:
                stdout.print(f"  its times are doubtful: {', '.join(row.compute.flags)}", markup=False)


def _cell(check: Check) -> Text:
    mark, colour = _MARKS[check.outcome]
    return Text(("" if check.value is None else f"{check.value:.4g}") + mark, colour)


def _margin(check: Check) -> str:
    interval = f" ({check.interval[0]:.4g} to {check.interval[1]:.4g})" if check.interval else ""
    margin = "" if check.margin is None else f", {check.margin:.1%} of the limit to spare"
    return f"{check.requirement}: {check.value:.4g}{interval}{margin}"
