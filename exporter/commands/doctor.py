"""``fwexport doctor``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from runtimes.doubts import ADVICE, Doubt
from runtimes.machine import Machine

_GPU_OF_A_BROWSER = "as far as the browser has WebGL and WebGPU, on a GPU or played by software: a run tells"


@click.command("doctor")
def command() -> int:
    """Which runtimes, devices and conversions are here, how to get the others, and what would spoil a measurement.

    Changes nothing.
    """
    from concurrent.futures import ThreadPoolExecutor

    from exporter import base, source_kind
    from runtimes import base as adapters
    from runtimes import environment, machine

    found, watching = machine.describe(), environment.watch()
    watching.look()
    for line in (*_machine(found), _browser()):
        click.echo(line)
    asked = [(name, device) for name in adapters.names() for device in adapters.runtime(name).DEVICES]
    with ThreadPoolExecutor(2) as threads:
        reasons = list(threads.map(_check_runtime, asked))
    click.echo("runtimes:")
    for (name, device), reason in zip(asked, reasons, strict=True):
        more = reason or (_GPU_OF_A_BROWSER if device != "cpu" and adapters.in_browser(name) else "")
        click.echo(f"  {'no ' if reason else 'yes'} {name} on {device}" + (f": {more}" if more else ""))
    click.echo("sources:")
    for name in source_kind.names():
        missing = source_kind.source_kind(name).check()
        click.echo(f"  {'no ' if missing else 'yes'} {name}" + (f": {missing}" if missing else ""))
    click.echo("conversions:")
    for name in base.names():
        missing = base.conversion(name).check()
        click.echo(f"  {'no ' if missing else 'yes'} {name}" + (f": {missing}" if missing else ""))
    click.echo("measuring:")
    for line in _doubts((*found.doubts, *watching.doubts())):
        click.echo(f"  {line}")
    return 0


def _machine(found: Machine) -> Iterator[str]:
    """What the machine is, as far as it tells."""
    of = f" of {found.cores_total}" if found.cores_total > found.cores else ""
    words = [found.cpu, f"{found.cores}{of} cores", f"{found.memory_bytes / 2**30:.1f} GiB"]
    words += [*found.inside, found.system, f"Python {found.python}"]
    yield ", ".join(words)
    state = []
    if found.governor:
        state.append(f"governor {found.governor}")
    if found.turbo is not None:
        state.append(f"turbo {'on' if found.turbo else 'off'}")
    if found.smt is not None:
        state.append(f"SMT {'on' if found.smt else 'off'}")
    if found.clock_mhz and found.max_clock_mhz:
        state.append(f"{found.clock_mhz / 1e3:.2f} of {found.max_clock_mhz / 1e3:.2f} GHz")
    if found.hottest_c is not None:
        state.append(f"{found.hottest_c:.0f} °C")
    if found.quota_cores is not None:
        state.append(f"a CPU quota of {found.quota_cores:g} cores")
    if state:
        yield f"processor: {', '.join(state)}"
    for card in found.graphics:
        about = [f"driver {card.driver}", f"{(card.memory_mib or 0) / 1024:.0f} GiB"]
        about += [f"MIG {card.mig.lower()}"] if card.mig else []
        yield f"GPU {card.index}: {card.name}, {', '.join(about)}"
    if not found.graphics:
        yield "GPUs: none that the NVIDIA driver lists"
    for name, value in found.variables.items():
        yield f"environment: {name}={value}"


def _browser() -> str:
    """The browser that ``--browser`` starts, and those that FWEXPORT_BROWSER may name instead."""
    from runtimes.browser.find import browsers, check

    here = [f"{found.name} {found.version}, {found.path}" for found in browsers()]
    return f"browser: {'; also '.join(here)}" if here else f"browser: {check()}"


def _doubts(doubts: Sequence[Doubt]) -> Iterator[str]:
    """What would make figures doubtful here, and what to do about it."""
    for doubt in doubts:
        yield f"doubt {doubt.kind}: {doubt.text}"
        yield f"      -> {ADVICE[doubt.kind]}"
    if not doubts:
        yield "nothing that would make figures doubtful"


def _check_runtime(asked: tuple[str, str]) -> str | None:
    """The adapter's own word, from a process that may import its framework."""
    from runtimes import session_child
    from runtimes.client import Worker
    from runtimes.errors import FwexportError

    with Worker() as worker:
        try:
            return worker.call(session_child.check, *asked)
        except FwexportError as error:
            return str(error)
