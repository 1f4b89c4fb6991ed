"""Under which conditions latencies were taken: each runtime's settings, and how the machine was set up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from runtimes.machine import Machine
from runtimes.report import units
from runtimes.report.blocks import Block, Column, Table, Words
from runtimes.report.inputs import Inputs
from runtimes.report.measured import Measured


def settings(rows: Sequence[Measured]) -> Iterator[Block]:
    """What shapes the speed of each runtime, as it was set; threads, processes and rounds."""
    together: dict[tuple[str, str], list[Measured]] = {}
    for one in rows:
        if one.row.compute:
            together.setdefault((one.row.runtime, one.row.device), []).append(one)
    columns = (
        Column("runtime", "head"),
        Column("device"),
        Column("threads", "number"),
        Column("precision"),
        Column("processes × rounds", "number"),
        Column("settings"),
    )
    cells = tuple(
        (
            runtime,
            device,
            _each(str(one.row.threads) for one in found),
            _each(one.row.precision for one in found),
            _each(_repetition(one) for one in found),
            _set([one.row.settings for one in found]) or "none recorded",
        )
        for (runtime, device), found in together.items()
    )
    if cells:
        yield Table("How it was measured", columns, cells)


def _repetition(one: Measured) -> str:
    rounds = {len(process) for process in one.row.compute.rounds_p50_s} if one.row.compute else set()
    return f"{one.row.processes} × {max(rounds, default=0) or units.NONE}"


def _set(found: Sequence[Mapping[str, str]]) -> str:
    """Each setting once, with all its values."""
    names = sorted({name for settings in found for name in settings})
    values = (_each(settings[name] for settings in found if name in settings) for name in names)
    return ", ".join(f"{name} {value}" for name, value in zip(names, values, strict=True))


def _each(words: Iterable[str]) -> str:
    """The different ones, in their order."""
    return " / ".join(dict.fromkeys(filter(None, words)))


def set_up(inputs: Inputs) -> Iterator[Block]:
    """How the machine was set up, as far as it tells."""
    said: dict[str, list[str]] = {}
    for bundle in inputs.bundles:
        words = ", ".join(_set_up(bundle.bench.machine)) if bundle.bench else ""
        said.setdefault(words, []).append(bundle.label)
    for words, labels in said.items():
        if words:
            which = "" if len(said) == 1 else f" for {units.join(labels)}"
            yield Words(f"The machine was set up{which} with {words}.")


def _set_up(machine: Machine) -> Iterator[str]:
    if machine.governor:
        yield f"governor {machine.governor}"
    for name, on in (("turbo", machine.turbo), ("SMT", machine.smt)):
        if on is not None:
            yield f"{name} {'on' if on else 'off'}"
    if machine.clock_mhz and machine.max_clock_mhz:
        yield f"{machine.clock_mhz:.0f} of {machine.max_clock_mhz:.0f} MHz"
    if machine.quota_cores is not None:
        yield f"a quota of {machine.quota_cores:g} cores"
    for gpu in machine.graphics:
        driver, clock = gpu.driver or units.NONE, gpu.max_clock_mhz
        yield f"{gpu.name} (driver {driver}" + (f", at most {clock:g} MHz)" if clock else ")")
    for name, value in sorted(machine.variables.items()):
        yield f"{name}={value}"
