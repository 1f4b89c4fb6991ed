from __future__ import annotations

import base64
import hashlib
import http.client
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtimes.browser.server import MOST_BYTES, REPORTS, PageServer

PAGE = b'<!doctype html><script type="importmap">{"imports": {}}</script>'


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PageServer]:
    (tmp_path / "secret").write_text("not for pages")
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "model.wasm").write_bytes(b"\0asm")
    server = PageServer(
        {"session.html": PAGE, "packages/a b/model.wasm": tmp_path / "served" / "model.wasm"},
        {"next": lambda body: [body, body[::-1]]},
    )
    yield server
    server.close()


def ask(
    server: PageServer, path: str, method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


def path_of(server: PageServer, name: str) -> str:
    return server.url.removeprefix(f"http://127.0.0.1:{server.port}") + name


def test_files_are_served_by_their_names_with_their_types(server: PageServer) -> None:
    status, headers, body = ask(server, path_of(server, "session.html"))
    assert (status, headers["Content-Type"], body) == (200, "text/html; charset=utf-8", PAGE)
    status, headers, body = ask(server, path_of(server, "packages/a%20b/model.wasm?v=1"))
    assert (status, headers["Content-Type"], body) == (200, "application/wasm", b"\0asm")


def test_pages_are_isolated_and_may_fetch_from_here_alone(server: PageServer) -> None:
    _, headers, _ = ask(server, path_of(server, "session.html"))
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert headers["Cache-Control"] == "no-store"
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self';")
    assert "unsafe-eval'" not in policy.replace("wasm-unsafe-eval'", "")
    digest = base64.b64encode(hashlib.sha256(b'{"imports": {}}').digest()).decode()
    assert f"'sha256-{digest}'" in policy


@pytest.mark.parametrize(
    "name",
    [
        "nothing",
        "packages",
        "packages/a%20b/",
        "../secret",
        "packages/../../secret",
        "%2e%2e/secret",
        "packages/a%20b/..%2f..%2fsecret",
        "/etc/passwd",
        "//etc/passwd",
        "next",
    ],
)
def test_what_was_not_given_is_not_served(server: PageServer, name: str) -> None:
    status, _, body = ask(server, path_of(server, name))
    assert (status, body) == (404, b"")


@pytest.mark.parametrize(
    "path", ["/", "/session.html", "/AAAAAAAAAAAAAAAAAAAAAA/session.html", "//", "/%00/"]
)
def test_nothing_is_served_without_the_token(server: PageServer, path: str) -> None:
    status, _, body = ask(server, path)
    assert (status, body) == (403, b"")


@pytest.mark.parametrize("host", ["example.org", "example.org:{port}", "127.0.0.1.example.org:{port}", ""])
def test_a_page_of_another_name_for_this_machine_gets_nothing(server: PageServer, host: str) -> None:
    """The token is right: DNS rebinding would give a page of another site this address under its own name."""
    status, _, body = ask(server, path_of(server, "session.html"), Host=host.format(port=server.port))
    assert (status, body) == (403, b"")


def test_services_answer_posts(server: PageServer) -> None:
    assert ask(server, path_of(server, "next"), "POST", b"abc")[::2] == (200, b"abccba")
    assert ask(server, path_of(server, "session.html"), "POST", b"abc")[::2] == (404, b"")
    assert ask(server, "/next", "POST", b"abc")[::2] == (403, b"")


def test_what_is_sent_is_counted(server: PageServer) -> None:
    for _ in range(2):
        ask(server, path_of(server, "packages/a%20b/model.wasm"))
    ask(server, path_of(server, "nothing"))
    assert server.sent == {"packages/a b/model.wasm": 8}


def test_violations_of_the_policy_go_to_whoever_wants_them(server: PageServer) -> None:
    told: list[bytes] = []
    with_reports = PageServer({"session.html": PAGE}, {REPORTS: lambda body: told.append(body) or []})  # type: ignore[func-returns-value]
    try:
        policy = ask(with_reports, path_of(with_reports, "session.html"))[1]["Content-Security-Policy"]
        assert policy.endswith(f"; report-uri {path_of(with_reports, REPORTS)}")
        ask(with_reports, path_of(with_reports, REPORTS), "POST", b'{"csp-report": {}}')
        assert told == [b'{"csp-report": {}}']
    finally:
        with_reports.close()
    assert "report-uri" not in ask(server, path_of(server, "session.html"))[1]["Content-Security-Policy"]
    assert ask(server, path_of(server, REPORTS), "POST", b"{}")[0] == 404


@pytest.mark.parametrize("length", [str(MOST_BYTES + 1), "-1", "many", "1" * 30])
def test_a_body_of_no_length_to_hold_is_not_read(server: PageServer, length: str) -> None:
    assert ask(server, path_of(server, "next"), "POST", None, **{"Content-Length": length})[0] == 413


def test_it_listens_on_this_machine_alone(server: PageServer) -> None:
    assert server.url.startswith("http://127.0.0.1:")
    with pytest.raises(OSError, match=r"."), socket.create_connection(("127.0.0.2", server.port), timeout=1):
        pass


def test_ports_and_tokens_are_new_each_time() -> None:
    servers = [PageServer({}) for _ in range(3)]
    for server in servers:
        server.close()
    assert len({server.url.rsplit("/", 2)[1] for server in servers}) == 3
    assert all(len(server.url.rsplit("/", 2)[1]) >= 22 for server in servers)


def test_a_page_that_waits_is_cut_off_when_it_closes() -> None:
    waits, goes_on = threading.Event(), threading.Event()

    def service(body: bytes) -> list[bytes]:
        waits.set()
        goes_on.wait(10)
        return []

    server = PageServer({}, {"next": service})
    ended: list[Exception] = []

    def page() -> None:
        try:
            ask(server, path_of(server, "next"), "POST", b"")
        except (OSError, http.client.HTTPException) as error:
            ended.append(error)

    thread = threading.Thread(target=page)
    thread.start()
    assert waits.wait(10)
    server.close()
    thread.join(10)
    goes_on.set()
    assert ended
    with pytest.raises(OSError, match=r"."):
        ask(server, path_of(server, "session.html"))
