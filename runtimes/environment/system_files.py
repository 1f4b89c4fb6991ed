"""Files in which Linux says things of itself: a line or a number each, and on another machine perhaps none."""

from __future__ import annotations

from pathlib import Path


def read_text(path: Path) -> str | None:
    """The content without the white space around it; None for a file that is not there, not readable or not text."""
    try:
        return path.read_text().strip().rstrip("\0")
    except (OSError, UnicodeDecodeError):
        return None


def read_int(path: Path) -> int | None:
    """The number in the file; None where there is none."""
    text = read_text(path)
    try:
        return None if text is None else int(text)
    except ValueError:
        return None
