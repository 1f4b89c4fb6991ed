"""The kill table: every fault in every artifact, what the verifier said, and what ``--explain`` said of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from rich.box import SIMPLE_HEAD
from rich.table import Table

from runtimes.explanation import Explanation
from runtimes.files import write_atomically
from runtimes.verdict.parity import MAX_RATIO, MEDIAN_RATIO
from tests.mutants.kinds import KINDS, Kind
from tests.zoo.rows import COLUMNS

SCHEMA = 1
# The share of explanations that must name the right layer, and the right cause.
EXPLAINED = 0.9
# The most layers that an artifact computes as one: a padding, a convolution, its normalisation and its activation.
FOLDED = 4


@dataclass(frozen=True)
class Told:
    """What ``--explain`` said. ``right_layer`` and ``right_cause`` are None where there is nothing to say."""

    layers: tuple[str, ...]
    causes: tuple[str, ...]
    right_layer: bool | None
    right_cause: bool | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """One artifact in one runtime: the outcome and reason of ``verify``, the largest e/n and the median one."""

    column: str
    outcome: str
    reason: str = ""
    ratio: float | None = None
    median: float | None = None
    told: Told | None = None


@dataclass(frozen=True)
class Tried:
    """A kind of fault in one network. ``effect`` is the largest e/n of the float64 source with it, None where no number
    changed; ``refused`` are the formats that a converter did not write; ``error`` says why nothing was planted."""

    kind: str
    framework: str
    effect: float | None = None
    refused: dict[str, str] = field(default_factory=dict)
    rows: tuple[Row, ...] = ()
    seconds: float = 0.0
    error: str = ""

    @property
    def key(self) -> str:
        """``framework/kind``."""
        return f"{self.framework}/{self.kind}"


@dataclass(frozen=True)
class Clean:
    """A network without a fault."""

    name: str
    rows: tuple[Row, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Results:
    """The whole of ``mutants.json``."""

    schema: int
    created: str
    versions: dict[str, str] = field(default_factory=dict)
    tried: tuple[Tried, ...] = ()
    clean: tuple[Clean, ...] = ()


def killed(kind: Kind, row: Row) -> bool:
    """Whether the verifier found the fault: the row fails with exit code 1. A device that is not here is unavailable."""
    return row.outcome in ("mismatch", "failed") or (
        row.outcome == "unavailable" and kind.name == "device fallback"
    )


def told(kind: Kind, found: Explanation, traced: bool) -> Told:
    """An explanation beside what is right; a runtime that shows nothing of its inside (not ``traced``) names no layer.

    A span of more layers than a converter folds into one names none of them.
    """
    named = set(found.first_layers) if len(found.first_layers) <= FOLDED else set()
    causes = tuple(cause.name for cause in found.causes)
    return Told(
        found.first_layers,
        causes,
        bool(set(kind.layers) & named) if kind.layers and traced else None,
        bool(set(kind.causes) & set(causes)) if kind.causes else None,
        found.notes,
    )


def complaints(tried: Iterable[Tried], clean: Iterable[Clean]) -> list[str]:
    """What is wrong: faults that passed or were not planted, clean exports that did not pass, effects that are not as said."""
    said = []
    for one in tried:
        kind = KINDS[one.kind]
        if one.error:
            said.append(f"{one.key} was not planted: {one.error}")
        if one.effect is not None and (one.effect > MAX_RATIO) == bool(kind.unseen):
            said.append(
                f"{one.key} moves the float64 source by {one.effect:.3g} n, which is not as its kind says."
            )
        for format, why in one.refused.items():
            if format not in kind.refusable:
                said.append(f"{one.key}: no {format} was written: {why}")
        if kind.unseen:
            continue
        alive = [
            f"{row.column} {row.outcome} {row.reason}".strip() for row in one.rows if not killed(kind, row)
        ]
        if alive:
            said.append(f"{one.key} was not found: {'; '.join(alive)}")
    for net in clean:
        if net.error:
            said.append(f"clean {net.name}: {net.error}")
        said += [
            f"clean {net.name}: {row.column} {row.outcome}: {row.reason}"
            for row in net.rows
            if row.outcome != "passed"
        ]
    return said


def scores(tried: Iterable[Tried]) -> dict[str, dict[str, tuple[int, int]]]:
    """By kind, ``layer`` and ``cause``: how many explanations were right, of how many."""
    found: dict[str, dict[str, tuple[int, int]]] = {}
    for one in tried:
        for row in one.rows:
            if row.told is None:
                continue
            for what, right in (("layer", row.told.right_layer), ("cause", row.told.right_cause)):
                if right is not None:
                    had, of = found.setdefault(one.kind, {}).get(what, (0, 0))
                    found[one.kind][what] = (had + right, of + 1)
    return found


def total(by_kind: dict[str, dict[str, tuple[int, int]]], what: str) -> tuple[int, int]:
    """The sum over kinds."""
    pairs = [each[what] for each in by_kind.values() if what in each]
    return sum(had for had, _ in pairs), sum(of for _, of in pairs)


def kill_table(tried: Sequence[Tried]) -> Table:
    """Faults x artifacts: killed of planted, over the networks."""
    made = Table(
        title="Faults found, of those planted", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    made.add_column("fault", no_wrap=True)
    for column in COLUMNS:
        made.add_column(column, justify="right")
    made.add_column("e/n in float64", justify="right")
    for name, kind in KINDS.items():
        here = [one for one in tried if one.kind == name]
        if here:
            effects = " ".join("-" if one.effect is None else f"{one.effect:.2g}" for one in here)
            made.add_row(name, *(_cell(kind, here, column) for column in COLUMNS), effects)
    return made


def _cell(kind: Kind, tried: Sequence[Tried], column: str) -> str:
    rows = [row for one in tried for row in one.rows if row.column == column]
    if not rows:
        return "refused" if any(column.split()[0] in one.refused for one in tried) else "-"
    if kind.unseen:
        return "unseen"
    found = sum(killed(kind, row) for row in rows)
    return f"[green]{found}/{len(rows)}[/green]" if found == len(rows) else f"[red]{found}/{len(rows)}[/red]"


def summary(tried: Sequence[Tried], clean: Sequence[Clean]) -> list[str]:
    """The totals, in lines."""
    seen = [one for one in tried if not KINDS[one.kind].unseen]
    rows = [(KINDS[one.kind], row) for one in seen for row in one.rows]
    found = sum(killed(kind, row) for kind, row in rows)
    fine = [row for net in clean for row in net.rows]
    lines = [
        f"{len({one.kind for one in seen})} kinds of fault in {len(seen)} networks: {found} of {len(rows)} artifacts found.",
        f"{len(clean)} clean networks: {sum(row.outcome == 'passed' for row in fine)} of {len(fine)} artifacts passed.",
    ]
    lines += [
        f"Not to be seen in principle: {one.key} ({KINDS[one.kind].unseen}), {one.effect or 0:.2g} n of {MAX_RATIO:g}."
        for one in tried
        if KINDS[one.kind].unseen
    ]
    return lines


def gap_table(tried: Sequence[Tried], clean: Sequence[Clean]) -> Table:
    """For each column, between which e/n the limits lie: the worst clean export's, and the least fault's that was found."""
    title = f"The gap in which the limits of {MAX_RATIO:g} and, for the median, {MEDIAN_RATIO:g} lie"
    made = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for head in ("artifact", "worst clean", "median", "least fault", "median", "which"):
        made.add_column(head, justify="left" if head in ("artifact", "which") else "right")
    for column in COLUMNS:
        fine = [row for net in clean for row in net.rows if row.column == column and row.outcome == "passed"]
        worst = max((row.ratio or 0 for row in fine), default=0.0)
        middle = max((row.median or 0 for row in fine), default=0.0)
        found = [
            (row.ratio, row.median or 0, one.key)
            for one in tried
            for row in one.rows
            if row.column == column and row.outcome == "mismatch" and row.ratio is not None
        ]
        least = min(found, default=None)
        about = (f"{least[0]:.3g}", f"{least[1]:.3g}", least[2]) if least else ("-", "-", "-")
        made.add_row(column, f"{worst:.1f}", f"{middle:.1f}", *about)
    return made


def score_table(by_kind: dict[str, dict[str, tuple[int, int]]]) -> Table:
    """What ``--explain`` named rightly, by kind, the total last."""
    made = Table(title="Explained rightly", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    made.add_column("fault", no_wrap=True)
    for what in ("layer", "cause"):
        made.add_column(what, justify="right")
    for kind, found in by_kind.items():
        made.add_row(kind, *(_share(found.get(what)) for what in ("layer", "cause")))
    made.add_row("all", *(_share(total(by_kind, what)) for what in ("layer", "cause")))
    return made


def _share(pair: tuple[int, int] | None) -> str:
    if pair is None or not pair[1]:
        return "-"
    text = f"{pair[0]}/{pair[1]}"
    return text if pair[0] >= EXPLAINED * pair[1] else f"[yellow]{text}[/yellow]"


def load(path: Path) -> Results | None:
    """``mutants.json``, or None when there is no such file."""
    return msgspec.json.decode(path.read_bytes(), type=Results) if path.exists() else None


def save(path: Path, results: Results) -> None:
    """Write ``mutants.json``. An infinite e/n is null there."""
    content: Any = results
    write_atomically(path, msgspec.json.format(msgspec.json.encode(content), indent=2))
