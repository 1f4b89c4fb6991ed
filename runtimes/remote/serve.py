"""The other end of ``--target``: ``fwexport serve``, which ssh starts on the machine that is to verify or measure.

This docstring is the protocol. It goes over standard input (->) and output (<-); standard error is the log, which the
person sees line by line. A message is one line of JSON, and the bytes that it announces follow it:

    <- fwexport-serve {"fwexport": "0.1.0", ...}            a Hello; whatever a login script prints before it is ignored
    -> {"verb": "bench", "name": "torch", "arguments": [..], "bundle": [File, ..], "earlier": [File, ..]}    a Request
    <- {"sha256": ["15f7..", ..]}                           a Missing: those files that are not here from an earlier time
    -> their bytes, in that order
    <- {"exit_code": 0, "result_bytes": 5123, "files": [File, ..]}      an Answer, then the result and the files
    <- {"error": {"type": "OutputError", "message": ..}}    in place of a Missing or an Answer; nothing follows it

Requests may follow each other. Files are kept by their sha256 in ``$XDG_CACHE_HOME/fwexport`` (``~/.cache/fwexport``),
so that a second run sends nothing, until none has asked for them in a week. A request runs
``fwexport VERB NAME -o ../results --json ARGUMENTS`` in a folder of its own there, which is removed at its end; those of
several people take turns, since each would slow the other down. While the command waits or runs nothing comes in: input
that ends means that nobody waits for it any more, and ends it too.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Annotated, BinaryIO

import msgspec

from runtimes import bundle, rows
from runtimes.errors import FwexportError, OutputError, UsageError, WorkerCrashed
from runtimes.process import how_it_ended

MARK = b"fwexport-serve "
# Goes up when one end would misread the other.
PROTOCOL = 1
VERBS = ("verify", "bench")
KEPT_S = 7 * 86400.0
# Seconds that a command has to end its own children, when it is told to stop.
GRACE_S = 10.0
# Seconds between looks at whether another request has ended.
EVERY_S = 0.5
BLOCK = 1 << 20

_SHA256 = re.compile(r"[0-9a-f]{64}")
# One folder, and no word that a command line would read as an option.
_NAME = re.compile(r"\w[\w.-]*")

Bytes = Annotated[int, msgspec.Meta(ge=0)]


@dataclass(frozen=True)
class Hello:
    """Who answers: its fwexport, and the schemas that it reads and writes."""

    fwexport: str
    python: str
    machine: str
    protocol: int = PROTOCOL
    rows: int = rows.SCHEMA
    manifest: int = bundle.SCHEMA


@dataclass(frozen=True)
class File:
    """A file of a bundle, or of its results; ``path`` is relative to the folder, with slashes."""

    path: str
    size_bytes: Bytes
    sha256: str


@dataclass(frozen=True)
class Request:
    """What to run: ``bundle`` are its files, ``earlier`` the results that it continues."""

    verb: str
    name: str
    arguments: tuple[str, ...]
    bundle: tuple[File, ...]
    earlier: tuple[File, ...] = ()


@dataclass(frozen=True)
class Missing:
    """The files that must be sent."""

    sha256: tuple[str, ...]


@dataclass(frozen=True)
class Failed:
    """An error of ``runtimes.errors``, by the name of its class."""

    type: str
    message: str


@dataclass(frozen=True)
class Answer:
    """What came of a request. ``result_bytes`` of ``--json`` follow, then the bytes of each of ``files``."""

    exit_code: int
    result_bytes: Bytes
    files: tuple[File, ...]


def serve(fwexport: Sequence[str], version: str, incoming: BinaryIO, outgoing: BinaryIO) -> None:
    """Answer requests until ``incoming`` ends, or one cannot be served. ``fwexport`` is the command line's own start."""
    _say(outgoing, Hello(version, platform.python_version(), platform.machine()), MARK)
    while line := incoming.readline():
        try:
            _answer(msgspec.json.decode(line, type=Request), fwexport, incoming, outgoing)
        except (FwexportError, msgspec.DecodeError) as error:
            kind = type(error).__name__ if isinstance(error, FwexportError) else "UsageError"
            _say(outgoing, {"error": Failed(kind, str(error))})
            return


def _answer(request: Request, fwexport: Sequence[str], incoming: BinaryIO, outgoing: BinaryIO) -> None:
    if request.verb not in VERBS:
        raise UsageError(f"{request.verb!r} cannot be asked of a target; it does {' and '.join(VERBS)}.")
    if not _NAME.fullmatch(request.name):
        raise UsageError(f"{request.name!r} is no name of a bundle: letters, digits and . _ - only.")
    root = _root()
    with _writing_to(root):
        objects = _folder(root / "objects")
        runs = _folder(root / "runs")
        _forget(objects, runs)
        with tempfile.TemporaryDirectory(dir=runs, prefix="run-", ignore_cleanup_errors=True) as folder:
            work, results = _folder(Path(folder) / "bundle"), _folder(Path(folder) / "results")
            files = (*request.bundle, *request.earlier)
            missing = _missing(files, objects)
            _say(outgoing, Missing(tuple(file.sha256 for file in missing)))
            for file in missing:
                _receive(file, objects, incoming)
            for file in request.bundle:
                _place(objects / file.sha256, _inside(work / request.name, file.path), os.link)
            for file in request.earlier:
                _place(objects / file.sha256, _inside(results, file.path), shutil.copyfile)
            command = [
                *fwexport,
                request.verb,
                request.name,
                "-o",
                "../results",
                "--json",
                *request.arguments,
            ]
            with _alone(root, incoming):
                code, result = _run(command, work, incoming)
            found = sorted(path for path in results.iterdir() if path.is_file())
            _say(outgoing, Answer(code, len(result), tuple(describe(path, results) for path in found)))
            outgoing.write(result)
            for path in found:
                with path.open("rb") as stream:
                    shutil.copyfileobj(stream, outgoing, BLOCK)
            outgoing.flush()


