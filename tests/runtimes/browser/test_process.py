from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from runtimes.browser import find
from runtimes.browser.process import BrowserProcess

ECHO = Path(__file__).with_name("echo.mjs")
MODEL = Path(__file__)  # any file: the engine only reads it

pytestmark = pytest.mark.skipif(find.check() is not None, reason=str(find.check()))


@pytest.fixture(scope="module")
def page() -> Iterator[BrowserProcess]:
    process = BrowserProcess({"echo.mjs": ECHO, "models/model.txt": MODEL})
    loaded, _ = process.ask("load", module="echo.mjs", backend="none", threads=None)
    assert loaded["isolated"]
    process.ask("open", model="models/model.txt")
    yield process
    process.close()


def test_what_goes_to_a_model_in_a_page_comes_back(page: BrowserProcess) -> None:
    x = np.arange(6, dtype=np.float32)
    described = [{"name": "x", "dtype": "float32", "shape": [2, 3]}]
    outputs, content = page.ask("run", [x.tobytes()], feeds=described)
    assert outputs == described
    assert bytes(content) == x.tobytes()


def test_what_a_page_downloads_is_counted(page: BrowserProcess) -> None:
    held, _ = page.ask("memory")
    assert held == {"text": MODEL.read_text()}
    assert page.downloaded_bytes == ECHO.stat().st_size + MODEL.stat().st_size


def test_an_error_of_the_page_is_one_here(page: BrowserProcess) -> None:
    with pytest.raises(RuntimeError, match="trace is not a function"):
        page.ask("trace", feeds=[])
