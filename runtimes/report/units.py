"""Figures as words, each unit in one place. None is "n/a"."""

from __future__ import annotations

import contextlib
import math
from datetime import UTC, datetime

NONE = "n/a"


def significant(value: float | None) -> str:
    """Three significant digits, thousands separated: 0.0213, 2.13, 21.3, 2,130."""
    if value is None:
        return NONE
    size = abs(value)
    if size == 0:
        return "0"
    if size >= 1e7 or size < 1e-3:
        return f"{value:.1e}"
    for limit, digits in ((99.95, 0), (9.995, 1), (0.9995, 2), (0.09995, 3)):
        if size >= limit:
            return f"{value:,.{digits}f}"
    return f"{value:.4f}"


def milliseconds(seconds: float | None) -> str:
    """Seconds as ms, without the unit."""
    return NONE if seconds is None else significant(seconds * 1e3)


def interval_ms(interval: tuple[float, float] | None) -> str:
    """An interval of seconds as ms, without the unit: 0.229 to 0.234."""
    return NONE if interval is None else " to ".join(map(milliseconds, interval))


def half_width(value: float, interval: tuple[float, float] | None) -> str:
    """How far the further end of an interval lies from the value, rounded up: ± 0.8 %; from 100 % on as the factor to it,
    ×÷ 2.6. "" without an interval.
    """
    if interval is None or interval[0] <= 0 or value <= 0:
        return ""
    low, high = interval
    tenths = math.ceil(1000 * max(value - low, high - value) / value - 1e-6)
    if tenths >= 1000:
        return f"×÷ {significant(max(high / value, value / low))}"
    return f"± {max(tenths, 1) / 10:.1f} %" if tenths < 100 else f"± {math.ceil(tenths / 10)} %"


def seconds(value: float | None) -> str:
    """Seconds with the unit."""
    return NONE if value is None else f"{significant(value)} s"


def count(value: int | None) -> str:
    """A whole number, thousands separated."""
    return NONE if value is None else f"{value:,}"


def rate(value: float | None) -> str:
    """Samples a second to three digits, without the unit: 12,345 is 12,300."""
    if value is None or value < 1000:
        return significant(value)
    step = 10 ** (len(str(int(value))) - 3)
    return f"{round(value / step) * step:,}"


def error(value: float | None) -> str:
    """An absolute error: 2.4e-07."""
    return NONE if value is None else "0" if value == 0 else f"{value:.1e}"


def percent(share: float | None) -> str:
    """A share as %, with the digits it takes not to call 0.9997 all, or 0.0003 none."""
    if share is None:
        return NONE
    if share in (0, 1):
        return f"{share * 100:.0f} %"
    for digits in (1, 2, 3):
        text = f"{share * 100:.{digits}f}"
        if 0 < float(text) < 100:
            return f"{text} %"
    return "< 100 %" if share > 0.5 else "> 0 %"


def shares(interval: tuple[float, float] | None) -> str:
    """An interval of a share as %: 98.98 to 100 %. An end that is not 0 or all is never called so."""
    return NONE if interval is None else " to ".join(_two_digits(end) for end in interval) + " %"


def _two_digits(share: float) -> str:
    return f"{share * 100:g}" if share in (0, 1) else f"{min(max(share * 100, 0.01), 99.99):.2f}"


def points(change: float | None) -> str:
    """A change of a share, in points of a per cent, with its sign: +0.28, 0.00, -1.11."""
    if change is None:
        return NONE
    text = f"{change * 100:+.2f}"
    return "0.00" if text in ("+0.00", "-0.00") else text


def changes(interval: tuple[float, float] | None) -> str:
    """An interval of such a change: -1.05 to +1.05."""
    return NONE if interval is None else " to ".join(map(points, interval))


def size(n_bytes: int | None) -> str:
    """Bytes in the decimal unit that suits them, with the unit."""
    if n_bytes is None:
        return NONE
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= scale:
            return f"{significant(n_bytes / scale)} {unit}"
    return f"{n_bytes} B"


def megabytes(n_bytes: int | None) -> str:
    """Bytes as MB, without the unit."""
    return NONE if n_bytes is None else significant(n_bytes / 1e6)


def date(created: str) -> str:
    """An ISO 8601 time to the minute, in UTC where it names a zone; anything else as it is."""
    with contextlib.suppress(ValueError):
        when = datetime.fromisoformat(created)
        if when.tzinfo is not None:
            return f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        return f"{when:%Y-%m-%d %H:%M}"
    return created


def printable(text: str) -> str:
    """Without control, escape and direction-changing characters: a terminal may show it. Line ends stay."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)


def code(text: str) -> str:
    """The text between backticks, whatever it holds."""
    return f"`{text.replace('`', chr(39))}`"


def join(words: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else ""
