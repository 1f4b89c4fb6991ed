"""The zoo's table: a row for each model and column, what is wrong with it, and how it is printed and kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from runtimes.bundle import Failure
from runtimes.files import write_atomically
from runtimes.rows import VerifyRow

# An artifact, and the backend where it has several.
COLUMNS = ("torchscript", "onnx", "keras", "savedmodel", "tflite", "tfjs wasm", "tfjs js")
SCHEMA = 1


@dataclass(frozen=True)
class Row:
    """One model in one column: the outcome, e/n (see ``runtimes.verdict.parity``), and the reason of what did not pass."""

    model: str
    column: str
    outcome: str
    reason: str = ""
    max_noise_ratio: float | None = None
    median_noise_ratio: float | None = None

    @property
    def key(self) -> str:
        """As ``explained.py`` names it."""
        return f"{self.model}/{self.column}"

    @property
    def passed(self) -> bool:
        return self.outcome == "passed"


@dataclass(frozen=True)
class Tried:
    """A model's way through the zoo. ``transposes`` are those in its TF Lite file, None when there is none."""

    model: str
    rows: tuple[Row, ...]
    build_s: float = 0.0
    verify_s: float = 0.0
    transposes: int | None = None


@dataclass(frozen=True)
class Results:
    """The whole of ``zoo.json``."""

    schema: int
    created: str
    versions: dict[str, str] = field(default_factory=dict)
    tried: tuple[Tried, ...] = ()


def rows(model: str, verified: Sequence[VerifyRow], failures: Sequence[Failure]) -> tuple[Row, ...]:
    """A row for each column: a failed conversion fails every column of its format."""
    found = [
        Row(model, column_of(row), row.outcome, row.reason, row.max_noise_ratio, row.median_noise_ratio)
        for row in verified
        if row.device == "cpu"
    ]
    found += [
        Row(model, column, "failed", f"{failure.edge}: {failure.message}")
        for failure in failures
        for column in COLUMNS
        if column.split()[0] == failure.format
    ]
    return tuple(sorted(found, key=lambda row: COLUMNS.index(row.column)))


def column_of(row: VerifyRow) -> str:
    return f"tfjs {row.backend}" if row.artifact == "tfjs" else row.artifact


def complaints(found: Iterable[Row], explained: Mapping[str, str]) -> list[str]:
    """What is neither passed nor explained, equal reasons together, and what is explained but passes."""
    said, failed = [], defaultdict[tuple[str, str, str], list[str]](list)
    for row in found:
        reason = explained.get(row.key)
        if row.passed and reason is not None:
            said.append(f"{row.key} passes, though it is explained: {reason} Take it off the list.")
        if not row.passed and reason is None:
            failed[row.model, row.outcome, row.reason].append(row.column)
    said += [f"{model}: {', '.join(columns)} {how}: {why}" for (model, how, why), columns in failed.items()]
    return said


def too_many_transposes(tried: Iterable[Tried], known: Mapping[str, int]) -> list[str]:
    """The models whose TF Lite file has more Transpose operators than ``known`` says, by default none."""
    return [
        f"{one.model}: its TF Lite file has {one.transposes} Transpose operators, more than {known.get(one.model, 0)}."
        for one in tried
        if one.transposes is not None and one.transposes > known.get(one.model, 0)
    ]


def table(tried: Sequence[Tried], explained: Mapping[str, str]) -> Table:
    """Models x columns: the worst e/n of what passed, the outcome of what did not, * where it is explained."""
    made = Table(title="The zoo: worst e/n", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    made.add_column("model", no_wrap=True)
    for column in COLUMNS:
        made.add_column(column, justify="right")
    made.add_column("transposes", justify="right")
    for one in tried:
        cells = {row.column: _cell(row, explained) for row in one.rows}
        transposes = "-" if one.transposes is None else str(one.transposes)
        made.add_row(one.model, *(cells.get(column, "-") for column in COLUMNS), transposes)
    return made


def summary(tried: Sequence[Tried]) -> Table:
    """For each column: how many passed, and the worst e/n and median among them."""
    made = Table(title="By artifact", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for head in ("artifact", "passed", "of", "worst e/n", "worst median"):
        made.add_column(head, justify="left" if head == "artifact" else "right")
    every = [row for one in tried for row in one.rows]
    for column in COLUMNS:
        here = [row for row in every if row.column == column]
        passed = [row for row in here if row.passed]
        worst = np.max([row.max_noise_ratio or 0 for row in passed], initial=0)
        median = np.max([row.median_noise_ratio or 0 for row in passed], initial=0)
        made.add_row(column, str(len(passed)), str(len(here)), f"{worst:.2f}", f"{median:.2f}")
    return made


def load(path: Path) -> dict[str, Tried]:
    """The models in ``zoo.json`` by name; none when there is no such file."""
    if not path.exists():
        return {}
    return {one.model: one for one in msgspec.json.decode(path.read_bytes(), type=Results).tried}


def save(path: Path, created: str, versions: dict[str, str], tried: Sequence[Tried]) -> None:
    """Write ``zoo.json``."""
    content: Any = Results(SCHEMA, created, versions, tuple(tried))
    write_atomically(path, msgspec.json.format(msgspec.json.encode(content), indent=2))


def _cell(row: Row, explained: Mapping[str, str]) -> str:
    if row.passed:
        return f"[green]{row.max_noise_ratio or 0:.1f}[/green]"
    return f"[yellow]{row.outcome}*[/yellow]" if row.key in explained else f"[red]{row.outcome}[/red]"
