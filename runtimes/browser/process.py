"""A page in a browser that answers one request at a time, as a Node process does.

The protocol is in the header of ``web/page_session.mjs``.
"""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import psutil

from runtimes.browser.find import Browser, require_browser
from runtimes.browser.flags import ON_GPU
from runtimes.browser.launch import Launched, last_words
from runtimes.browser.server import REPORTS, PageServer
from runtimes.errors import FwexportError, WorkerCrashed, WorkerTimeout
from runtimes.frameworks import javascript, node
from runtimes.process import how_it_ended, wait_for_end

PAGE = ("session.html", "page_session.mjs", "requests.mjs", "engine.mjs")

# Seconds until the page must have come up, and until it must have answered: less than what its worker is given.
START_S = 60.0
ANSWER_S = 270.0

# What is kept of a browser's report of what the page may not.
REPORT_BYTES = 4096

# What the processes of pages and of GPUs have on their command lines: Chromium's anywhere, Firefox's at the end.
_PAGES = {"chromium": "--type=renderer", "firefox": "tab"}
_GPU = {"chromium": "--type=gpu-process", "firefox": "gpu"}
# Pages of the browser's own, by a word on Chromium's command line or by the name of Firefox's process, which Linux cuts.
_OWN = {"--top-chrome-webui", "WebExtensions", "Privileged Cont"}


class BrowserProcess:
    """A browser with an empty profile and one page, ``web/session.html``, which is served ``files`` and nothing else.

    ``files`` are files or their contents by URL, relative to the page; ``switches`` go to the browser's command line;
    ``on_gpu`` is whether the page computes there.
    Raises UnavailableError where there is no browser, WorkerCrashed or WorkerTimeout where the page does not come up.
    """

    def __init__(
        self,
        files: Mapping[str, Path | bytes],
        *,
        timeout_s: float = ANSWER_S,
        start_s: float = START_S,
        browser: Browser | None = None,
        on_gpu: bool = False,
        switches: Sequence[str] = (),
    ) -> None:
        self.browser = browser or require_browser()
        self._files = frozenset(files)
        self._timeout_s = timeout_s
        self._on_gpu = on_gpu
        # What the page has tried against its Content-Security-Policy, of many the last: every answer after it is refused.
        self.violations: deque[str] = deque(maxlen=16)
        self._closed = False
        self._requests: queue.SimpleQueue[list[bytes]] = queue.SimpleQueue()
        self._events: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()  # an answer, or None: it is gone
        self.server = PageServer(
            {**{name: node.SCRIPTS / name for name in PAGE}, **files},
            {"next": self._next, REPORTS: self._violated},
        )
        try:
            gpu = ON_GPU[self.browser.family] if on_gpu else ()
            self.launched = Launched(self.browser, self.server.url + "session.html", *gpu, *switches)
        except BaseException:
            self.server.close()
            raise
        try:
            threading.Thread(target=self._await_browser, daemon=True).start()
            self._answer("its start", start_s)
            threading.Thread(target=self._await_page, args=[self._pages()], daemon=True).start()
        except BaseException:
            self.close()
            raise

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes that compute: the page's and, on a GPU, the one that talks to it, where that is another.

        All of the browser's, where its page's cannot be told from them.
        """
        gpu = self._processes(_GPU) if self._on_gpu else []
        pages = self._pages()[-1:]
        if pages:
            return (*pages, *gpu)
        return (self.launched.process.pid, *(process.pid for process in self.launched.descendants()))

    @property
    def downloaded_bytes(self) -> int:
        """What the page has fetched of ``files`` so far."""
        return sum(self.server.sent.get(name, 0) for name in self._files)

    def ask(self, do: str, blobs: Sequence[bytes] = (), **fields: Any) -> tuple[Any, memoryview]:
        """Send a request, followed by ``blobs``; the answer and the bytes that follow it.

        Raises what the page says went wrong: NotAModelError, UnavailableError, else RuntimeError. Raises WorkerCrashed
        and WorkerTimeout, with the last words of page or browser, when there is no answer; then it is closed.
        """
        if self._closed:
            raise WorkerCrashed(f"{self.browser.name} is closed; it cannot {do} any more.")
        self._requests.put([msgspec.json.encode({"do": do, **fields}) + b"\n", *blobs])
        line, _, content = self._answer(do, self._timeout_s).partition(b"\n")
        answer = json.loads(line)
        if self.violations:
            raise RuntimeError(f"the page tried what it may not, in {do}: {self.violations[-1]}")
        return javascript.result(answer), memoryview(content)

    def close(self) -> None:
        """End the browser with all its processes, remove its profile, serve no more."""
        if self._closed:
            return
        self._closed = True
        self.launched.close()
        self.server.close()
        self._requests.put([])

    def _pages(self) -> list[int]:
        """The newest is the page's: the one that a browser starts for it gives way to another when it gets isolated."""
        return self._processes(_PAGES)

    def _processes(self, words: Mapping[str, str]) -> list[int]:
        """The pids of those that have this word, in the order in which they were started."""
        found = []
        for process in self.launched.descendants():
            with contextlib.suppress(psutil.Error):  # it has ended
                line = process.cmdline() if self.browser.family == "chromium" else process.cmdline()[-1:]
                if words[self.browser.family] in line and _OWN.isdisjoint({process.name(), *line}):
                    found.append((process.create_time(), process.pid))
        return [pid for _, pid in sorted(found)]

    def _next(self, body: bytes) -> list[bytes]:
        """Takes the page's answer, empty at first, and gives it the next request."""
        self._events.put(body)
        return self._requests.get()

    def _violated(self, body: bytes) -> list[bytes]:
        self.violations.append(body[:REPORT_BYTES].decode(errors="replace"))
        return []

    def _await_browser(self) -> None:
        self.launched.process.wait()
        self._events.put(None)

    def _await_page(self, pages: list[int]) -> None:
        """A browser goes on without the page's process. Where it cannot be told from others, nobody hears of its end."""
        if pages:
            while pages:
                wait_for_end(pages[-1])
                pages = self._pages()
            self._events.put(None)

    def _answer(self, do: str, timeout_s: float) -> bytes:
        try:
            answer = self._events.get(timeout=timeout_s)
        except queue.Empty:
            how = f"did not answer within {timeout_s:g} s and was stopped"
            raise self._gone(WorkerTimeout, how, do) from None
        if answer is None:
            raise self._gone(WorkerCrashed, self._how_it_ended(), do)
        return answer

    def _how_it_ended(self) -> str:
        """A page ends with its browser, perhaps a moment earlier."""
        try:
            code = self.launched.process.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            return "lost the process of its page (often the system, out of memory)"
        return how_it_ended(code)

    def _gone(self, kind: type[FwexportError], how: str, do: str) -> FwexportError:
        words = last_words(self.launched.log())
        self.close()
        return kind(
            f"{self.browser.name} {self.browser.version} {how}, in {do}."
            + (f" Its last words: {words}" if words else "")
        )
