"""What comments on a pull request are made of: Markdown that GitHub and GitLab take and render alike."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from runtimes.report.headline import cut
from runtimes.report.markdown import escape

LONGEST = 65_536  # what GitHub takes
REASON_LENGTH = 300


def shortened(parts: Callable[[int], Iterable[str]]) -> str:
    """The comment of these parts; they are asked for fewer lines of each list until GitHub takes the whole."""
    for most in (100, 50, 20, 5):
        text = "\n\n".join(parts(most)) + "\n"
        if len(text) < LONGEST:
            break
    return text


def table(titles: Sequence[str], rows: Sequence[tuple[str, ...]], most: int) -> str:
    """The first ``most`` rows, their cells as they are, and how many more there are."""
    lines = [f"| {' | '.join(cells)} |" for cells in (titles, ["---"] * len(titles), *rows[:most])]
    return "\n".join(lines) + (f"\n\nand {len(rows) - most} more" if len(rows) > most else "")


def listed(lines: Sequence[str], most: int) -> str:
    """The first ``most`` lines, each a point, and how many more there are."""
    more = [f"- and {len(lines) - most} more"] if len(lines) > most else []
    return "\n".join([*(f"- {inline(line)}" for line in lines[:most]), *more])


def inline(text: str) -> str:
    """Cut, and escaped; nobody is mentioned and no issue is linked by what an error message happens to say."""
    escaped = re.sub("([_~])", r"\\\1", escape(cut(text, REASON_LENGTH)))
    return re.sub(r"([@#])(?=\w)", "\\1&#8203;", escaped)
