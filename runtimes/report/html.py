"""The view model as one self-contained HTML page: no script, no request, styles and plots inside."""

from __future__ import annotations

from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from runtimes.report import charts, layer_plot, scatter
from runtimes.report.blocks import View
from runtimes.report.units import printable

TEMPLATE = "report.html.j2"
MARKS = {
    "passed": "✓",
    "stable": "✓",
    "mismatch": "✗",
    "failed": "✗",
    "crashed": "✗",
    "timeout": "✗",
    "not exported": "✗",
}
BAD = {word for word, mark in MARKS.items() if mark == "✗"}


def render(view: View) -> str:
    """The whole page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_printable,
    )
    environment.filters["text"] = _text
    environment.filters["mark"] = lambda word: MARKS.get(word, "?")
    environment.filters["tone"] = _tone
    environment.filters["block"] = lambda block: type(block).__name__
    environment.filters["breaks"] = _breaks
    environment.globals["geometry"] = charts
    environment.globals["scatter_geometry"] = scatter
    environment.globals["layer_geometry"] = layer_plot
    return environment.get_template(TEMPLATE).render(view=view)


def _printable(value: object) -> object:
    return printable(value) if type(value) is str else value


def _tone(word: str) -> str:
    """The class of an outcome: good, bad or open. The word itself is always printed too."""
    return "bad" if word in BAD else "good" if word in MARKS else "open"


def _text(text: str) -> Markup:
    """Escaped text whose `code` between backticks is marked up."""
    text = printable(text)
    pieces = text.split("`")
    if len(pieces) % 2 == 0:
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if i % 2 else escape(piece) for i, piece in enumerate(pieces)
    )


def _breaks(name: str) -> Markup:
    """``source/artifact`` in bold, the rest under it; may break at each slash."""
    parts = printable(name).split("/")
    slash = Markup("/<wbr>")
    first = Markup("<b>{}</b>").format(slash.join(parts[:2]))
    return Markup("{}/<wbr><span>{}</span>").format(first, slash.join(parts[2:])) if parts[2:] else first
