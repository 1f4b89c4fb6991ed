from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from runtimes.browser.find import Browser
from runtimes.browser.launch import Launched, last_words

CHROME = Browser("chrome", "chromium", Path("/opt/chrome"), "150.0")
URL = "http://127.0.0.1:1/t/session.html"


def test_a_browser_that_cannot_be_started_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(FileNotFoundError):
        Launched(Browser("chrome", "chromium", tmp_path / "nothing", "1.0"), URL)
    assert list(tmp_path.iterdir()) == []


def test_a_browser_that_cannot_be_watched_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []

    def fails(pid: int, folder: Path) -> None:
        started.append(pid)
        raise BlockingIOError("no more processes")

    sleeps = tmp_path / "browser"
    sleeps.write_text("#!/bin/sh\nexec sleep 60\n")
    sleeps.chmod(0o755)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr("runtimes.browser.launch._watch", fails)
    with pytest.raises(BlockingIOError):
        Launched(Browser("chrome", "chromium", sleeps, "1.0"), URL)
    assert not psutil.pid_exists(started[0])
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("", ""),
        ("[1:1:0101/0:ERROR:dbus/bus.cc:405] Failed to connect to the bus: /run/dbus", ""),
        (
            '[7:7:1126/0:INFO:CONSOLE:4] "[page] out of memory", source: http://127.0.0.1:1/t/a.mjs (4)\nnoise\n',
            "out of memory",
        ),
        ('console.error: services.settings:\nconsole.error: "[page]" "out of memory"\n', "out of memory"),
        ("[page] first\n[8:8:FATAL:main.cc:3] Check failed: x\n", "[8:8:FATAL:main.cc:3] Check failed: x"),
        ("Received signal 11 SEGV_MAPERR 000000000010\n", "Received signal 11 SEGV_MAPERR 000000000010"),
    ],
)
def test_last_words_are_the_pages_or_fatal(log: str, words: str) -> None:
    assert last_words(log) == words
