"""``fwexport schema``."""

from __future__ import annotations

import click

from runtimes import schemas


@click.command("schema")
@click.argument("name", required=False, type=click.Choice(list(schemas.OF)))
def command(name: str | None) -> int:
    """Print the JSON Schema of NAME; without NAME, the file of each.

    It is that of NAME.json (verify, bench, agreement, manifest, golden) and of what `fwexport NAME --json` prints
    (verify, bench, compare, build).
    """
    if name:
        click.echo(schemas.path(name).read_text(), nl=False)
        return 0
    for each in schemas.OF:
        click.echo(f"{each:9}  {schemas.path(each)}")
    return 0
