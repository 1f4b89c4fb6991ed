"""Chromium without a window, and a server on this machine that is all it can reach."""

from __future__ import annotations

import contextlib
import http.server
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BROWSER = os.environ.get("FWEXPORT_BROWSER") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
NO_BROWSER = "no Chromium found: install one, or name it in FWEXPORT_BROWSER"


@contextlib.contextmanager
def serving(handler: Any) -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def browsing(url: str, profile: Path) -> Iterator[None]:
    """A browser that shows ``url`` while the block runs."""
    log = profile.with_suffix(".log")
    with log.open("wb") as output:
        process = subprocess.Popen(_command(profile, url), stdout=output, stderr=output)
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=30)


def shown(url: str, profile: Path) -> str:
    """The page as its script left it, as HTML: once nothing is awaited any more, or after a minute of its own time."""
    command = _command(profile, "--virtual-time-budget=60000", "--dump-dom", url)
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def _command(profile: Path, *arguments: str) -> list[str]:
    assert BROWSER is not None
    return [
        BROWSER,
        "--headless=new",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-extensions",
        "--disable-dev-shm-usage",
        "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
        f"--user-data-dir={profile}",
        *(["--no-sandbox"] if os.getuid() == 0 else []),
        *arguments,
    ]
