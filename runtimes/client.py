"""The parent's side of a child process: start it, call functions in it, and turn its end into an error with a name.

``worker.call(function, *args)`` runs ``function`` in the child. The function is named, never sent: its module is
imported there, with that process's framework, and only its arguments and result travel.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import queue
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from runtimes.errors import FwexportError, WorkerCrashed, WorkerError, WorkerTimeout, by_name
from runtimes.files import output_error
from runtimes.process import how_it_ended
from runtimes.wire import Wire

P = ParamSpec("P")
T = TypeVar("T")
OnEvent = Callable[[Any], None]

# Seconds a call may take. Conversions of large models take minutes; a hung one must end some day.
DEFAULT_TIMEOUT_S = 1800.0
# A system error in a child that can only come from writing.
WRITE_ERRNOS = {str(code) for code in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)}


class ChildFailed(FwexportError):  # noqa: N818 - an outcome's name
    """A call raised an error that is not one of ours. ``child_traceback`` is where."""

    def __init__(self, message: str, child_type: str, child_traceback: str) -> None:
        super().__init__(message)
        self.child_type = child_type
        self.child_traceback = child_traceback

    exit_code = 5


class Worker:
    """One child process. Use it as a context manager; leaving it ends the child and its children.

    ``env`` is added to this process's environment, and None removes a variable. ``on_event`` gets what the
    child emits while a call runs.
    """

    def __init__(
        self,
        env: Mapping[str, str | None] | None = None,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        on_event: OnEvent | None = None,
    ) -> None:
        self.timeout_s = timeout_s
        self.on_event = on_event
        self._added = {key: value for key, value in (env or {}).items() if value is not None}
        self._folder = Path(tempfile.mkdtemp(prefix="fwexport-worker-"))
        # What a framework puts aside goes with the folder: a child that is ended cannot tidy up.
        self._env = child_environment({**(env or {}), "TMPDIR": str(self._folder)})
        self._wire = Wire(self._folder, "call")
        self._calls: list[str] = []
        self._ended: WorkerError | None = None
        self._closed = False
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._log = (self._folder / "stderr.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "runtimes.worker", str(self._folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=self._env,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it can still be called."""
        return self._ended is None and self._process.poll() is None

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a module-level function in the child and return its result.

        Raises the child's own FwexportError, ChildFailed for any other exception, WorkerCrashed when the child
        dies and WorkerTimeout when it does not answer within ``timeout_s``; after those two it is gone.
        """
        self.start(function, *args, **kwargs)
        return self.finish(function)

    def start(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> None:
        """Send a call without waiting; ``finish`` must follow before the next one.

        Raises the error that ended the child, when it is gone already.
        """
        if self._ended is not None:
            raise self._ended
        target = f"{function.__module__}:{function.__qualname__}"
        request = json.dumps(
            {"call": target, "args": self._wire.pack(list(args)), "kwargs": self._wire.pack(kwargs)}
        )
        self._calls.append(request)
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the end of its output says more than the broken pipe
            self._process.stdin.write(request + "\n")
            self._process.stdin.flush()

    def finish(self, function: Callable[P, T]) -> T:
        """Wait for the result of the call sent by ``start``."""
        deadline = time.monotonic() + self.timeout_s
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise self._gone(
                    WorkerTimeout, f"did not answer within {self.timeout_s:g} s and was stopped"
                ) from None
            if line is None:
                raise self._gone(WorkerCrashed, how_it_ended(self._process.wait()))
            message = json.loads(line)
            if "event" in message:
                if self.on_event:
                    self.on_event(message["event"])
            elif "error" in message:
                raise rebuild_error(message["error"])
            else:
                return self._result(message["ok"], function)

    def close(self, keep: bool = False) -> None:
        """End the child, and every process that it started. What a crash left to look at stays, and so with ``keep``."""
        if self._closed:  # its number may be another process's by now
            return
        self._closed = True
        for stop in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, stop)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=2)
                break
        with contextlib.suppress(ProcessLookupError, PermissionError):  # grandchildren that ignored SIGTERM
            os.killpg(self._process.pid, signal.SIGKILL)
        for stream in (self._process.stdin, self._process.stdout, self._log):
            with contextlib.suppress(OSError, ValueError):
                stream.close() if stream else None
        if not keep:
            shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(ValueError, OSError):  # closed under us by close()
            for line in self._process.stdout:
                self._lines.put(line)
        self._lines.put(None)

    def _result(self, raw: Any, function: Callable[P, T]) -> T:
        # The first call opens what the others use: it stays, with its arrays, for whoever wants to see a crash again.
        for array in self._folder.glob("call*.npy"):
            if f'"{array.name}"' not in self._calls[0]:
                array.unlink()
        if len(self._calls) > 1 and '{"npy"' in self._calls[-1]:
            self._calls[-1] = ""
        result: T = self._wire.unpack(raw, typing.get_type_hints(function).get("return", Any))
        return result

    def _gone(self, kind: type[WorkerError], how: str) -> WorkerError:
        """Stop the child, keep its folder, and say how to run the same calls again."""
        self.close(keep=True)
        (self._folder / "calls.jsonl").write_text("".join(f"{call}\n" for call in self._calls if call))
        target = json.loads(self._calls[-1])["call"] if self._calls and self._calls[-1] else "its start"
        log = (self._folder / "stderr.log").read_text(errors="replace").strip().splitlines()
        environment = " ".join(f"{key}={shlex.quote(value)}" for key, value in sorted(self._added.items()))
        again = f"{environment} {sys.executable} -P -m runtimes.worker {self._folder} < {self._folder}/calls.jsonl".strip()
        last = f" Its last words: {log[-1].strip()[:300]}." if log else ""
        self._ended = kind(f"the child process {how}, in {target}.{last} To see it again: {again}")
        return self._ended


class InProcess:
    """Calls functions here. For tests, and for work that needs no process of its own."""

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the function."""
        return function(*args, **kwargs)


def child_environment(env: Mapping[str, str | None]) -> dict[str, str]:
    """This environment, without telemetry, downloads or chatter, and with ``env`` on top."""
    base: dict[str, str | None] = {
        **os.environ,
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2"),
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
        "ORT_DISABLE_TELEMETRY": "1",
        "PYTHONUNBUFFERED": "1",
        # Several children may use one GPU in turn; TensorFlow would take all its memory for the first.
        "TF_FORCE_GPU_ALLOW_GROWTH": os.environ.get("TF_FORCE_GPU_ALLOW_GROWTH", "true"),
        # OpenMP threads that spin at a barrier for as long as they like starve each other when another process
        # wants a core: 140 ms for a run of 7. This bound cost nothing on a quiet machine.
        "GOMP_SPINCOUNT": os.environ.get("GOMP_SPINCOUNT", "10000"),
        # Intel's OpenMP, which some builds of PyTorch have: its threads would spin for 200 ms after each run.
        "KMP_BLOCKTIME": os.environ.get("KMP_BLOCKTIME", "1"),
    }
    return {key: value for key, value in {**base, **env}.items() if value is not None}


def rebuild_error(raw: Mapping[str, str]) -> FwexportError:
    """The child's error as an exception of this process."""
    known = by_name(raw["type"])
    if known is not None and known is not ChildFailed:
        return known(raw["message"])
    if raw.get("errno") in WRITE_ERRNOS and raw["type"] in ("OSError", "PermissionError"):
        return output_error(Path(raw.get("file") or "the output"), OSError(int(raw["errno"]), raw["message"]))
    return ChildFailed(f"{raw['type']}: {raw['message']}", raw["type"], raw["traceback"])
