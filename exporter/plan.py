"""The shortest way through the conversions from a source kind to each format. Pure, given the edges."""

from __future__ import annotations

import difflib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from exporter.base import conversion, names
from runtimes.base import browser_formats
from runtimes.errors import UsageError
from runtimes.formats import FILES

Edges = Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class Goal:
    """An artifact to write and the conversions that lead there; with a ``batch`` it is the variant for that one alone."""

    format: str
    way: tuple[str, ...]
    batch: int | None = None

    @property
    def variant(self) -> str:
        """What the bundle calls the variant, "" for the plain artifact."""
        return f"batch{self.batch}" if self.batch else ""

    @property
    def name(self) -> str:
        """The artifact's name in rows."""
        return f"{self.format}-{self.variant}" if self.variant else self.format

    @property
    def file(self) -> str:
        """Its file or folder in the bundle: the variant's has that before its ending."""
        plain = PurePath(FILES[self.format])
        return f"{plain.stem}.{self.variant}{plain.suffix}" if self.variant else str(plain)

    @property
    def steps(self) -> Iterator[tuple[str, str]]:
        """Each conversion, with the name of what it makes: a format on the way, the artifact at its end."""
        for name in self.way[:-1]:
            yield name, conversion(name).TARGET
        for name in self.way[-1:]:
            yield name, self.name


def edges() -> dict[str, tuple[str, str]]:
    """Every conversion by name, as ``(source kind, target format)``."""
    return {name: (conversion(name).SOURCE, conversion(name).TARGET) for name in names()}


def formats() -> list[str]:
    """Every format that a conversion writes; ``list`` and ``--format`` show them."""
    return sorted({target for _, target in edges().values()})


def check_formats(asked: Sequence[str], browser: bool = False) -> None:
    """Raise UsageError for a format that no conversion writes, and for a ``browser`` in which none of them runs."""
    for name in asked:
        if name not in formats():
            close = difflib.get_close_matches(name, formats(), 1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise UsageError(f"there is no format {name!r}.{hint} The formats are: {', '.join(formats())}.")
    if browser and asked and not set(asked) & set(browser_formats()):
        raise UsageError(
            f"{', '.join(asked)} runs in no browser; what does is {', '.join(browser_formats())}. Ask for one of these "
            "too, or leave --browser out."
        )


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


def steps(goals: Iterable[Goal]) -> int:
    """How many conversions the goals need, each counted once."""
    return len({step for goal in goals for step in goal.steps})


def plan(source: str, wanted: Sequence[str], known: Edges) -> list[Goal]:
    """A goal for each wanted format, shorter ways first, so that a format on another's road is made once.

    Raises UsageError for a format that cannot be reached.
    """
    goals = []
    for target in wanted:
        way = route(source, target, known)
        if way is None:
            raise UsageError(f"there is no way from {source} to {target}.")
        goals.append(Goal(target, way))
    return sorted(goals, key=lambda goal: len(goal.way))


def fixing() -> dict[str, str]:
    """For each format that can be written for one batch size, the conversion that does it."""
    return {conversion(name).TARGET: name for name in names() if conversion(name).FIXES_BATCH}


def with_batch(
    goals: Sequence[Goal],
    source: str,
    wanted: Sequence[str],
    batch: int,
    known: Edges,
    fixing: Mapping[str, str],
) -> list[Goal]:
    """The goals, and after each of a ``wanted`` format that of its variant for this batch."""
    every = []
    for goal in goals:
        every.append(goal)
        if goal.format in wanted and goal.format in fixing:
            last = fixing[goal.format]
            way = route(source, known[last][0], known)
            assert way is not None, f"{goal.format} was reached, and {known[last][0]} cannot be"
            every.append(Goal(goal.format, (*way, last), batch))
    return every
