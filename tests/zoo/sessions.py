"""Sessions of many bundles in few children: each runtime's libraries are imported once for the whole zoo."""

from __future__ import annotations

import contextlib

from runtimes.client import ChildFailed, Worker
from runtimes.errors import NotAModelError, UnavailableError, WorkerError
from runtimes.pool import Cell, Live, Pool
from tests.zoo import child

Kind = tuple[str, str]


class SharedPool(Pool):
    """A pool whose children stay when a bundle is done: ``next_bundle`` closes its sessions, not their processes."""

    def __init__(self) -> None:
        super().__init__()
        self._idle: dict[Kind, Worker] = {}

    def session(self, cell: Cell, threads: int | None = None) -> Live:
        """The session of this cell, in the child that the last bundle's cell of its kind left behind."""
        key = (cell, threads)
        if key not in self._live:
            self._live[key] = Live(cell, threads, self._timeout_s, self._idle.pop(_kind(cell), None))
        return self._live[key]

    def next_bundle(self) -> None:
        """Close the sessions and keep the children that still answer."""
        while self._live:
            (cell, _), live = self._live.popitem()
            try:
                with contextlib.suppress(ChildFailed, NotAModelError, UnavailableError):
                    _ = live.opened  # a cell that nobody asked may still be loading
                live.worker.call(child.close_sessions)
            except WorkerError:
                live.worker.close()
            else:
                self._idle[_kind(cell)] = live.worker

    def close(self) -> None:
        """End every child."""
        super().close()
        while self._idle:
            self._idle.popitem()[1].close()


def _kind(cell: Cell) -> Kind:
    return cell.runtime, cell.backend
