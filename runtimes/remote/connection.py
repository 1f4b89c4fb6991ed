"""This side of ``--target``: a bundle's files to another machine, its results back, over the system's OpenSSH client.

One ssh carries everything, so the handshake is paid once; what is said over it is in ``runtimes.remote.serve``. No password is
asked for: keys, agents, ports and jump hosts are those of ``~/.ssh/config``, and ``FWEXPORT_SSH_OPTIONS`` adds to them.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from runtimes.bundle import MANIFEST, Bundle
from runtimes.errors import FwexportError, UnavailableError, UsageError, WorkerCrashed, by_name
from runtimes.files import files_of, make_folder, write_atomically
from runtimes.measuring.times import TIMES
from runtimes.pool import cells
from runtimes.reference import REFERENCE
from runtimes.remote.serve import (
    BLOCK,
    GRACE_S,
    MARK,
    Answer,
    Failed,
    File,
    Hello,
    Missing,
    Request,
    describe,
)
from runtimes.rows import BENCH, PREDICTIONS, VERIFY

# Where results of other machines lie in a bundle: TARGETS/NAME/verify.json.
TARGETS = "targets"
RESULTS = (VERIFY, BENCH, PREDICTIONS, TIMES)
# A program installed by `pip install --user` or pipx is not on the PATH of a shell that nobody logs in to.
DEFAULT_COMMAND = """sh -c 'PATH="$PATH:$HOME/.local/bin"; exec fwexport serve'"""
CONNECT_S = 15
# From the connection to the first word: Python starts, on a slow device.
START_S = 60.0

_TARGET = re.compile(
    r"ssh:(?:(?P<user>\w[\w.-]*\$?)@)?(?P<host>\w[\w.-]*|\[[0-9A-Fa-f:.]+(?:%[\w.-]+)?\])(?::(?P<port>\d{1,5}))?",
    re.ASCII,
)

OnLine = Callable[[str], None]
T = TypeVar("T")


@dataclass(frozen=True)
class Target:
    """Another machine, as ssh finds it: ``host`` is a name, an address, or a Host of ``~/.ssh/config``."""

    host: str
    user: str = ""
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> Target:
        """``ssh:[user@]host[:port]``, an IPv6 address in brackets. Raises UsageError for anything else."""
        found = _TARGET.fullmatch(text)
        port = int(found["port"]) if found and found["port"] else None
        if not found or port == 0 or (port or 0) > 65535:
            raise UsageError(
                f"{text!r} is not ssh:host, ssh:user@host or ssh:user@host:port. An IPv6 address stands in brackets; "
                "anything else about the connection belongs into ~/.ssh/config, and its Host here."
            )
        return cls(found["host"].strip("[]"), found["user"] or "", port)

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        port = f":{self.port}" if self.port else ""
        return f"{user}[{self.host}]{port}" if ":" in self.host else f"{user}{self.host}{port}"

    @property
    def folder(self) -> str:
        """The same, as the name of a folder."""
        return re.sub(r"[^\w.@-]+", "-", str(self), flags=re.ASCII).strip("-")

    @property
    def words(self) -> list[str]:
        """The same, as words of a command line of ssh; the host is the last, and never read as an option."""
        port = ["-p", str(self.port)] if self.port else []
        user = ["-l", self.user] if self.user else []
        return [*port, *user, "--", self.host]

    def command(self, remote: str) -> list[str]:
        """The ssh that runs ``remote``, which the shell there reads. Of two options that differ, ssh takes the first."""
        options = [
            "BatchMode=yes",
            f"ConnectTimeout={CONNECT_S}",
            "ServerAliveInterval=15",
            "ClearAllForwardings=yes",
            "LogLevel=ERROR",
        ]
        try:
            own = shlex.split(os.environ.get("FWEXPORT_SSH_OPTIONS", ""))
        except ValueError as error:
            raise UsageError(
                f"FWEXPORT_SSH_OPTIONS cannot be read ({error}); write it as for a shell."
            ) from None
        return ["ssh", *own, "-T", *(f"-o{option}" for option in options), *self.words, remote]


@dataclass(frozen=True)
class Reply:
    """How a command ended there, and the JSON that it printed: empty where it said on standard error why not."""

    exit_code: int
    result: bytes


def needed(
    bundle: Bundle,
    devices: Sequence[str] = (),
    formats: Sequence[str] = (),
    runtimes: Sequence[str] = (),
    browser: bool = False,
) -> list[File]:
    """The files that a run elsewhere reads: the manifest, the reference, and the artifacts that were asked for.

    Raises UsageError, before anything is sent, for a device, format or runtime that nothing in the bundle has.
    """
    chosen = {
        bundle.path(cell.described)
        for cell in cells(bundle, tuple(devices) or ("cpu", "gpu"), formats, runtimes, browser)
    }
    whole = [bundle.folder / MANIFEST, bundle.folder / REFERENCE, *sorted(chosen)]
    return [describe(file, bundle.folder) for path in whole for file in files_of(path) if file.is_file()]


class Connection:
    """One ssh to a target, while the block lasts. Leaving it ends what still runs there.

    ``version`` is this fwexport's, ``command`` how the one there is started, as its shell reads it (default: from the
    PATH). ``on_line`` gets each line that the command there writes to standard error.
    """

    def __init__(self, target: Target, version: str, command: str | None, on_line: OnLine) -> None:
        self._target = target
        self._version = version
        self._command = target.command(f"{command} serve" if command else DEFAULT_COMMAND)
        self._on_line = on_line
        self._greeted = False
        self._ended = False
        self._last: deque[str] = deque(maxlen=8)

    def __enter__(self) -> Self:
        if shutil.which("ssh") is None:
            raise UnavailableError(
                "--target needs the OpenSSH client, and there is no ssh here (Debian: apt install openssh-client)."
            )
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Ctrl-C is for this process, which then ends the other side in good order.
            start_new_session=True,
        )
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self._to, self._from = self._process.stdin, self._process.stdout
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        try:
            self._greet()
        except BaseException:
            self._process.terminate()  # it may be waiting for a machine that does not answer
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._close()

    def run(
        self, verb: str, bundle: Bundle, files: Sequence[File], arguments: Sequence[str], place: Path
    ) -> Reply:
        """Run ``fwexport VERB`` with ``arguments`` on ``files`` of the bundle there; the results are written to ``place``.

        Results that lie there already go along, as those of an earlier run. Raises the error of the other side, and
        WorkerCrashed when the connection ends before the answer.
        """
        make_folder(place)
        earlier = [describe(place / name, place) for name in RESULTS if (place / name).is_file()]
        name = re.sub(r"[^\w.-]+", "-", bundle.folder.resolve().name).lstrip("-.") or "bundle"
        request = Request(verb, name, tuple(arguments), tuple(files), tuple(earlier))
        paths = {file.sha256: place / file.path for file in earlier}
        paths |= {file.sha256: bundle.folder / file.path for file in files}
        self._write([msgspec.json.encode(request) + b"\n"])
        asked = set(self._read(Missing).sha256)
        missing = [sha256 for sha256 in paths if sha256 in asked]
        sizes = {file.sha256: file.size_bytes for file in (*files, *earlier)}
        to_send, whole = sum(sizes[sha256] for sha256 in missing), sum(sizes.values())
        self._on_line(f"{self._target}: sending {to_send / 1e6:.1f} of {whole / 1e6:.1f} MB")
        for sha256 in missing:
            self._write(_blocks(paths[sha256]))
        answer = self._read(Answer)
        result = self._bytes(answer.result_bytes)
        for file in answer.files:
            content = self._bytes(file.size_bytes)
            if file.path in RESULTS:
                write_atomically(place / file.path, content)
        return Reply(answer.exit_code, result)

    def _greet(self) -> None:
        """Find out who is there; from then on its standard error is for the person."""
        with self._killed_after(CONNECT_S + START_S):
            while (line := self._from.readline(BLOCK)) and not line.startswith(MARK):
                self._last.append(printable(line))
        if not line:
            raise self._unreachable()
        try:
            hello = msgspec.json.decode(line.removeprefix(MARK), type=Hello)
        except msgspec.DecodeError:
            hello = Hello("another version", "?", "?", protocol=0)
        ours = Hello(self._version, "", "")
        if (hello.protocol, hello.rows, hello.manifest) != (ours.protocol, ours.rows, ours.manifest):
            raise UnavailableError(
                f"{self._target} has fwexport {hello.fwexport} and this is {self._version}; they do not read the same "
                "files. Install the same version on both."
            )
        self._greeted = True
        self._on_line(f"{self._target}: fwexport {hello.fwexport}, Python {hello.python}, {hello.machine}")
        if hello.fwexport != self._version:
            self._on_line(
                f"warning: this is fwexport {self._version}; verdicts may follow other rules there."
            )

    def _listen(self) -> None:
        assert self._process.stderr
        with self._process.stderr as lines:
            for line in lines:
                text = printable(line)
                self._last.append(text)
                if self._greeted and not self._ended:  # that it was interrupted there is said here
                    self._on_line(text)

    def _write(self, blocks: Iterable[bytes]) -> None:
        with contextlib.suppress(BrokenPipeError):  # what the other side said before it left tells more
            for block in blocks:
                self._to.write(block)
            self._to.flush()

    def _read(self, kind: type[T]) -> T:
        """The next message; an error of the other side is raised here."""
        line = self._from.readline()
        if not line:
            raise self._lost()
        try:
            message = msgspec.json.decode(line, type=dict[str, Any])
            if "error" not in message:
                return msgspec.convert(message, kind)
            failed = msgspec.convert(message["error"], Failed)
        except msgspec.DecodeError as error:
            raise WorkerCrashed(
                f"{self._target} answered what fwexport does not understand ({error}): {printable(line[:200])!r}. "
                "Install the same version on both."
            ) from None
        raise (by_name(failed.type) or FwexportError)(f"{self._target}: {failed.message}")

    def _bytes(self, count: int) -> bytes:
        content = self._from.read(count)
        if len(content) < count:
            raise self._lost()
        return content

    def _lost(self) -> WorkerCrashed:
        how = self._end()
        return WorkerCrashed(
            f"the connection to {self._target} ended before the results came ({how}). What it had measured is lost; "
            "run the command again."
        )

    def _unreachable(self) -> UnavailableError:
        how = self._end()
        said = " ".join(self._last)
        return UnavailableError(
            f"{self._target} cannot be used: {how}. {_advice(self._target, said, self._process.returncode)}"
        )

    def _end(self) -> str:
        """Wait until ssh has ended; its last words and its exit code."""
        self._close()
        words = f"{self._last[-1].removesuffix('.')}, " if self._last else ""
        return f"{words}exit code {self._process.returncode} of ssh"

    def _close(self) -> None:
        """The end of its input tells the other side to stop; ssh ends after it, or soon."""
        if self._ended:
            return
        self._ended = True
        try:
            with self._killed_after(GRACE_S + 5):
                with contextlib.suppress(BrokenPipeError):
                    self._to.close()
                while self._from.read(BLOCK):
                    pass
                self._process.wait()
        finally:
            self._process.kill()
            self._process.wait()
            self._from.close()
            self._listener.join(1.0)

    @contextlib.contextmanager
    def _killed_after(self, seconds: float) -> Iterator[None]:
        """End ssh when the block takes longer, which also ends what waits for it in the block."""
        late = threading.Timer(seconds, self._process.kill)
        late.daemon = True
        late.start()
        try:
            yield
        finally:
            late.cancel()


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            yield block


def printable(line: bytes) -> str:
    """A line of the other side, without what would steer this side's terminal."""
    text = line.decode(errors="replace").expandtabs().rstrip()
    return "".join(letter for letter in text if letter.isprintable())


def _advice(target: Target, said: str, code: int) -> str:
    """What to do about an ssh that did not get as far as fwexport."""
    by_hand = shlex.join(["ssh", *target.words])
    if code != 255:
        if "No such command" in said:
            return "Its fwexport is older than --target: install this version there."
        return (
            'Install it there (`pip install "fwexport[litert]"`, or the extra of the runtime that you want), or say how '
            "it is started: --remote-command venv/bin/fwexport."
        )
    if "HOST IDENTIFICATION HAS CHANGED" in said or "Host key verification failed" in said:
        return f"Its key is unknown here, or another than before: log in once by hand (`{by_hand}`) and compare it."
    if "Permission denied" in said:
        return f"It takes none of your keys, and passwords are not asked for: `ssh-copy-id`, or `ssh-add`, until `{by_hand}` asks nothing."
    return f"See whether `{by_hand}` works; what it needs goes into ~/.ssh/config or FWEXPORT_SSH_OPTIONS."
