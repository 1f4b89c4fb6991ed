from __future__ import annotations

import urllib.request
from collections.abc import Iterator

import numpy as np
import psutil
import pytest
from pages import ECHO, MODEL, started

from runtimes.browser.process import BrowserProcess
from runtimes.browser.server import REPORTS

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module", params=["chromium", "firefox"])
def page(request: pytest.FixtureRequest) -> Iterator[BrowserProcess]:
    process = started(request.param)
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


def test_megabytes_go_there_and_back(page: BrowserProcess) -> None:
    x = np.random.default_rng(0).bytes(20_000_000)
    _, content = page.ask("run", [x], feeds=[{"name": "x", "dtype": "uint8", "shape": [len(x)]}])
    assert bytes(content) == x


def test_what_a_page_downloads_is_counted(page: BrowserProcess) -> None:
    held, _ = page.ask("memory")
    assert held == {"text": MODEL.read_text()}
    assert page.downloaded_bytes == ECHO.stat().st_size + MODEL.stat().st_size


def test_an_error_of_the_page_is_one_here(page: BrowserProcess) -> None:
    with pytest.raises(RuntimeError, match="trace is not a function"):
        page.ask("trace", feeds=[])


def test_reports_of_what_a_page_may_not_are_an_error_and_fill_no_memory(page: BrowserProcess) -> None:
    for number in range(40):
        report = f"report {number}: ".encode() + bytes(100_000)
        urllib.request.urlopen(f"{page.server.url}{REPORTS}", report, timeout=30).close()
    assert sum(map(len, page.violations)) < 100_000
    for _ in range(2):  # whoever hides the first is told again
        with pytest.raises(RuntimeError, match="tried what it may not, in memory: report 39: "):
            page.ask("memory")
    page.violations.clear()


def test_the_process_of_a_gpu_counts_for_a_page_that_computes_there(page: BrowserProcess) -> None:
    (of_page,) = page.pids
    page._on_gpu = True
    on_gpu = [" ".join(psutil.Process(pid).cmdline()) for pid in page.pids if pid != of_page]
    page._on_gpu = False
    assert ["--type=gpu-process" in line for line in on_gpu] == (
        [True] if page.browser.family == "chromium" else []
    )


def test_the_page_is_the_one_that_works(page: BrowserProcess) -> None:
    """Of all processes of the browser, its own has used the most CPU for a page that does."""
    before = {child.pid: sum(child.cpu_times()[:2]) for child in page.launched.descendants()}
    for _ in range(5):
        page.ask("load", module="echo.mjs", backend="busy", threads=None)
    used = {
        child.pid: sum(child.cpu_times()[:2]) - before.get(child.pid, 0.0)
        for child in page.launched.descendants()
    }
    assert page.pids == (max(used, key=used.__getitem__),)
