from __future__ import annotations

import os
from pathlib import Path

import pytest

from runtimes.browser import find
from runtimes.browser.find import BROWSER, browsers, check, find_browser, require_browser
from runtimes.errors import UnavailableError


def program(path: Path, says: str, code: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\nexit {code}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def bin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing on it."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv(BROWSER, raising=False)
    return tmp_path / "bin"


def test_all_that_are_on_the_path_the_preferred_first(bin: Path) -> None:
    program(bin / "firefox-esr", "Mozilla Firefox 153.7.0esr")
    program(bin / "google-chrome-stable", "Google Chrome 156.0.8078.1 ")
    program(bin / "microsoft-edge", "Microsoft Edge 155.0.1.2 beta")
    program(bin / "chromium-browser", "Chromium 156.0.8078.108 built on Debian")
    found = list(browsers())
    assert [(each.name, each.family, each.version) for each in found] == [
        ("chromium", "chromium", "156.0.8078.108"),
        ("chrome", "chromium", "156.0.8078.1"),
        ("edge", "chromium", "155.0.1.2"),
        ("firefox", "firefox", "153.7.0"),
    ]
    assert find_browser() == found[0]
    assert check() is None


def test_one_that_does_not_answer_is_passed_over(bin: Path) -> None:
    program(bin / "chromium", "Chromium 156.0.8078.108", code=1)
    program(bin / "google-chrome", "no idea")
    working = program(bin / "firefox", "Mozilla Firefox 140.2.0")
    assert [each.path for each in browsers()] == [working]


def test_the_named_one_is_the_only_one(bin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(bin / "chromium", "Chromium 156.0.8078.108")
    own = program(bin.parent / "own" / "my-firefox", "Mozilla Firefox 140.2.0")
    monkeypatch.setenv(BROWSER, str(own))
    assert [each.path for each in browsers()] == [own]
    monkeypatch.setenv(BROWSER, "chromium")  # as on the PATH
    assert require_browser().path == bin / "chromium"


def test_a_named_one_that_is_missing_is_said_and_no_other_taken(
    bin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(bin / "chromium", "Chromium 156.0.8078.108")
    monkeypatch.setenv(BROWSER, "/nowhere/chrome")
    with pytest.raises(UnavailableError, match=r"FWEXPORT_BROWSER names /nowhere/chrome, which is not there"):
        require_browser()
    monkeypatch.setenv(BROWSER, str(program(bin / "editor", "An Editor 3.1")))
    with pytest.raises(UnavailableError, match=r"editor, which is no browser that answers --version"):
        require_browser()


def test_without_any_it_says_what_to_install(bin: Path) -> None:
    with pytest.raises(
        UnavailableError, match=r"install Chromium, .*apt install chromium.* FWEXPORT_BROWSER"
    ):
        require_browser()


def test_what_a_script_starts_is_started_without_it(bin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = program(bin / "chromium", "Chromium 1.0")
    binary = program(bin.parent / "lib" / "chromium", "Chromium 156.0.8078.108")
    monkeypatch.setattr(find, "_BEHIND", {str(script): ("/nowhere", str(binary))})
    (bin / "chromium-browser").symlink_to(script)
    assert [each.path for each in browsers()] == [binary]
    monkeypatch.setenv(BROWSER, str(script))
    assert require_browser().path == binary
    binary.unlink()
    assert require_browser().path == script


def test_a_snap_is_passed_over_and_said(bin: Path) -> None:
    snap = program(bin / "chromium-browser", "Chromium 156.0.8078.108 snap")
    snap.write_text(snap.read_text() + "exec /snap/bin/chromium\n")
    with pytest.raises(
        UnavailableError, match=r"chromium-browser is a snap, .* as a package that is no snap"
    ):
        require_browser()
    working = program(bin / "firefox", "Mozilla Firefox 140.2.0")
    assert require_browser().path == working


def test_applications_of_a_mac(bin: Path) -> None:
    mac = program(
        bin.parent / "Applications/Google Chrome.app/Contents/MacOS/Google Chrome", "Google Chrome 150.0.1"
    )
    assert str(mac) in find._places("darwin", {"HOME": str(bin.parent), "PATH": os.environ["PATH"]})
