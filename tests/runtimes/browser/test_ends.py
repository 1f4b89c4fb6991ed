"""However a browser, its page or its owner ends: an error that says so, no process left, no profile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import FILES, family, left, started, until

from runtimes.browser.find import Browser, Family
from runtimes.browser.process import BrowserProcess
from runtimes.errors import WorkerCrashed, WorkerTimeout

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("name", ["chromium", "firefox"])]


def test_a_browser_that_is_killed(name: str) -> None:
    process = started(name)
    os.kill(process.launched.process.pid, signal.SIGKILL)
    with pytest.raises(WorkerCrashed, match=rf"{process.browser.name} \S+ was killed by SIGKILL .*, in load"):
        process.ask("load", module="echo.mjs", backend="none", threads=None)
    assert not process.launched.folder.exists()
    assert until(lambda: not left(process.launched.folder))
    with pytest.raises(WorkerCrashed, match="is closed; it cannot load any more"):
        process.ask("load", module="echo.mjs", backend="none", threads=None)


def test_a_page_whose_process_is_killed(name: str) -> None:
    process = started(name, timeout_s=20.0)
    (page,) = process.pids
    os.kill(page, signal.SIGKILL)
    with pytest.raises(WorkerCrashed, match=r"lost the process of its page .* in load"):
        process.ask("load", module="echo.mjs", backend="none", threads=None)
    assert not process.launched.folder.exists()
    assert until(lambda: not left(process.launched.folder))


def test_a_page_that_hangs(name: str) -> None:
    process = started(name, timeout_s=2.0)
    with pytest.raises(WorkerTimeout, match=r"did not answer within 2 s .* in load.* words: .*about to loop"):
        process.ask("load", module="echo.mjs", backend="hang", threads=None)
    assert not process.launched.folder.exists()
    assert until(lambda: not left(process.launched.folder))


@pytest.fixture
def temporary() -> Iterator[Path]:
    """An empty folder for temporary files, whose path is as short as it is outside of tests."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="b") as folder:
        yield Path(folder)


def test_a_browser_that_goes_with_its_owner(name: str, temporary: Path) -> None:
    """Nothing of the owner's runs any more when it is killed so: it is the watch that tidies up."""
    browser = family(name)
    script = f"""
import sys
from pathlib import Path
from runtimes.browser.find import Browser
from runtimes.browser.process import BrowserProcess
process = BrowserProcess({{}}, browser=Browser({browser.name!r}, {browser.family!r}, Path({str(browser.path)!r}), ""))
print(process.launched.folder, flush=True)
sys.stdin.read()
"""
    environment = {**os.environ, "TMPDIR": str(temporary)}
    owner = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert owner.stdin is not None
    assert owner.stdout is not None
    with owner, owner.stdin:
        folder = Path(owner.stdout.readline().strip())
        assert folder.is_dir()
        assert len(left(folder)) > 3
        owner.kill()
    assert until(lambda: not left(folder))
    assert until(lambda: not list(temporary.iterdir()))


def test_an_interrupt_while_it_starts(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[BrowserProcess] = []

    def interrupted(self: BrowserProcess, do: str, timeout_s: float) -> bytes:
        assert until(lambda: len(left(self.launched.folder)) > 3)
        held.append(self)
        raise KeyboardInterrupt

    browser = family(name)
    monkeypatch.setattr(BrowserProcess, "_answer", interrupted)
    with pytest.raises(KeyboardInterrupt):
        BrowserProcess(FILES, browser=browser)
    assert not held[0].launched.folder.exists()
    assert until(lambda: not left(held[0].launched.folder))


def test_a_browser_that_never_shows_the_page(name: Family, tmp_path: Path) -> None:
    deaf = tmp_path / "browser"
    deaf.write_text("#!/bin/sh\necho FATAL: no display >&2\nexec sleep 60\n")
    deaf.chmod(0o755)
    browser = Browser(name, name, deaf, "1.0")
    with pytest.raises(
        WorkerTimeout, match=r"1\.0 did not answer within 0\.5 s .*its start.*FATAL: no display"
    ):
        BrowserProcess(FILES, browser=browser, start_s=0.5)


def test_a_browser_that_does_not_start(name: Family, tmp_path: Path) -> None:
    broken = tmp_path / "browser"
    broken.write_text("#!/bin/sh\necho FATAL: no libraries >&2\nexit 127\n")
    broken.chmod(0o755)
    with pytest.raises(WorkerCrashed, match=r"ended with exit code 127, in its start.*FATAL: no libraries"):
        BrowserProcess(FILES, browser=Browser(name, name, broken, "1.0"))
