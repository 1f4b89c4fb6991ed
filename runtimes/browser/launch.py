"""A browser without a window, started: its profile, its log, and the certainty that it ends."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from runtimes.browser.find import Browser
from runtimes.browser.flags import command, environment, preferences

# Ends the browser $1 and removes the folder $2 when its input ends without a line, which is when the process that
# holds the other end has ended, however it did.
_WATCH = 'read -r _ && exit; kill -KILL "$1"; sleep 0.3; rm -rf "$2" || { sleep 2; rm -rf "$2"; }'


def last_words(log: str) -> str:
    """What a page or its browser printed last that may tell why it ended; "" where nothing does.

    A page's own words are marked by ``page_session.mjs``; Chromium prints them in quotes, before where they come from.
    """
    told = [
        line.strip() for line in log.splitlines() if re.search(r"\[page\]|FATAL|Received signal|###!!!", line)
    ]
    if not told:
        return ""
    page = re.search(r"\[page\]\W*(.*?)(\", source: .*)?$", told[-1])
    return (page[1].strip('"') if page else told[-1])[:300]


class Launched:
    """A browser that shows ``url``, with a profile of its own, until ``close`` or until this process ends.

    ``switches`` come first on its command line.
    """

    def __init__(self, browser: Browser, url: str, *switches: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="fwexport-browser-"))
        try:
            self.process = self._start(browser, url, switches)
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        try:
            self._watch = _watch(self.process.pid, self.folder)
        except BaseException:
            self._end()
            raise

    def _start(self, browser: Browser, url: str, switches: Sequence[str]) -> subprocess.Popen[bytes]:
        profile = self.folder / "profile"
        profile.mkdir()
        for name, text in preferences(browser.family).items():
            (profile / name).write_text(text)
        line = command(browser, profile, url)
        with (self.folder / "log").open("wb") as log:
            return subprocess.Popen(
                [line[0], *switches, *line[1:]],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(self.folder, os.environ),
            )

    def log(self) -> str:
        """What browser and page have printed."""
        try:
            return (self.folder / "log").read_text(errors="replace")
        except OSError:
            return ""

    def descendants(self) -> list[psutil.Process]:
        """All processes that the browser has started."""
        try:
            return list(psutil.Process(self.process.pid).children(recursive=True))
        except psutil.Error:
            return []

    def close(self) -> None:
        """End the browser with all its processes, and remove its profile."""
        self._end()
        assert self._watch.stdin is not None
        with contextlib.suppress(OSError), self._watch.stdin as line:
            line.write(b"\n")
        self._watch.wait()

    def _end(self) -> None:
        children = self.descendants()
        self.process.kill()
        for child in children:
            with contextlib.suppress(psutil.Error):
                child.kill()
        self.process.wait()
        _until(lambda: not any(map(_runs, children)), seconds=5.0)
        shutil.rmtree(self.folder, ignore_errors=True)


def _watch(pid: int, folder: Path) -> subprocess.Popen[bytes]:
    """In a group of its own: whoever ends ours with SIGKILL leaves it to tidy up."""
    return subprocess.Popen(
        ["/bin/sh", "-c", _WATCH, "sh", str(pid), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _runs(process: psutil.Process) -> bool:
    """Whether it has not ended; one that nobody has collected yet has."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _until(done: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        time.sleep(0.01)
