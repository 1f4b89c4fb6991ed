"""Which browsers are on this machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from runtimes.errors import UnavailableError

BROWSER = "FWEXPORT_BROWSER"

INSTALL = (
    f"install Chromium, Chrome, Edge or Firefox (Debian: apt install chromium), or name one in {BROWSER}"
)

Family = Literal["chromium", "firefox"]

# In the order of preference; the names of each on the PATH.
_ON_PATH = {
    "chromium": ("chromium", "chromium-browser"),
    "chrome": ("google-chrome-stable", "google-chrome"),
    "edge": ("microsoft-edge-stable", "microsoft-edge"),
    "firefox": ("firefox", "firefox-esr"),
}

# Scripts that start a browser, in common packages, and what they start: it is told what to do by us alone, and its
# process is the one that was started.
_BEHIND = {
    "/usr/bin/chromium": "/usr/lib/chromium/chromium",
    "/usr/bin/chromium-browser": "/usr/lib/chromium-browser/chromium-browser",
    "/opt/google/chrome/google-chrome": "/opt/google/chrome/chrome",
    "/opt/microsoft/msedge/microsoft-edge": "/opt/microsoft/msedge/msedge",
    "/usr/bin/firefox": "/usr/lib/firefox/firefox",
}

# Where each is when it is not on the PATH, below the folders that the system has for programs.
_MAC = {
    "chromium": "Chromium.app/Contents/MacOS/Chromium",
    "chrome": "Google Chrome.app/Contents/MacOS/Google Chrome",
    "edge": "Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    "firefox": "Firefox.app/Contents/MacOS/firefox",
}
_WINDOWS = {
    "chromium": "Chromium/Application/chrome.exe",
    "chrome": "Google/Chrome/Application/chrome.exe",
    "edge": "Microsoft/Edge/Application/msedge.exe",
    "firefox": "Mozilla Firefox/firefox.exe",
}

# What a browser calls itself, and what it is called here.
_NAMES = {"Firefox": "firefox", "Edge": "edge", "Chromium": "chromium", "Chrome": "chrome"}


@dataclass(frozen=True)
class Browser:
    """A browser's executable. ``name`` is "chromium", "chrome", "edge" or "firefox"."""

    name: str
    family: Family
    path: Path
    version: str


def find_browser() -> Browser | None:
    """The browser that FWEXPORT_BROWSER names, or else the first of ``browsers``."""
    return next(browsers(), None)


def browsers() -> Iterator[Browser]:
    """Chromium, Chrome, Edge and Firefox, as far as they are here; the named one alone where FWEXPORT_BROWSER names one."""
    named = os.environ.get(BROWSER)
    for path in _named(named) if named else _places(sys.platform, os.environ):
        behind = _BEHIND.get(path, "")
        found = _ask(behind if Path(behind).is_file() else path)
        if found is not None:
            yield found


def check() -> str | None:
    """None when a browser is here, else what is missing and how to get it."""
    if find_browser() is not None:
        return None
    named = os.environ.get(BROWSER)
    if named:
        why = "is no browser that answers --version" if _named(named) else "is not there"
        return f"{BROWSER} names {named}, which {why}: let it name Chromium, Chrome, Edge or Firefox, or unset it"
    return f"no browser found: {INSTALL}"


def require_browser() -> Browser:
    """The browser. Raises UnavailableError."""
    found = find_browser()
    if found is None:
        raise UnavailableError(str(check()))
    return found


def _named(named: str) -> list[str]:
    """The executable that a person named, by its path or as on the PATH."""
    path = Path(shutil.which(named) or named)
    return [str(path.resolve())] if path.is_file() else []


def _places(platform: str, environ: Mapping[str, str]) -> list[str]:
    """Every executable that may be a browser, the preferred first."""
    programs: list[str] = []
    below: dict[str, str] = {}
    if platform == "darwin":
        programs, below = ["/Applications", f"{environ.get('HOME', '')}/Applications"], _MAC
    elif platform == "win32":
        programs = [
            environ[key] for key in ("ProgramFiles", "ProgramFiles(x86)", "LocalAppData") if key in environ
        ]
        below = _WINDOWS
    found = []
    for kind, names in _ON_PATH.items():
        found += [shutil.which(name, path=environ.get("PATH")) for name in names]
        found += [f"{folder}/{below[kind]}" for folder in programs if kind in below]
    # A name on the PATH is often a link, and a script may be behind it.
    return [str(Path(path).resolve()) for path in found if path and Path(path).is_file()]


@cache
def _ask(path: str) -> Browser | None:
    """The executable as it describes itself; None when it does not run, or is none of the known."""
    if not Path(path).is_file():
        return None
    told = _told(Path(path))
    name = next((name for word, name in _NAMES.items() if word in told), None)
    version = re.search(r"\d+(\.\d+)+", told)
    if name is None or version is None:
        return None
    return Browser(name, "firefox" if name == "firefox" else "chromium", Path(path), version[0])


def _told(path: Path) -> str:
    """Its name and version. On Windows, Chromium and its kin have them in the names of folders, and do not print."""
    if sys.platform == "win32" and path.stem != "firefox":
        name = {"msedge": "Edge", "chrome": "Chrome"}.get(path.stem, path.stem)
        return f"{name} {max((folder.name for folder in path.parent.glob('*.*.*.*')), default='')}"
    try:
        asked = subprocess.run(
            [str(path), "--version"], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return asked.stdout
