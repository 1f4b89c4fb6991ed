"""Nothing outside this machine is looked up or reached while a model runs in a browser: by the browser's own log of its network.

The log (--log-net-log) has every request, look-up, connection and datagram of the browser, its own among them, one event
a line. A page that asks another host shows in it, and so the log is known to tell. Firefox's (MOZ_LOG) has every name that
it looks up, and every address that it connects to.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import small_models
from small_models import ROW, SUM, more

from runtimes.adapters import litertjs, onnxruntime_web, tfjs_browser
from runtimes.browser import engines
from runtimes.browser.find import Browser, browsers
from runtimes.browser.launch import Launched
from runtimes.browser.process import BrowserProcess
from runtimes.browser.server import PageServer
from runtimes.frameworks import node
from runtimes.frameworks.javascript import JavascriptSession

ADAPTERS: dict[str, Any] = {"tfjs": tfjs_browser, "onnx": onnxruntime_web, "tflite": litertjs}
CHROMIUM, FIREFOX = (
    next((browser for browser in browsers() if browser.family == family), None)
    for family in ("chromium", "firefox")
)
MISSING = [reason for adapter in ADAPTERS.values() if (reason := adapter.check("cpu"))]
MISSING += [] if CHROMIUM else ["no Chromium is here, whose log tells"]

pytestmark = [pytest.mark.browser, pytest.mark.skipif(bool(MISSING), reason=" ".join(MISSING))]


REACHED = ("TCP_CONNECT_ATTEMPT", "UDP_BYTES_SENT", "DNS_TRANSACTION", "HOST_RESOLVER_DNS_TASK")


def chromium() -> Browser:
    assert CHROMIUM is not None
    return CHROMIUM


def events(log: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The names and parameters of what is in the log so far; its last line may be cut."""
    first, *lines = log.read_text(errors="replace").split("\n")
    names = {
        number: name
        for name, number in json.loads(first.rstrip(",") + "}")["constants"]["logEventTypes"].items()
    }
    # A name that this Chromium does not have would never be found.
    assert {"URL_REQUEST_START_JOB", "HOST_RESOLVER_MANAGER_REQUEST", *REACHED} <= set(names.values())
    for line in lines:
        if line.startswith('{"') and line.rstrip(",").endswith("}"):
            event = json.loads(line.rstrip(","))
            yield names[event["type"]], event.get("params", {})


def outside(log: Path) -> list[str]:
    """What the browser asked of other hosts, tried to look up, connected to or sent datagrams for.

    A socket for datagrams that is connected (UDP_CONNECT) has sent none: so the system is asked for a way to IPv6.
    """
    found = []
    for name, parameters in events(log):
        told = parameters.get("url") if name == "URL_REQUEST_START_JOB" else None
        told = parameters.get("host", told) if name == "HOST_RESOLVER_MANAGER_REQUEST" else told
        told = parameters.get("address", told) if name == "TCP_CONNECT_ATTEMPT" else told
        told = str(parameters) if name in REACHED[1:] else told
        if told and not told.removeprefix("http://").startswith("127.0.0.1:"):
            found.append(f"{name} {told}")
    return found


