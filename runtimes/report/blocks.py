"""The view model: a report as a list of sections of blocks, already in words. Both formats render these.

Text may hold `code` between backticks. It is as people wrote it: each format escapes it and drops what cannot be
printed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from runtimes.report.charts import Bars, Curves
from runtimes.report.layer_plot import LayerPlot
from runtimes.report.scatter import Scatter
from runtimes.report.stacks import Stacks

Tone = Literal["passed", "incomplete", "failed"]


@dataclass(frozen=True)
class Column:
    """A table's column. "head" and "name" cells head their row; a "name" is ``source/artifact/runtime/...``."""

    title: str
    kind: Literal["head", "name", "text", "number", "code", "outcome"] = "text"


@dataclass(frozen=True)
class Table:
    """Cells in words, one for each column."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Words:
    """One paragraph. "missing" is what a stage did not write, and the command that writes it."""

    text: str
    kind: Literal["plain", "missing", "legend"] = "plain"


@dataclass(frozen=True)
class Point:
    """One thing to know about ``name``; ``outcome`` is one word or two, "" for a plain note."""

    name: str
    outcome: str
    text: str


@dataclass(frozen=True)
class Points:
    """A titled list."""

    title: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Cell:
    """One cell of a matrix: ``level`` 0 (lowest) to 4 (all the same) shades what ``text`` says."""

    text: str
    level: int


@dataclass(frozen=True)
class Matrix:
    """A square of every row against every row, numbered from 1 in the order of ``names``."""

    caption: str
    names: tuple[str, ...]
    cells: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Commands:
    """Lines for a shell."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Fold:
    """Blocks that the page folds away under a title. Markdown shows them."""

    title: str
    blocks: tuple[Table, ...]


@dataclass(frozen=True)
class Scatters:
    """Plots of one figure against another that stand side by side where there is room. ``key`` names the series."""

    plots: tuple[Scatter, ...]
    key: tuple[tuple[int, str], ...]


Block = Table | Words | Points | Matrix | Commands | Fold | Bars | Stacks | Curves | Scatters | LayerPlot


@dataclass(frozen=True)
class Section:
    """One section; ``anchor`` is its id in the page."""

    anchor: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Headline:
    """Did everything pass, when, where and with what. ``rest`` is what ``text`` leaves out, "" for nothing.

    ``problems`` are the first ones, their reasons cut to a line or two; ``more`` says so, or is "".
    """

    tone: Tone
    text: str
    rest: str
    problems: tuple[Point, ...]
    more: str
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class View:
    """The whole report."""

    title: str
    headline: Headline
    sections: tuple[Section, ...]
