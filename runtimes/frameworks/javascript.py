"""A model in JavaScript, in a process that answers requests: Node, or a page in a browser.

The requests are described in the header of ``web/requests.mjs``. The clock of ``sample`` runs there.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

import numpy as np

from runtimes.base import Array, Feeds, Session
from runtimes.errors import NotAModelError, UnavailableError


class Process(Protocol):
    """What answers: ``frameworks.node.NodeProcess`` or ``browser.process.BrowserProcess``."""

    def ask(self, do: str, blobs: Sequence[bytes] = (), **fields: Any) -> tuple[Any, memoryview]: ...
    def close(self) -> None: ...


# What a process says of a request that failed, and the error that this becomes.
_ERRORS: dict[str, type[Exception]] = {"unavailable": UnavailableError, "model": NotAModelError}


def result(answer: dict[str, Any]) -> Any:
    """What an answer holds. Raises what it says went wrong: NotAModelError, UnavailableError, else RuntimeError."""
    if "error" in answer:
        raise _ERRORS.get(answer["kind"], RuntimeError)(answer["error"])
    return answer["ok"]


class JavascriptSession(Session):
    """What every session in JavaScript does once ``process`` has opened a model."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self._released: list[int] = []

    def run(self, feeds: Feeds) -> dict[str, Array]:
        described, blobs = _pack(feeds)
        outputs, content = self.process.ask("run", blobs, feeds=described)
        return _unpack(outputs, content)

    def trace(self, feeds: Feeds) -> dict[str, Array]:
        """What every node that computes gives for these inputs, where the engine shows that."""
        described, blobs = _pack(feeds)
        values, content = self.process.ask("trace", blobs, feeds=described)
        return _unpack(values, content)

    def bind(self, feeds: Feeds) -> Callable[[], None]:
        """Inputs in the backend's memory, until the result is dropped; a call includes the way to the process and back."""
        return self._bind(feeds, on_host=False)

    def sample(
        self, calls: Sequence[Callable[[], object]], seconds: float, at_least: int, at_most: int
    ) -> Array:
        """Nanoseconds of single runs, until the outputs are in JavaScript; by its own clock."""
        ids = [cast(_Bound, call).id for call in calls]
        _, content = self.process.ask("sample", ids=ids, seconds=seconds, at_least=at_least, at_most=at_most)
        times: Array = np.rint(np.frombuffer(content, "<f8")).astype(np.int64)
        return times

    def sample_from_host(self, inputs: Sequence[Feeds], seconds: float, at_least: int, at_most: int) -> Array:
        """The host is JavaScript: the way to its process is no part of a run."""
        return self.sample([self._bind(feeds, on_host=True) for feeds in inputs], seconds, at_least, at_most)

    def close(self) -> None:
        """End the process."""
        self.process.close()

    def _bind(self, feeds: Feeds, on_host: bool) -> _Bound:
        if self._released:
            released = self._released.copy()
            del self._released[:]  # the list itself stays: the finalizers of what is bound hold it
            self.process.ask("release", ids=released)
        described, blobs = _pack(feeds)
        bound, _ = self.process.ask("bind", blobs, feeds=described, on_host=on_host)
        call = _Bound(self, int(bound))
        weakref.finalize(call, self._released.append, call.id)
        return call


class _Bound:
    """Inputs that the process holds, by their number."""

    def __init__(self, session: JavascriptSession, id: int) -> None:
        self._session = session
        self.id = id

    def __call__(self) -> None:
        self._session.sample([self], 0.0, 1, 1)


def _pack(feeds: Feeds) -> tuple[list[dict[str, Any]], list[bytes]]:
    described = [
        {"name": name, "dtype": array.dtype.name, "shape": list(array.shape)} for name, array in feeds.items()
    ]
    return described, [array.astype(array.dtype.newbyteorder("<")).tobytes() for array in feeds.values()]


def _unpack(described: Sequence[dict[str, Any]], content: memoryview) -> dict[str, Array]:
    arrays, at = {}, 0
    for tensor in described:
        dtype = np.dtype(tensor["dtype"]).newbyteorder("<")
        count = math.prod(tensor["shape"])
        arrays[tensor["name"]] = np.frombuffer(content, dtype, count, at).reshape(tensor["shape"]).copy()
        at += count * dtype.itemsize
    return arrays
