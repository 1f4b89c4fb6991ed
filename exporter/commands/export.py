"""``fwexport export``."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from exporter import options


@click.command("export", cls=options.BuildCommand)
@click.argument("source")
@options.source
@options.formats
@click.option(
    "--browser", is_flag=True, help="Also files of one batch size, which some runtimes in browsers need."
)
@click.option(
    "-o", "--output", "out", type=click.Path(path_type=Path), required=True, help="The bundle to write."
)
def command(source: str, formats: tuple[str, ...], browser: bool, out: Path, **about: object) -> int:
    """Write the bundle of SOURCE, as `fwexport build` takes it. Neither verifies nor measures."""
    import msgspec

    from exporter.bring import source_folder
    from exporter.build import build
    from exporter.console import Steps, print_failures
    from exporter.converters import Converters
    from exporter.given import SourceOptions, given
    from exporter.plan import check_formats

    check_formats(formats, browser)
    chosen = msgspec.convert(about, SourceOptions)
    with (
        Steps() as steps,
        Converters() as converters,
        tempfile.TemporaryDirectory(prefix="fwexport-") as scratch,
        steps.stage("export") as stage,
    ):
        stage.step("load")
        place = source_folder(given(source, chosen), chosen.samples, Path(scratch) / "source", converters)
        manifest = build(place, out, formats, converters, stage.step, browser)
    for artifact in manifest.artifacts:
        click.echo(f"{out / artifact.path}\t{artifact.name}\t{artifact.size_bytes:,} bytes")
    print_failures(manifest.failures)
    if any(not failure.is_unreachable for failure in manifest.failures):
        return 4
    return 6 if any(failure.format in formats for failure in manifest.failures) else 0
