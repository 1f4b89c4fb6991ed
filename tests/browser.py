"""Chromium without a window, driven by its DevTools protocol as a person drives one: it looks, points, types and draws.

The protocol (https://chromedevtools.github.io/devtools-protocol/) goes over --remote-debugging-pipe: the browser reads
messages from descriptor 3 and writes them to 4, each one JSON object and a zero byte. It has one reader, which is
whoever waits for an answer; events that come before the answer are kept by the page that they are of.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from runtimes.browser.find import Browser, browsers, check
from runtimes.browser.flags import command, environment

# Name, code, number and text of the keys that tests press.
KEYS = {
    "Tab": ("Tab", 9, ""),
    "Enter": ("Enter", 13, "\r"),
    " ": ("Space", 32, " "),
    "ArrowLeft": ("ArrowLeft", 37, ""),
    "ArrowUp": ("ArrowUp", 38, ""),
    "ArrowRight": ("ArrowRight", 39, ""),
    "ArrowDown": ("ArrowDown", 40, ""),
    "Delete": ("Delete", 46, ""),
}
# A page that does not come to what it is waited for has hung. Generous: shaders and WebAssembly compile on a busy machine.
PATIENCE_S = 90.0

Point = tuple[float, float]


def find_chromium() -> Browser | None:
    """The first browser that speaks the protocol, or the one that FWEXPORT_BROWSER names if it does."""
    return next((found for found in browsers() if found.family == "chromium"), None)


def no_browser() -> str | None:
    """Why the tests of pages cannot run here, or None."""
    if find_chromium() is not None:
        return None
    return (
        check()
        or "no Chromium, Chrome or Edge is here, which tests can drive: make test-browser, or install one"
    )


class Chromium:
    """A browser with an empty profile below ``folder``, where its log is too. Closing it ends all its processes."""

    def __init__(self, folder: Path) -> None:
        found = find_chromium()
        assert found is not None
        *words, page = command(found, folder / "profile", "about:blank")
        words += ["--hide-scrollbars", "--remote-debugging-pipe", page]
        reads, self._write = os.pipe()
        self._read, writes = os.pipe()
        # Out of the way of 3 and 4, which the child gets.
        theirs = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (reads, writes)]
        log = os.open(folder / "browser.log", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
        self._pid = os.posix_spawn(
            words[0],
            words,
            environment(folder, os.environ),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, log, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
                *((os.POSIX_SPAWN_DUP2, end, 3 + n) for n, end in enumerate(theirs)),
            ],
        )
        for end in (reads, writes, *theirs, log):
            os.close(end)
        self._log = folder / "browser.log"
        self._buffer = b""
        self._last = 0
        self._answers: dict[int, dict[str, Any]] = {}
        self.pages: dict[str, Page] = {}  # by the session of the page, and of each of its workers

    def call(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        """What the browser answers. Raises AssertionError with its reason when it refuses."""
        number = self.send(method, session, **parameters)
        deadline = time.monotonic() + PATIENCE_S
        while number not in self._answers:
            self.receive(deadline, method)
        answer = self._answers.pop(number)
        assert "error" not in answer, f"{method} {parameters}: {answer['error']}"
        result: dict[str, Any] = answer["result"]
        return result

    def send(self, method: str, session: str = "", **parameters: Any) -> int:
        """Ask without waiting; the number of the answer."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        content = json.dumps({**message, "sessionId": session} if session else message).encode() + b"\0"
        while content:
            content = content[os.write(self._write, content) :]
        return self._last

    def receive(self, deadline: float, what: str) -> None:
        """Take the next message: keep an answer, or give an event to its page."""
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"the browser did not answer in time: {what}"
            content = os.read(self._read, 1 << 20)
            assert content, f"the browser is gone: {what}\n{self._log.read_text(errors='replace')[-2000:]}"
            self._buffer += content
        first, _, self._buffer = self._buffer.partition(b"\0")
        message = json.loads(first)
        if "id" in message:
            self._answers[message["id"]] = message
        elif message.get("sessionId") in self.pages:
            self.pages[message["sessionId"]].on(message)

    @contextlib.contextmanager
    def page(self, width: int = 1000, height: int = 900) -> Iterator[Page]:
        """A tab of its own: no cookies, cache or storage of another one."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        try:
            target = self.call(
                "Target.createTarget", url="about:blank", browserContextId=context, width=width, height=height
            )["targetId"]
            session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            yield Page(self, session, context)
        finally:
            self.call("Target.disposeBrowserContext", browserContextId=context)
            self.pages = {own: page for own, page in self.pages.items() if page.context != context}

    def close(self) -> None:
        """End it, by force after ten seconds."""
        self.send("Browser.close")
        deadline = time.monotonic() + 10
        while os.waitpid(self._pid, os.WNOHANG) == (0, 0):
            if time.monotonic() > deadline:
                os.kill(self._pid, 9)
                os.waitpid(self._pid, 0)
                break
            time.sleep(0.02)
        os.close(self._write)
        os.close(self._read)


class Page:
    """A tab.

    ``requests`` are the URLs that it and its workers asked for, ``exceptions`` what its scripts did not catch, and
    ``problems`` those and all else that went wrong, such as a file that is not there.
    """

    def __init__(self, browser: Chromium, session: str, context: str) -> None:
        self.requests: list[str] = []
        self.exceptions: list[str] = []
        self.problems: list[str] = []
        self.context = context
        self._browser = browser
        self._session = session
        self._loaded = False
        browser.pages[session] = self
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self._follow_workers(session)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """What the browser answers, of this tab."""
        return self._browser.call(method, self._session, **parameters)

    def on(self, event: dict[str, Any]) -> None:
        """Note an event."""
        method, told = event["method"], event["params"]
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            details = told["exceptionDetails"]
            self.exceptions.append(details.get("exception", {}).get("description") or details["text"])
            self.problems.append(self.exceptions[-1])
        elif method == "Log.entryAdded" and told["entry"]["level"] == "error":
            self.problems.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")
        elif method == "Target.attachedToTarget":
            worker = told["sessionId"]
            self._browser.pages[worker] = self
            self._browser.send("Network.enable", worker)
            self._follow_workers(worker)
            self._browser.send("Runtime.runIfWaitingForDebugger", worker)

    def open(self, url: str) -> None:
        """Show ``url``; returns once it is loaded."""
        self._loaded = False
        failed = self.call("Page.navigate", url=url).get("errorText")
        assert not failed, f"{url}: {failed}"
        deadline = time.monotonic() + PATIENCE_S
        while not self._loaded:
            self._browser.receive(deadline, url)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, or what its promise becomes."""
        told = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, f"{expression}: {told['exceptionDetails']}"
        return told["result"].get("value")

    def wait(self, expression: str, patience_s: float = PATIENCE_S) -> Any:
        """The value of the expression, once it is true. An exception in the page ends the waiting."""
        deadline = time.monotonic() + patience_s
        while not (value := self.evaluate(expression)):
            in_time = time.monotonic() < deadline and not self.exceptions
            assert in_time, f"not true: {expression}\n{self.problems}\n{self.text()}"
            time.sleep(0.03)
        return value

    def text(self) -> str:
        """The words of the page."""
        return str(self.evaluate("document.body.innerText"))

    def box(self, selector: str) -> tuple[float, float, float, float]:
        """Left, top, width and height of an element in CSS pixels, scrolled into view. It must be there."""
        found = self.evaluate(
            f"""(() => {{
                const element = document.querySelector({json.dumps(selector)});
                element?.scrollIntoView({{ block: 'nearest', behavior: 'instant' }});
                const box = element?.getBoundingClientRect();
                return box && [box.left, box.top, box.width, box.height];
            }})()"""
        )
        assert found is not None, f"no {selector} on the page:\n{self.text()}"
        left, top, width, height = found
        return left, top, width, height

    def click(self, selector: str) -> None:
        """In the middle of an element."""
        left, top, width, height = self.box(selector)
        self.stroke([(left + width / 2, top + height / 2)])

    def stroke(self, points: Sequence[Point], by: Literal["mouse", "finger"] = "mouse") -> None:
        """Press at the first point, move along, let go at the last; points in CSS pixels of the window."""
        for n, (x, y) in enumerate([*points, points[-1]]):
            kind = "down" if n == 0 else "up" if n == len(points) else "move"
            if by == "mouse":
                name = {"down": "mousePressed", "move": "mouseMoved", "up": "mouseReleased"}[kind]
                held = {
                    "button": "left",
                    "buttons": 0 if kind == "up" else 1,
                    "clickCount": int(kind != "move"),
                }
                self.call("Input.dispatchMouseEvent", type=name, x=x, y=y, **held)
            else:
                name = {"down": "touchStart", "move": "touchMove", "up": "touchEnd"}[kind]
                self.call(
                    "Input.dispatchTouchEvent",
                    type=name,
                    touchPoints=[{"x": x, "y": y}] if kind != "up" else [],
                )

    def press(self, key: str, modifiers: int = 0) -> None:
        """A key down and up, by its name in ``KEYS`` or as a letter or digit."""
        code, number, text = KEYS.get(key) or (
            f"{'Digit' if key.isdigit() else 'Key'}{key.upper()}",
            ord(key.upper()),
            key,
        )
        named = {"key": key, "code": code, "windowsVirtualKeyCode": number, "modifiers": modifiers}
        self.call("Input.dispatchKeyEvent", type="keyDown", **named, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **named)

    def drop(self, selector: str, file: Path) -> None:
        """Drag a file of this machine onto an element, and let go."""
        left, top, width, height = self.box(selector)
        data = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.call("Input.dispatchDragEvent", type=kind, x=left + width / 2, y=top + height / 2, data=data)

    def choose(self, selector: str, file: Path) -> None:
        """Choose a file of this machine in a file input, as in the dialog that a click opens."""
        found = self.call("Runtime.evaluate", expression=f"document.querySelector({json.dumps(selector)})")
        self.call("DOM.setFileInputFiles", files=[str(file)], objectId=found["result"]["objectId"])

    def emulate(self, *, dark: bool = False, still: bool = False, phone: bool = False) -> None:
        """A person's settings: dark colours, reduced motion; or a phone that is held upright (390 x 844, touch)."""
        features = {"prefers-color-scheme": "dark" if dark else "light"}
        features["prefers-reduced-motion"] = "reduce" if still else "no-preference"
        self.call(
            "Emulation.setEmulatedMedia",
            features=[{"name": name, "value": value} for name, value in features.items()],
        )
        if phone:
            self.call(
                "Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=2, mobile=True
            )
            self.call("Emulation.setTouchEmulationEnabled", enabled=True)

    def screenshot(self, path: Path) -> None:
        """The whole page as a PNG, also what lies below the window."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _follow_workers(self, session: str) -> None:
        """Workers wait until their requests are seen too."""
        self._browser.send(
            "Target.setAutoAttach", session, autoAttach=True, waitForDebuggerOnStart=True, flatten=True
        )
