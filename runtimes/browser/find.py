"""Which browsers are on this machine."""

from __future__ import annotations

import contextlib
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
    "/usr/bin/chromium": ("/usr/lib/chromium/chromium",),
    "/usr/bin/chromium-browser": ("/usr/lib/chromium-browser/chromium-browser",),
    "/opt/google/chrome/google-chrome": ("/opt/google/chrome/chrome",),
    "/opt/microsoft/msedge/microsoft-edge": ("/opt/microsoft/msedge/msedge",),
    "/usr/bin/firefox": ("/usr/lib/firefox/firefox", "/usr/lib/firefox-esr/firefox-esr"),
}

# Where each is when it is not on the PATH, below the folders that macOS has for programs.
_MAC = {
    "chromium": "Chromium.app/Contents/MacOS/Chromium",
    "chrome": "Google Chrome.app/Contents/MacOS/Google Chrome",
    "edge": "Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    "firefox": "Firefox.app/Contents/MacOS/firefox",
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


def named(versions: Mapping[str, str]) -> str:
    """The browser among the versions of a row, and its own; "" where it ran in none."""
    return next((f"{name} {versions[name]}" for name in _ON_PATH if name in versions), "")


def find_browser() -> Browser | None:
    """The browser that FWEXPORT_BROWSER names, or else the first of ``browsers``."""
    return next(browsers(), None)


def browsers() -> Iterator[Browser]:
    """Chromium, Chrome, Edge and Firefox, as far as they are here; the named one alone where FWEXPORT_BROWSER names one."""
    named = os.environ.get(BROWSER)
    for path in dict.fromkeys(_named(named) if named else _places(sys.platform, os.environ)):
        found = None if _is_snap(path) else _ask(path)
        if found is not None:
            yield found


def check() -> str | None:
    """None when a browser is here, else what is missing and how to get it."""
    if find_browser() is not None:
        return None
    named = os.environ.get(BROWSER)
    paths = _named(named) if named else _places(sys.platform, os.environ)
    snap = next(filter(_is_snap, paths), None)
    if snap:
        return f"{snap} is a snap, which sees neither our profile nor ends with us: {INSTALL}, as a package that is no snap"
    if named:
        why = "is no browser that answers --version" if paths else "is not there"
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
    path = shutil.which(named) or named
    return [_behind(path)] if Path(path).is_file() else []


def _places(platform: str, environ: Mapping[str, str]) -> list[str]:
    """Every executable that may be a browser, the preferred first."""
    folders = ["/Applications", f"{environ.get('HOME', '')}/Applications"] if platform == "darwin" else []
    found = []
    for kind, names in _ON_PATH.items():
        found += [shutil.which(name, path=environ.get("PATH")) for name in names]
        found += [f"{folder}/{_MAC[kind]}" for folder in folders]
    return [_behind(path) for path in found if path and Path(path).is_file()]


def _behind(path: str) -> str:
    """What a name on the PATH means, which is often a link, and may be a script; a snap keeps its name."""
    if _is_snap(path):
        return path
    path = str(Path(path).resolve())
    return next((behind for behind in _BEHIND.get(path, ()) if Path(behind).is_file()), path)


def _is_snap(path: str) -> bool:
    """Whether it is one of Ubuntu's snaps, or a script that starts one."""
    with contextlib.suppress(OSError), Path(path).open("rb") as file:
        return path.startswith("/snap/") or (file.read(2) == b"#!" and b"/snap/" in file.read(10_000))
    return False


@cache
def _ask(path: str) -> Browser | None:
    """The executable as it describes itself; None when it does not run, or is none of the known."""
    try:
        asked = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    told = asked.stdout
    name = next((name for word, name in _NAMES.items() if word in told), None)
    version = re.search(r"\d+(\.\d+)+", told)
    if name is None or version is None:
        return None
    return Browser(name, "firefox" if name == "firefox" else "chromium", Path(path), version[0])
