"""Browsers for the tests of this folder: each family that is here, with a page whose engine is echo.mjs."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from runtimes.browser.find import Browser, browsers, check
from runtimes.browser.process import BrowserProcess

ECHO = Path(__file__).with_name("echo.mjs")
MODEL = Path(__file__)  # any file: the engine only reads it
FILES: dict[str, Path | bytes] = {"echo.mjs": ECHO, "models/model.txt": MODEL}


def family(name: str) -> Browser:
    """The first browser of this family; skips where there is none."""
    found = next((browser for browser in browsers() if browser.family == name), None)
    if found is None:
        pytest.skip(f"no browser of the family {name}: {check() or 'another one is here'}")
    return found


def started(name: str, **options: Any) -> BrowserProcess:
    return BrowserProcess(FILES, browser=family(name), **options)


def left(folder: Path) -> list[str]:
    """The command lines of all that still runs for the browser with this folder, its descendants or not."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            line = " ".join(process.cmdline())
            if str(folder) in line or process.environ().get("HOME") == str(folder):
                found.append(line)
    return found


def until(done: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Whether it comes to be, in this time."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
