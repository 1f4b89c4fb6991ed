"""The shortest way through the conversions from a source kind to each format. Pure, given the edges."""

from __future__ import annotations

import difflib
from collections import deque
from collections.abc import Mapping, Sequence

from exporter.base import conversion, names
from runtimes.errors import UsageError

Edges = Mapping[str, tuple[str, str]]


def edges() -> dict[str, tuple[str, str]]:
    """Every conversion by name, as ``(source kind, target format)``."""
    return {name: (conversion(name).SOURCE, conversion(name).TARGET) for name in names()}


def formats() -> list[str]:
    """Every format that a conversion writes; ``list`` and ``--format`` show them."""
    return sorted({target for _, target in edges().values()})


def check_formats(asked: Sequence[str]) -> None:
    """Raise UsageError for a format that no conversion writes."""
    for name in asked:
        if name not in formats():
            close = difflib.get_close_matches(name, formats(), 1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise UsageError(f"there is no format {name!r}.{hint} The formats are: {', '.join(formats())}.")


def route(source: str, target: str, known: Edges) -> tuple[str, ...] | None:
    """The fewest edges from ``source`` to ``target``, () when they are the same, None when there is no way."""
    ways: deque[tuple[str, tuple[str, ...]]] = deque([(source, ())])
    seen = {source}
    while ways:
        kind, way = ways.popleft()
        if kind == target:
            return way
        for name, (start, end) in sorted(known.items()):
            if start == kind and end not in seen:
                seen.add(end)
                ways.append((end, (*way, name)))
    return None


def steps(routes: Mapping[str, tuple[str, ...]]) -> int:
    """How many conversions the routes need, each counted once."""
    return len({name for way in routes.values() for name in way})


def plan(source: str, wanted: Sequence[str], known: Edges) -> dict[str, tuple[str, ...]]:
    """The route to each wanted format, shorter ones first, so that a format on another's road is made once.

    Raises UsageError for a format that cannot be reached.
    """
    routes = {}
    for target in wanted:
        way = route(source, target, known)
        if way is None:
            raise UsageError(f"there is no way from {source} to {target}.")
        routes[target] = way
    return dict(sorted(routes.items(), key=lambda item: len(item[1])))