def test_a_session_of_each_library_asks_nobody_else(tmp_path: Path) -> None:
    log = tmp_path / "network.json"
    models = {
        "tfjs": small_models.tfjs(tmp_path / "tfjs"),
        "onnx": {"model.onnx": small_models.onnx(tmp_path / "model.onnx")},
        "tflite": {"model.tflite": small_models.tflite(tmp_path / "model.tflite")},
    }
    files: dict[str, Path | bytes] = {}
    for kind, adapter in ADAPTERS.items():
        files |= {name: node.SCRIPTS / name for name in engines.modules(adapter.MODULE)}
        files |= {f"packages/{name}": node.modules_folder() / name for name in adapter.packages("wasm")}
        files |= {f"{kind}/{name}": path for name, path in models[kind].items()}
    process = BrowserProcess(files, browser=chromium(), switches=[f"--log-net-log={log}"])
    try:
        for kind, adapter in ADAPTERS.items():
            process.ask("load", module=adapter.MODULE, backend="wasm", threads=2)
            process.ask("open", model=f"{kind}/{next(iter(models[kind]))}")
            opened = JavascriptSession(process)
            feeds = {"row": ROW, "more": more("float32")}
            assert opened.run(feeds)["sum"].tolist() == SUM.tolist()
            opened.sample([opened.bind(feeds)], 0.05, 10, 1000)
            process.ask("prove")
        time.sleep(2)  # a browser that has nothing to do looks after itself
    finally:
        process.close()
    assert not process.violations
    requested = [
        parameters.get("url", "") for name, parameters in events(log) if name == "URL_REQUEST_START_JOB"
    ]
    assert {f"{process.server.url}{name}" for name in process.server.sent} <= set(requested)
    assert outside(log) == []


def asking(url: str, done: list[bytes]) -> PageServer:
    """Serves a page that no policy holds back, which asks another host, and says when it has."""
    page = f"<script>fetch({url!r}, {{mode: 'no-cors'}}).finally(() => fetch('done', {{method: 'POST'}}))</script>"
    server = PageServer({"page.html": page.encode()}, {"done": lambda body: done.append(body) or []})
    del server.headers["Content-Security-Policy"]
    return server


@pytest.mark.parametrize("url", ["http://planted.example/", "http://192.0.2.1/"])
def test_the_log_tells_of_a_page_that_asks_another_host(tmp_path: Path, url: str) -> None:
    """And the host is not reached: its name is not looked up, and its address (nobody's, RFC 5737) not connected to."""
    log = tmp_path / "network.json"
    done: list[bytes] = []
    server = asking(url, done)
    launched = Launched(chromium(), f"{server.url}page.html", f"--log-net-log={log}")
    try:
        deadline = time.monotonic() + 60
        while not done or not outside(log):
            assert time.monotonic() < deadline, f"the log does not show {url}: {launched.log()[-1000:]}"
            time.sleep(0.1)
    finally:
        launched.close()
        server.close()
    assert f"URL_REQUEST_START_JOB {url}" in outside(log)
    assert [told for told in outside(log) if told.startswith(REACHED)] == []


@pytest.mark.skipif(FIREFOX is None, reason="no Firefox is here, whose log tells")
def test_firefox_looks_nobody_up_even_for_a_page_that_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert FIREFOX is not None
    monkeypatch.setenv("MOZ_LOG", "nsHostResolver:4,nsSocketTransport:5")
    monkeypatch.setenv("MOZ_LOG_FILE", str(tmp_path / "network"))
    done: list[bytes] = []
    server = asking("http://planted.example/", done)
    launched = Launched(FIREFOX, f"{server.url}page.html")
    try:
        deadline = time.monotonic() + 60
        while not done:
            assert time.monotonic() < deadline, launched.log()[-1000:]
            time.sleep(0.1)
        time.sleep(1)
    finally:
        launched.close()
        server.close()
    text = "".join(log.read_text(errors="replace") for log in tmp_path.glob("network*"))
    assert "host=planted.example:80" in text  # for the proxy, which is nobody
    assert set(re.findall(r"Resolving host \[([^\]]*)\]", text)) == {"127.0.0.1"}
    assert {address.partition(":")[0] for address in re.findall(r"trying address: (\S+)", text)} == {
        "127.0.0.1"
    }


def test_a_library_that_asks_another_host_is_an_error(tmp_path: Path) -> None:
    module = b"export async function load() { await fetch('http://192.0.2.1/library').catch(() => null); return {}; }"
    process = BrowserProcess({"module.mjs": module}, browser=chromium())
    try:
        with pytest.raises(RuntimeError, match=r"tried what it may not, in load: .*192\.0\.2\.1/library"):
            process.ask("load", module="module.mjs", backend="any", threads=None)
    finally:
        process.close()
