"""Faults of what runs an artifact, planted in the child that runs it: the artifact itself is right."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from runtimes import session_child
from runtimes.base import Array, Feeds, Session, runtime


class Faulty(Session):
    """A session whose answers pass through ``change``: it gets the answers, and the session that gave them."""

    def __init__(
        self, session: Session, change: Callable[[dict[str, Array], Session], dict[str, Array]]
    ) -> None:
        self.session, self.change = session, change
        self.inputs, self.outputs = session.inputs, session.outputs
        self.threads, self.metadata = session.threads, session.metadata

    def run(self, feeds: Feeds) -> dict[str, Array]:
        return self.change(self.session.run(feeds), self.session)

    def bind(self, feeds: Feeds) -> Callable[[], None]:
        return self.session.bind(feeds)

    def prove(self) -> str:
        return self.session.prove()

    def close(self) -> None:
        self.session.close()


def _before() -> Callable[[dict[str, Array], Session], dict[str, Array]]:
    """What the run before gave, where it has the same shape: an output that is read before it is written."""
    last: dict[str, Array] = {}

    def change(answers: dict[str, Array], _: Session) -> dict[str, Array]:
        nonlocal last
        given = {
            name: last[name] if name in last and last[name].shape == array.shape else array
            for name, array in answers.items()
        }
        last = answers
        return given

    return change


def _state() -> Callable[[dict[str, Array], Session], dict[str, Array]]:
    """A little of every run stays for the next one."""
    kept = 0.0

    def change(answers: dict[str, Array], _: Session) -> dict[str, Array]:
        nonlocal kept
        kept, before = kept / 2 + 1e-2 * float(np.mean([array.mean() for array in answers.values()])), kept
        return {name: (array + np.float32(before)).astype(array.dtype) for name, array in answers.items()}

    return change


def _threads() -> Callable[[dict[str, Array], Session], dict[str, Array]]:
    """Right on one thread alone."""

    def change(answers: dict[str, Array], session: Session) -> dict[str, Array]:
        wrong = np.float32(1 + (1e-3 if session.threads == 1 else 0.0))
        return {name: array * wrong for name, array in answers.items()}

    return change


FAULTS = {
    "the answer before": _before,
    "state kept between runs": _state,
    "another answer by threads": _threads,
}


# The runtimes' own ``load``, where a faulty one stands for it.
_load: dict[str, Callable[..., Session]] = {}


def plant(name: str, fault: str) -> None:
    """From now on the session opened last, and those that the runtime opens, answer with this fault."""
    make = FAULTS[fault]
    session_child._open[-1:] = [Faulty(session, make()) for session in session_child._open[-1:]]
    load = _load.setdefault(name, runtime(name).load)
    runtime(name).load = lambda *arguments: Faulty(load(*arguments), make())  # type: ignore[method-assign]


def mend(name: str) -> None:
    """Sessions that are opened from now on are the runtime's own again."""
    if name in _load:
        runtime(name).load = _load.pop(name)  # type: ignore[method-assign]


def claim(name: str) -> None:
    """The runtime's check says that every device is here, as a broken driver would; what then computes is another."""
    runtime(name).check = lambda device: None  # type: ignore[method-assign]
