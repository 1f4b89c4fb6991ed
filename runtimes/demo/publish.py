"""The files of a demo, served to this machine or its network, or written as a site for any static host."""

from __future__ import annotations

import errno
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

from runtimes.browser.server import ANY, ISOLATED, PageServer
from runtimes.demo.site import DESCRIPTION, Site
from runtimes.errors import UsageError
from runtimes.files import swapped_folder, write_atomically, writing_to

# Netlify and Cloudflare Pages read it.
HEADERS = "_headers"
NOTE = "README.txt"
# The headers without which a page has one thread.
NEEDED = ("Cross-Origin-Opener-Policy", "Cross-Origin-Embedder-Policy")


@dataclass(frozen=True)
class Written:
    """A static site: its folder, the number of its files, and their bytes in all and of the largest."""

    folder: Path
    files: int
    size_bytes: int
    largest_bytes: int


def export(files: Site, target: Path) -> Written:
    """Write the site into ``target``, in place of an earlier one; it works from any path of a host.

    Raises UsageError for a folder that holds anything else, OutputError when it cannot be written.
    """
    needed = {name: ISOLATED[name] for name in NEEDED}
    more = {
        HEADERS: "/*\n" + "".join(f"  {name}: {value}\n" for name, value in needed.items()),
        NOTE: "A static site, to be put on any host: Netlify and Cloudflare Pages read _headers. On another one send\n"
        f"{' and '.join(f'`{name}: {value}`' for name, value in needed.items())}; without them it has one thread.\n",
    }
    with swapped_folder(target, DESCRIPTION) as fresh:
        for name, content in {**files, **{name: text.encode() for name, text in more.items()}}.items():
            path = fresh / name
            with writing_to(path):
                path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                write_atomically(path, content)
            else:
                with writing_to(path):
                    shutil.copyfile(content, path)
        sizes = [path.stat().st_size for path in fresh.rglob("*") if path.is_file()]
    return Written(target, len(sizes), sum(sizes), max(sizes))


def serve(files: Site, host: str = "127.0.0.1", port: int = 0) -> PageServer:
    """The site on ``host``, at a free port for 0, until the server is closed. Raises UsageError for a port that is taken."""
    try:
        return PageServer(files, host=host, port=port, token="")
    except OSError as error:
        raise UsageError(
            f"{host}:{port} cannot be listened on: {error.strerror}. "
            + (
                "Another --port, or none: then a free one is found."
                if error.errno in (errno.EADDRINUSE, errno.EACCES)
                else "--host is an address of this machine, 127.0.0.1 or 0.0.0.0 for all of them."
            )
        ) from None


def address(server: PageServer) -> str:
    """The URL under which others reach a server that listens on every address of this machine; else its own.

    By the address that this machine would send from, which is asked of it and sends nothing.
    """
    if server.host != ANY:
        return server.url
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            host = probe.getsockname()[0]
        except OSError:
            host = socket.gethostname()
    return f"http://{host}:{server.port}/"
