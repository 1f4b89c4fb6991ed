"""A run without ``--browser`` says what it leaves out, where a browser is here."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter import browser_note
from exporter.browser_note import left_out
from runtimes.adapters import fake
from runtimes.browser.find import Browser
from runtimes.bundle import open_bundle
from tests.fake_bundle import fake_bundle


def test_what_is_left_out_is_said_where_a_browser_is_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = [Browser("firefox", "firefox", Path("/usr/bin/firefox"), "140.1")]
    monkeypatch.setattr(browser_note, "browser_runtimes", lambda: {"fake": fake})
    monkeypatch.setattr(browser_note, "find_browser", lambda: next(iter(here), None))
    bundles = [open_bundle(fake_bundle(tmp_path / "bundle"))]
    said = "note: with --browser, fake would run too, in firefox 140.1"
    assert left_out(bundles, (), (), browser=False) == left_out(bundles, ("fake",), (), browser=False) == said
    assert left_out(bundles, (), (), browser=True) is None
    assert left_out(bundles, (), ("onnxruntime",), browser=False) is None
    assert left_out(bundles, ("onnx",), (), browser=False) is None
    here.clear()
    assert left_out(bundles, (), (), browser=False) is None
