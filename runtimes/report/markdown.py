"""The view model as Markdown that also reads well in a terminal: padded tables, no HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from runtimes.report.blocks import (
    Block,
    Commands,
    Fold,
    Headline,
    Matrix,
    Point,
    Points,
    Scatters,
    Table,
    View,
    Words,
)
from runtimes.report.charts import Bars, Curves
from runtimes.report.layer_plot import LayerPlot
from runtimes.report.stacks import Stacks
from runtimes.report.units import printable

# What may begin a tag, a comment or a link; "p90 < 5" and "p90_ms<5" do not.
TAG = re.compile(r"<(?=[A-Za-z/!?])")
MARKS = {"passed": "✓", "failed": "✗", "incomplete": "?"}


def render(view: View) -> str:
    """The whole report. Plots are left to the page: their figures are in the tables."""
    parts = [f"# {escape(view.title)}", *_headline(view.headline)]
    for section in view.sections:
        parts.append(f"## {escape(section.title)}")
        parts += [text for block in section.blocks if (text := _block(block))]
    return "\n\n".join(parts) + "\n"


def _headline(headline: Headline) -> Iterator[str]:
    yield f"**{MARKS[headline.tone]} {headline.tone}: {escape(headline.text)}**"
    if headline.rest:
        yield escape(headline.rest)
    if headline.problems:
        lines = [_point(point) for point in headline.problems]
        if headline.more:
            lines.append(f"- {headline.more}: in the last section")
        yield "\n".join(lines)
    yield "\n".join(f"* **{escape(what)}**: {_text(value)}" for what, value in headline.facts)


def _block(block: Block) -> str:
    match block:
        case Words():
            return f"> {_text(block.text)}" if block.kind == "missing" else _text(block.text)
        case Table():
            return f"**{escape(block.caption)}**\n\n{_table(block)}"
        case Points():
            return f"**{escape(block.title)}**\n\n" + "\n".join(map(_point, block.points))
        case Matrix():
            return _matrix(block)
        case Commands():
            return _fenced(block.lines)
        case Fold():
            return "\n\n".join(map(_block, block.blocks))
        case Bars() | Stacks() | Curves() | Scatters() | LayerPlot():
            return ""


def _point(point: Point) -> str:
    outcome = f" **{escape(point.outcome)}**:" if point.outcome else ""
    separator = "" if outcome else ":"
    return f"- {escape(point.name)}{separator}{outcome} {_text(point.text)}"


def _table(table: Table) -> str:
    head = [escape(column.title) for column in table.columns]
    body = [[escape(cell) for cell in row] for row in table.rows]
    widths = [max(3, *(len(row[i]) for row in (head, *body))) for i in range(len(head))]
    right = [column.kind == "number" for column in table.columns]
    rules = ["-" * (w - 1) + ":" if r else "-" * w for w, r in zip(widths, right, strict=True)]

    def line(cells: list[str]) -> str:
        padded = (c.rjust(w) if r else c.ljust(w) for c, w, r in zip(cells, widths, right, strict=True))
        return f"| {' | '.join(padded)} |"

    return "\n".join([line(head), line(rules), *map(line, body)])


def _matrix(matrix: Matrix) -> str:
    """The lower triangle, numbered; the names of the numbers come first."""
    names = "\n".join(f"{i}. {escape(name)}" for i, name in enumerate(matrix.names, start=1))
    numbers = [str(i) for i in range(1, len(matrix.names) + 1)]
    cells = [[cell.text for cell in row[: i + 1]] for i, row in enumerate(matrix.cells)]
    width = max(len(text) for row in (numbers, *cells) for text in row) + 1
    lines = ["".join(text.rjust(width) for text in ("", *numbers))]
    lines += [
        "".join(text.rjust(width) for text in (n, *row)) for n, row in zip(numbers, cells, strict=False)
    ]
    return f"**{escape(matrix.caption)}**\n\n{names}\n\n{_fenced(lines)}"


def _fenced(lines: Sequence[str]) -> str:
    lines = [printable(line).replace("\n", " ") for line in lines]
    longest = max((len(run) for line in lines for run in _runs(line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([fence, *lines, fence])


def _runs(line: str) -> list[str]:
    return "".join(c if c == "`" else " " for c in line).split()


def _text(text: str) -> str:
    """Escaped, but for `code` between backticks that needs no escape."""
    text = printable(text)
    pieces = text.split("`")
    if len(pieces) % 2 == 0:
        return escape(text)
    return "".join(
        escape(piece) if i % 2 == 0 or not _plain(piece) else f"`{piece}`" for i, piece in enumerate(pieces)
    )


def _plain(piece: str) -> bool:
    return bool(piece.strip()) and not set(piece) & set("&|\\\n") and not TAG.search(piece)


def escape(text: str) -> str:
    """No HTML, no table cell, no link and no emphasis can come of the text; it stays on one line."""
    text = re.sub(r"\s+", " ", printable(text))
    for character in "\\`*|[]":
        text = text.replace(character, f"\\{character}")
    text = TAG.sub("&lt;", text.replace("&", "&amp;"))
    return f"&gt;{text[1:]}" if text.startswith(">") else text
