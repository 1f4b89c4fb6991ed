"""``compare`` as a person sees it."""

from __future__ import annotations

from rich.text import Text

from exporter.console import new_table, print_table, stars, stdout, warn, where
from runtimes.comparing.compare_rows import CompareResult
from runtimes.report import compared

_COLOURS = {"slower": "red", "failed": "red", "missing": "red", "unclear": "yellow", "faster": "green"}


def print_compare(result: CompareResult) -> None:
    """The rows as a table; below it why a row is what it is, what else has changed, and what to doubt."""
    texts = ["artifact", "in", "outcome"]
    table = new_table(
        "Did it get slower?", texts, ["batch", "old ms", "new ms", "new / old", "95 % interval"]
    )
    for row in result.rows:
        colour = _COLOURS.get(row.outcome, "default")
        for scope, change in compared.scopes(row):
            place = f"{where(row)} {scope}".rstrip()
            outcome = Text(row.outcome, colour)
            name = f"{compared.label(row)}/{row.artifact}"
            table.add_row(name, place, outcome, str(row.batch), *compared.figures(row, change))
    print_table(table)
    for line in (
        *stars(result.rows),
        *compared.reasons(result),
        *compared.remarks(result),
        *compared.legend(result.rows),
        compared.how(result),
    ):
        stdout.print(line, markup=False)
    stdout.print(compared.summary(result), markup=False, style="bold")
    warn([f"these times are doubtful: {doubt}" for doubt in compared.doubts(result)])
