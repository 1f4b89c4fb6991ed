"""``fwexport list``."""

from __future__ import annotations

import click


@click.command("list")
@click.option("--operators", is_flag=True, help="The ONNX operators that onnx2keras knows, by family.")
def command(operators: bool) -> int:
    """List the formats, sources, conversions, runtimes and kinds of data; the folders of the packages are the list."""
    if operators:
        return _operators()
    from exporter import base, data, source_kind
    from exporter.plan import edges, formats
    from runtimes import base as adapters

    click.echo(f"formats:      {', '.join(formats())}")
    click.echo("sources:")
    for name in source_kind.names():
        kind = source_kind.source_kind(name)
        what = (kind.__doc__ or "").partition("\n")[0].rstrip(".").replace("``", "")
        never = f"; never {', '.join(sorted(kind.UNREACHABLE))}" if kind.UNREACHABLE else ""
        click.echo(f"  {name:20}  {what}{never}")
    click.echo(f"data:         {', '.join(data.names())}")
    click.echo("conversions:")
    for name, (source, target) in edges().items():
        click.echo(f"  {name:20}  {source} -> {target}, in a {base.conversion(name).PROCESS} process")
    click.echo("runtimes:")
    for name in adapters.names():
        runtime = adapters.runtime(name)
        devices = ", ".join(
            f"{device} ({'/'.join(backends)})" for device, backends in runtime.DEVICES.items()
        )
        inside = ", in a browser" if runtime.IN_BROWSER else ""
        click.echo(f"  {name:20}  {', '.join(runtime.FORMATS)} on {devices}{inside}")
    return 0


def _operators() -> int:
    """Every operator of onnx2keras under the file that has its family."""
    from exporter.conversions.onnx2keras import registry

    for family, names in registry.families().items():
        click.echo(f"{family:21}  {', '.join(names)}")
    click.echo("Others that ONNX defines by these are taken apart.")
    return 0
