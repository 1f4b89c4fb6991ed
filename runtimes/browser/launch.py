"""The command that starts a browser without a window."""

from __future__ import annotations

import os
from pathlib import Path

from runtimes.browser.find import Browser


def command(browser: Browser, profile: Path, url: str) -> list[str]:
    """The command line that shows ``url`` with an empty ``profile``."""
    return [
        str(browser.path),
        "--headless=new",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-extensions",
        "--disable-dev-shm-usage",
        "--disable-breakpad",
        "--disable-crash-reporter",
        "--enable-logging=stderr",
        "--enable-unsafe-webgpu",
        "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
        f"--user-data-dir={profile}",
        *(["--no-sandbox"] if os.name == "posix" and os.getuid() == 0 else []),
        url,
    ]
