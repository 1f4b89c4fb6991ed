"""The report: what the earlier stages wrote, as one Markdown file and one self-contained HTML page.

    inputs (JSON files) -> view (words, tables and plots) -> markdown, html

Nothing is measured or judged here: figures are formatted, rows are sorted and picked, missing files are said.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runtimes.files import write_atomically, writing_to

MARKDOWN = "report.md"
HTML = "report.html"


@dataclass(frozen=True)
class ReportResult:
    """The two files that were written."""

    markdown: Path
    html: Path


def report(folder: Path, out: Path | None = None) -> ReportResult:
    """Write ``report.md`` and ``report.html`` on the bundle in ``folder``, or on all bundles directly inside it.

    They go into ``out`` (default: ``folder``), made when missing. The same JSON files give the same bytes.
    Raises UsageError when there is no bundle or a file is damaged, OutputError when ``out`` cannot be written.
    """
    from runtimes.report import html, markdown
    from runtimes.report.inputs import read
    from runtimes.report.view import view

    page = view(read(folder))
    target = folder if out is None else out
    with writing_to(target):
        target.mkdir(parents=True, exist_ok=True)
    result = ReportResult(markdown=target / MARKDOWN, html=target / HTML)
    write_atomically(result.markdown, markdown.render(page))
    write_atomically(result.html, html.render(page))
    return result
