"""What a list of rows stands for: its exit code, and which of what was asked for by name did not run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from runtimes.base import in_browser
from runtimes.rows import BenchRow, VerifyRow


def exit_code(
    rows: Sequence[VerifyRow] | Sequence[BenchRow],
    devices: Sequence[str] = (),
    runtimes: Sequence[str] = (),
    browser: bool = False,
) -> int:
    """The exit code that a list of rows stands for; ``devices``, ``runtimes`` and a ``browser`` were asked for by name."""
    outcomes = {row.outcome for row in rows}
    if outcomes & {"crashed", "timeout"}:
        return 5
    if outcomes & {"mismatch", "failed"}:
        return 1
    if missed(rows, devices, runtimes, browser):
        return 6
    if "inconclusive" in outcomes or "passed" not in outcomes:
        return 3
    return 0


class OnDevice(Protocol):
    """A row of any kind."""

    @property
    def runtime(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def outcome(self) -> str: ...


Placed = TypeVar("Placed", bound=OnDevice)


def missed(
    rows: Sequence[Placed], devices: Sequence[str], runtimes: Sequence[str], browser: bool = False
) -> list[Placed]:
    """The rows that are unavailable although a person named their device, their runtime or a browser.

    cuda and gpu are two words for one thing: which of them a row has depends on its runtime. A CPU is always there: what
    cannot run on it lacks its runtime, or the threads or the precision that were asked of it. Whoever asks for a browser,
    or for a runtime in one, asks for none of its backends: Firefox may lack WebGPU, as long as another one ran.
    """
    named = {device.replace("cuda", "gpu") for device in devices if device != "cpu"}
    ran = {row.runtime for row in rows if row.outcome != "unavailable"}
    browsed = any(map(in_browser, ran))

    def is_missed(row: Placed) -> bool:
        if row.device.replace("cuda", "gpu") in named:
            return True
        if in_browser(row.runtime):
            return row.runtime not in ran if row.runtime in runtimes else browser and not browsed
        return row.runtime in runtimes

    return [row for row in rows if row.outcome == "unavailable" and is_missed(row)]
