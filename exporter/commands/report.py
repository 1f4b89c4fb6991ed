"""``fwexport report``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("report")
@click.argument("folder", type=click.Path(path_type=Path), metavar="BUNDLE")
@click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(path_type=Path),
    help="Write the report here.  [default: into BUNDLE]",
)
def command(folder: Path, out: Path | None) -> int:
    """Write report.md and report.html from what was verified and measured.

    BUNDLE is a bundle, or a folder of bundles, which are then shown side by side.
    """
    from runtimes.report import report

    written = report(folder, out)
    click.echo(written.html)
    click.echo(written.markdown)
    return 0
