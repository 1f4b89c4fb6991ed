"""What a page is served by: this machine alone, a port and a token of chance, and no file but those it is given.

A demo that a person opens has a URL without a token, and the port and the address that they ask for.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import re
import secrets
import socket
import socketserver
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar
from urllib.parse import unquote

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
}

LOCAL = "127.0.0.1"
# Listens on every address of this machine.
ANY = "0.0.0.0"
# What the URL of a folder means.
INDEX = "index.html"

# A page may fetch from where it came, and nothing else. WebAssembly is compiled; the threads of TF.js are workers that
# start from a blob and import another.
POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval' blob:{maps}; worker-src 'self' blob:; "
    "base-uri 'none'; form-action 'none'"
)
# The service that is told what a page has tried against the policy, where there is one.
REPORTS = "violation"
# The largest body of a POST, which is held in memory: the outputs of a model.
MOST_BYTES = 4 << 30

# Isolated from other sites, so that it has threads, and a clock of 5 us.
ISOLATED = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

# Takes the body of a POST and gives that of the response, in parts.
Service = Callable[[bytes], list[bytes]]


class PageServer:
    """Serves ``files``, by the path of their URL below ``url``, as this machine reaches it, until it is closed.

    A value is a file or its content. ``services`` answer POSTs to their names; one that is called REPORTS gets what pages
    have tried against the Content-Security-Policy. ``sent`` counts the bytes of each path's bodies. ``token`` is the folder
    of the URL, left out for "". On a ``host`` of another kind than 127.0.0.1, other machines reach it. Raises OSError for
    a port that is taken.
    """

    def __init__(
        self,
        files: Mapping[str, Path | bytes],
        services: Mapping[str, Service] = MappingProxyType({}),
        *,
        host: str = LOCAL,
        port: int = 0,
        token: str | None = None,
    ) -> None:
        self.files = dict(files)
        self.services = dict(services)
        self.sent: dict[str, int] = {}
        self._http = _Server((host, port), type("Handler", (_Handler,), {"page": self}))
        folder = secrets.token_urlsafe(16) if token is None else token
        self._prefix = f"/{folder}/" if folder else "/"
        self.host, self.port = host, self._http.server_port
        self.url = f"http://{LOCAL if host == ANY else host}:{self.port}{self._prefix}"
        maps = "".join(f" '{digest}'" for digest in map(_import_map, self.files.values()) if digest)
        reports = f"; report-uri {self._prefix}{REPORTS}" if REPORTS in services else ""
        self.headers = {**ISOLATED, "Content-Security-Policy": POLICY.format(maps=maps) + reports}
        threading.Thread(target=self._http.serve, daemon=True).start()

    def name_of(self, url: str) -> str | None:
        """What of ``files`` and ``services`` the path of a request means, None without the token."""
        path = unquote(url.partition("?")[0])
        if not secrets.compare_digest(path[: len(self._prefix)].encode(), self._prefix.encode()):
            return None
        return path[len(self._prefix) :] or INDEX

    def trusts(self, host: str | None) -> bool:
        """Whether a request to this Host is from here: a page of another site may know the port, by a name of its own.

        The other end of a tunnel has another port. A server for other machines has any name that they call it by.
        """
        local = (LOCAL, "localhost")
        return self.host not in local or (host or "").partition(":")[0] in local

    def close(self) -> None:
        """Serve no more; pages that wait are cut off."""
        self._http.end()


def _import_map(content: Path | bytes) -> str | None:
    """The digest that lets the Content-Security-Policy pass a page's import map, which has to be inline."""
    if isinstance(content, Path):
        if content.suffix != ".html":
            return None
        content = content.read_bytes()
    found = re.search(rb'<script type="importmap">(.*?)</script>', content, re.DOTALL)
    return f"sha256-{base64.b64encode(hashlib.sha256(found[1]).digest()).decode()}" if found else None


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._open: set[socket.socket] = set()
        self._ended = False

    def server_bind(self) -> None:
        """HTTPServer's own would ask a name server what this machine is called."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def serve(self) -> None:
        """As serve_forever, which would look every half second whether it shall go on."""
        while not self._ended:
            self.handle_request()
        self.server_close()

    def process_request(self, request: socket.socket, client_address: Any) -> None:  # type: ignore[override]
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that is killed breaks its connections: nothing to print."""

    def end(self) -> None:
        self._ended = True
        with contextlib.suppress(OSError):
            host = LOCAL if self.server_name == ANY else self.server_name
            socket.create_connection((host, self.server_port), timeout=1).close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(http.server.BaseHTTPRequestHandler):
    page: ClassVar[PageServer]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self) -> None:
        name = self._allowed()
        if name is not None and name in self.page.files:
            content = self.page.files[name]
            body = content if isinstance(content, bytes) else content.read_bytes()
            # Before it is sent: a page that has it all may have answered before this thread goes on.
            self.page.sent[name] = self.page.sent.get(name, 0) + len(body)
            self._send(HTTPStatus.OK, [body], TYPES.get(Path(name).suffix, "application/octet-stream"))
        elif name is not None:
            self._refuse(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        name = self._allowed()
        if name is None:
            return
        length = self.headers.get("Content-Length") or "0"
        if name not in self.page.services:
            self._refuse(HTTPStatus.NOT_FOUND)
        elif not re.fullmatch(r"[0-9]{1,20}", length) or int(length) > MOST_BYTES:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            self._send(HTTPStatus.OK, self.page.services[name](self.rfile.read(int(length))))

    def _allowed(self) -> str | None:
        """The path below the token; None after a refusal."""
        name = self.page.name_of(self.path) if self.page.trusts(self.headers.get("Host")) else None
        if name is None:
            self._refuse(HTTPStatus.FORBIDDEN)
        return name

    def _refuse(self, status: HTTPStatus) -> None:
        """Also to read what else was sent."""
        self.close_connection = True
        self._send(status)

    def _send(
        self, status: HTTPStatus, parts: list[bytes] | None = None, type: str = "application/octet-stream"
    ) -> None:
        self.send_response(status)
        for key, value in self.page.headers.items():
            self.send_header(key, value)
        self.send_header("Content-Type", type)
        self.send_header("Content-Length", str(sum(map(len, parts or []))))
        self.end_headers()
        for part in parts or []:
            self.wfile.write(part)
        self.wfile.flush()

    def log_message(self, *args: object) -> None:
        """Nothing is printed."""
