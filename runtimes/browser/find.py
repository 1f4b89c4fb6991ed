"""Which browser is on this machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from runtimes.errors import UnavailableError

BROWSER = "FWEXPORT_BROWSER"

Family = Literal["chromium", "firefox"]

INSTALL = "install Chromium (Debian: apt install chromium), or name a browser in FWEXPORT_BROWSER"


@dataclass(frozen=True)
class Browser:
    """A browser's executable. ``name`` is "chromium", "chrome", "edge" or "firefox"."""

    name: str
    family: Family
    path: Path
    version: str


def find_browser() -> Browser | None:
    """The browser that FWEXPORT_BROWSER names, else the first that is here."""
    named = os.environ.get(BROWSER)
    candidates = [named] if named else ["/usr/lib/chromium/chromium", shutil.which("chromium") or ""]
    for candidate in candidates:
        if candidate and (found := _ask(candidate)) is not None:
            return found
    return None


def check() -> str | None:
    """None when a browser is here, else how to get one."""
    return None if find_browser() else f"no browser found: {INSTALL}"


def require_browser() -> Browser:
    """The browser. Raises UnavailableError."""
    found = find_browser()
    if found is None:
        raise UnavailableError(str(check()))
    return found


@cache
def _ask(candidate: str) -> Browser | None:
    try:
        answer = subprocess.run(
            [candidate, "--version"], capture_output=True, text=True, timeout=30, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r"\d+(\.\d+)+", answer)
    return Browser("chromium", "chromium", Path(candidate), version[0]) if version else None
