"""What happens on the machine while it measures: watched from the start of a measurement to its end. Reads; never sets.

The modules beside this one read one thing each, from files or by the driver's tool; what they decide is pure.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from runtimes.doubts import Doubt
from runtimes.environment import counters, gpu
from runtimes.environment.gpu import Gpu


class Watch:
    """A measurement under way."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._looks: list[Gpu] = []
        self._ended_s = 0.0
        self._has_gpus = bool(gpu.known())
        ours = {os.getpid(), *(child.pid for child in counters.children())} if self._has_gpus else set()
        self._gpu_doubts = tuple(
            gpu.doubts_before(gpu.gpus(), gpu.processes(), ours) if self._has_gpus else ()
        )
        self._before = counters.read(root)

    def look(self) -> None:
        """Read the GPUs while they still have the clocks of their work: right after a measurement on one.

        A watch that has never looked says nothing of them.
        """
        if self._has_gpus:
            self._looks += gpu.gpus()

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Around the end of child processes: the CPU time that the system forgets with them stays ours.

        It keeps that of a child that is waited for, and loses that of the child's own children that are killed with it.
        """
        before = counters.own_s()
        yield
        self._ended_s += max(0.0, before - counters.own_s())

    def doubts(self) -> tuple[Doubt, ...]:
        """What happened since this watch began that makes the figures doubtful."""
        after = counters.read(self._root)
        own_s = after.own_s + self._ended_s
        of_gpus = (*self._gpu_doubts, *gpu.doubts_during(self._looks)) if self._looks else ()
        return (*counters.doubts(self._before, replace(after, own_s=own_s)), *of_gpus)


def watch(root: Path = Path("/")) -> Watch:
    """Begin to watch this machine; ``root`` is where its /proc and /sys lie."""
    return Watch(root)
