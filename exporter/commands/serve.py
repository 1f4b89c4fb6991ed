"""``fwexport serve``."""

from __future__ import annotations

import os
import sys

import click


@click.command("serve")
def command() -> int:
    """The other end of `--target`, which starts it over ssh: takes a bundle on standard input, verifies or measures it.

    Not to be typed; it needs fwexport and one runtime on this machine.
    """
    from exporter import __version__
    from runtimes.remote.serve import serve

    protocol = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve([sys.executable, "-P", "-m", "exporter.cli"], __version__, sys.stdin.buffer, protocol)
    return 0
