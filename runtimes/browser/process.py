"""A page in a browser that answers one request at a time, as a Node process does.

The protocol is in the header of ``web/page_session.mjs``.
"""

from __future__ import annotations

import contextlib
import json
import queue
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import psutil

from runtimes.browser.find import Browser, require_browser
from runtimes.browser.launch import command
from runtimes.browser.server import PageServer
from runtimes.errors import FwexportError, NotAModelError, UnavailableError, WorkerCrashed, WorkerTimeout

WEB = Path(__file__).parents[1] / "web"
PAGE = ("session.html", "page_session.mjs", "requests.mjs", "engine.mjs")

# Seconds until the page must have come up, and until it must have answered: less than what its worker is given.
START_S = 60.0
ANSWER_S = 270.0

# What a page says of a request that failed, and the error that this becomes.
_ERRORS: dict[str, type[Exception]] = {"unavailable": UnavailableError, "model": NotAModelError}


class BrowserProcess:
    """A browser with an empty profile and one page, ``web/session.html``, which is served ``files`` and nothing else."""

    def __init__(
        self, files: Mapping[str, Path], *, timeout_s: float = ANSWER_S, browser: Browser | None = None
    ) -> None:
        self.browser = browser or require_browser()
        self._files = dict(files)
        self._timeout_s = timeout_s
        self._requests: queue.SimpleQueue[list[bytes] | None] = queue.SimpleQueue()
        self._events: queue.SimpleQueue[bytes | None] = (
            queue.SimpleQueue()
        )  # an answer, or None: the page is gone
        self._closed = False
        self._profile = Path(tempfile.mkdtemp(prefix="fwexport-browser-"))
        self._server = PageServer(
            {**{name: WEB / name for name in PAGE}, **files},
            {"next": self._next},
            lambda: self._events.put(None),
        )
        self._log = (self._profile / "browser.log").open("wb")
        self._process = subprocess.Popen(
            command(self.browser, self._profile / "profile", self._server.url + "session.html"),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        threading.Thread(target=self._wait, daemon=True).start()
        self._answer("start", START_S)

    @property
    def version(self) -> str:
        """The browser's."""
        return self.browser.version

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes that compute: the page's, and the one that talks to the GPU."""
        kinds = {"--type=renderer", "--type=gpu-process"}
        return tuple(child.pid for child in _descendants(self._process.pid) if kinds & set(_arguments(child)))

    @property
    def downloaded_bytes(self) -> int:
        """What the page has fetched of ``files`` so far."""
        return sum(self._server.sent.get(name, 0) for name in self._files)

    def ask(self, do: str, blobs: Sequence[bytes] = (), **fields: Any) -> tuple[Any, memoryview]:
        """Send a request, followed by ``blobs``; the answer and the bytes that follow it.

        Raises what the page says went wrong: NotAModelError, UnavailableError, else RuntimeError. Raises WorkerCrashed
        and WorkerTimeout, with the last words of browser and page, when there is no answer; then it is closed.
        """
        if self._closed:
            raise WorkerCrashed(f"the browser is closed; it cannot {do} any more.")
        self._requests.put([msgspec.json.encode({"do": do, **fields}) + b"\n", *blobs])
        line, _, content = self._answer(do, self._timeout_s).partition(b"\n")
        answer = json.loads(line)
        if "error" in answer:
            raise _ERRORS.get(answer["kind"], RuntimeError)(answer["error"])
        return answer["ok"], memoryview(content)

    def close(self) -> None:
        """End the browser, all its processes, and remove its profile."""
        if self._closed:
            return
        self._closed = True
        self._requests.put(None)
        children = _descendants(self._process.pid)
        for process in (self._process, *children):
            with contextlib.suppress(psutil.Error):
                process.kill()
        self._process.wait()
        psutil.wait_procs(children, timeout=5)
        self._server.close()
        self._log.close()
        shutil.rmtree(self._profile, ignore_errors=True)

    def _next(self, body: bytes) -> list[bytes]:
        """Takes the page's answer, empty at first, and gives it the next request."""
        self._events.put(body)
        return self._requests.get() or []

    def _wait(self) -> None:
        self._process.wait()
        self._events.put(None)

    def _answer(self, do: str, timeout_s: float) -> bytes:
        try:
            answer = self._events.get(timeout=timeout_s)
        except queue.Empty:
            raise self._gone(
                WorkerTimeout, f"did not answer within {timeout_s:g} s and was stopped", do
            ) from None
        if answer is None:
            time.sleep(0.1)
            code = self._process.poll()
            how = "lost its page, whose process crashed" if code is None else f"ended with exit code {code}"
            raise self._gone(WorkerCrashed, how, do)
        return answer

    def _gone(self, kind: type[FwexportError], how: str, do: str) -> FwexportError:
        words = (self._profile / "browser.log").read_text(errors="replace").strip().splitlines()
        last = f" Its last words: {words[-1][:300]}" if words else ""
        self.close()
        return kind(f"{self.browser.name} {how}, in {do}.{last}")


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.Error:
        return []


def _arguments(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:  # it has ended
        return []
