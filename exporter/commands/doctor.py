"""``fwexport doctor``."""

from __future__ import annotations

import click


@click.command("doctor")
def command() -> int:
    """Which runtimes, devices and conversions are here, and how to get the others. Changes nothing."""
    from concurrent.futures import ThreadPoolExecutor

    from exporter import base, source_kind
    from runtimes import base as adapters
    from runtimes import machine

    found = machine.describe()
    click.echo(
        f"{found.cpu}, {found.cores} cores, {found.memory_bytes / 2**30:.1f} GiB, Python {found.python}"
    )
    click.echo(f"GPUs: {', '.join(found.gpus) or 'none that the NVIDIA driver lists'}")
    for doubt in found.doubts:
        click.echo(f"note: {doubt.text}")
    asked = [(name, device) for name in adapters.names() for device in adapters.runtime(name).DEVICES]
    with ThreadPoolExecutor(2) as threads:
        reasons = list(threads.map(_check_runtime, asked))
    click.echo("runtimes:")
    for (name, device), reason in zip(asked, reasons, strict=True):
        click.echo(f"  {'no ' if reason else 'yes'} {name} on {device}" + (f": {reason}" if reason else ""))
    click.echo("sources:")
    for name in source_kind.names():
        missing = source_kind.source_kind(name).check()
        click.echo(f"  {'no ' if missing else 'yes'} {name}" + (f": {missing}" if missing else ""))
    click.echo("conversions:")
    for name in base.names():
        missing = base.conversion(name).check()
        click.echo(f"  {'no ' if missing else 'yes'} {name}" + (f": {missing}" if missing else ""))
    return 0


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