def describe(path: Path, folder: Path) -> File:
    """A file as the protocol names it."""
    with path.open("rb") as stream:
        total = sha256()
        while block := stream.read(BLOCK):
            total.update(block)
    return File(path.relative_to(folder).as_posix(), path.stat().st_size, total.hexdigest())


def _say(
    outgoing: BinaryIO, message: Hello | Missing | Answer | dict[str, Failed], mark: bytes = b""
) -> None:
    outgoing.write(mark + msgspec.json.encode(message) + b"\n")
    outgoing.flush()


def _root() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fwexport"


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def _writing_to(root: Path) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(
            f"{error.filename or root} cannot be written: {error.strerror or error}. Free some space there, or name "
            "another folder: --remote-command 'XDG_CACHE_HOME=/another/folder fwexport'."
        ) from error


def _forget(*folders: Path) -> None:
    """Remove what no request has asked for in a week: files, and what a run left that was killed."""
    for each in (path for folder in folders for path in folder.iterdir()):
        with contextlib.suppress(OSError):  # another request was quicker
            if time.time() - each.stat().st_mtime > KEPT_S:
                shutil.rmtree(each) if each.is_dir() else each.unlink()


def _missing(files: Sequence[File], objects: Path) -> list[File]:
    """Each file that is not kept, once, or was cut off by a loss of power. One that is kept stays for another week."""
    missing: dict[str, File] = {}
    for file in files:
        if not _SHA256.fullmatch(file.sha256):
            raise UsageError(f"{file.path!r} was announced without its sha256.")
        kept = objects / file.sha256
        try:
            os.utime(kept)
            whole = kept.stat().st_size == file.size_bytes
        except FileNotFoundError:
            whole = False
        if not whole:
            missing[file.sha256] = file
    needed, free = sum(file.size_bytes for file in missing.values()), shutil.disk_usage(objects).free
    if needed > free:
        raise OutputError(
            f"{objects} has {free / 1e6:.0f} MB free and the bundle needs {needed / 1e6:.0f} MB more. Free some, or "
            "choose with --format what is sent."
        )
    return list(missing.values())


def _receive(file: File, objects: Path, incoming: BinaryIO) -> None:
    """Keep the next ``size_bytes`` of the input, once they are found to be what was announced."""
    total, left = sha256(), file.size_bytes
    with tempfile.NamedTemporaryFile(dir=objects, prefix="part-", delete=False) as part:
        try:
            while left:
                block = incoming.read(min(left, BLOCK))
                if not block:
                    raise WorkerCrashed(f"the connection ended in the middle of {file.path}")
                part.write(block)
                total.update(block)
                left -= len(block)
            part.flush()
            if total.hexdigest() != file.sha256:
                raise UsageError(f"{file.path} changed while it was sent. Run the command again.")
            Path(part.name).chmod(0o444)
            Path(part.name).replace(objects / file.sha256)
        except BaseException:
            Path(part.name).unlink(missing_ok=True)
            raise


def _inside(folder: Path, path: str) -> Path:
    """``path`` in ``folder``; one that would lead out of it is refused."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts:
        raise UsageError(f"{path!r} is no file of a bundle.")
    return folder.joinpath(*parts)


def _place(kept: Path, wanted: Path, how: Callable[[Path, Path], object]) -> None:
    """A link costs no space; a file system without links gets a copy."""
    wanted.parent.mkdir(parents=True, exist_ok=True)
    try:
        how(kept, wanted)
    except FileExistsError:
        raise UsageError(f"{wanted.name!r} was announced twice.") from None
    except OSError:
        shutil.copyfile(kept, wanted)


@contextlib.contextmanager
def _alone(root: Path, incoming: BinaryIO) -> Iterator[None]:
    """Wait until no other request of this user runs on this machine."""
    import fcntl

    with (root / "lock").open("w") as lock:
        waits = False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not waits:
                    print("waiting for another run that is going on there", file=sys.stderr, flush=True)
                waits = True
            if select.select([incoming], [], [], EVERY_S)[0]:
                raise WorkerCrashed("nobody waits any more")
        yield


def _run(command: Sequence[str], folder: Path, incoming: BinaryIO) -> tuple[int, bytes]:
    """The exit code and the standard output of the command, which ends when ``incoming`` does."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONUTF8": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )

    def watch() -> None:
        select.select([incoming], [], [])
        _stop(process)

    threading.Thread(target=watch, daemon=True).start()
    try:
        result, _ = process.communicate()
    finally:
        _stop(process)
    if process.returncode < 0:
        raise WorkerCrashed(f"the command {how_it_ended(process.returncode)}.")
    return process.returncode, result


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End it, first by the signal upon which it ends its own children."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
