"""``fwexport demo``."""

from __future__ import annotations

import threading
from pathlib import Path

import click

# What a site is exported with: a GPU's builds of the libraries are twice as much again.
SMALL = ("wasm",)


@click.command("demo")
@click.argument("folder", type=click.Path(path_type=Path), metavar="BUNDLE")
@click.option(
    "--source",
    metavar="NAME",
    help="Of a folder of bundles, the one from this framework.  [default: the first]",
)
@click.option(
    "--backend",
    "backends",
    multiple=True,
    metavar="NAME",
    help="wasm, for instance. Repeat for more.  [default: all; with --export wasm]",
)
@click.option(
    "-o",
    "--export",
    "target",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write a static site for any host into DIR, and serve nothing.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="For a tunnel.  [default: a free one]")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="0.0.0.0 opens it to your network, for a phone: without threads and WebGPU, which need https or localhost.",
)
@click.option("--no-open", is_flag=True, help="Do not open a browser.")
def command(
    folder: Path,
    source: str | None,
    backends: tuple[str, ...],
    target: Path | None,
    port: int,
    host: str,
    no_open: bool,
) -> int:
    """Draw a digit or drop an image: every web runtime of BUNDLE answers, side by side, in your browser.

    Needs the npm packages of runtimes/web. Ctrl-C ends it.
    """
    import webbrowser

    from exporter.console import warn
    from runtimes.bundle import find_bundles
    from runtimes.demo.publish import address, export, serve
    from runtimes.demo.site import choose, site
    from runtimes.report import units

    bundles = find_bundles(folder)
    bundle = choose(bundles, source)
    if len(bundles) > 1 and source is None:
        others = ", ".join(one.manifest.source.framework for one in bundles if one is not bundle)
        click.echo(f"{bundle.folder}; --source for another one: {others}", err=True)
    if target is not None:
        written = export(site(bundle, backends or SMALL), target)
        click.echo(
            f"{written.folder}: {written.files} files, {units.size(written.size_bytes)}, the largest "
            f"{units.size(written.largest_bytes)}. Put the folder on any static host."
        )
        return 0
    server = serve(site(bundle, backends), host, port)
    try:
        url = address(server)
        if host not in ("127.0.0.1", "localhost"):
            warn([f"the page and the model are open to everybody who reaches {host} of this machine"])
        click.echo(url)
        if url != server.url:
            click.echo(f"On this machine, with threads and WebGPU: {server.url}", err=True)
        click.echo("Ctrl-C ends it.", err=True)
        if not no_open:
            webbrowser.open(server.url)
        threading.Event().wait()
    except KeyboardInterrupt:
        pass  # the way to end it
    finally:
        server.close()
    return 0
