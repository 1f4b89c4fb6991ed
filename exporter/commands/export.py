"""``fwexport export``."""

from __future__ import annotations

from pathlib import Path

import click

from exporter import options


@click.command("export")
@click.argument("source", type=click.Path(path_type=Path))
@options.formats
@click.option(
    "-o", "--output", "out", type=click.Path(path_type=Path), required=True, help="The bundle to write."
)
def command(source: Path, formats: tuple[str, ...], out: Path) -> int:
    """Write the bundle of SOURCE, a folder that `fwexport train` wrote. Neither verifies nor measures."""
    from exporter.build import Converters, build
    from exporter.console import Steps
    from exporter.plan import check_formats

    check_formats(formats)
    with Steps() as steps, Converters() as converters, steps.stage("export") as stage:
        manifest = build(source, out, formats, converters, stage.step)
    for artifact in manifest.artifacts:
        click.echo(f"{out / artifact.path}\t{artifact.format}\t{artifact.size_bytes:,} bytes")
    for failure in manifest.failures:
        click.echo(f"fwexport: no {failure.format}: {failure.edge}: {failure.message}", err=True)
    return 4 if manifest.failures else 0
