"""The child process: ``python -P -m runtimes.worker FOLDER``. This docstring is the protocol.

The parent writes one JSON line on standard input for each call, and reads JSON lines from standard output:

    -> {"call": "module:function", "args": [...], "kwargs": {...}}
    <- {"event": ...}                       any number, while the call runs
    <- {"ok": result}                       the call returned
    <- {"error": {"type", "message", "traceback"}}

Arrays travel as ``{"npy": "name"}``: a file in FOLDER, written by the sender. Arguments are converted by the
function's annotations. Nothing else reaches the real standard output: file descriptor 1 is moved away first and
points to standard error, so what a framework prints goes to the log. The child serves until its input ends; a
module keeps what it loaded between calls. A call that raises leaves the child alive.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import time
import traceback
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from runtimes.errors import FwexportError
from runtimes.wire import Wire

Emit = Callable[[Any], None]

_emit: list[Emit] = []


def emit(event: Any) -> None:
    """Tell the parent how a long call is getting on. Does nothing where no one listens."""
    for listener in _emit:
        listener(event)


def listen(listener: Emit) -> Callable[[], None]:
    """Send the events of this process to ``listener``; the result stops that."""
    _emit.append(listener)
    return lambda: _emit.remove(listener)


def serve(folder: Path, requests: TextIO, replies: TextIO) -> None:
    """Answer calls until ``requests`` ends."""
    wire = Wire(folder, "reply")

    def reply(message: dict[str, Any]) -> None:
        replies.write(json.dumps(wire.pack(message)) + "\n")
        replies.flush()

    listen(lambda event: reply({"event": event}))
    for line in requests:
        try:
            reply({"ok": _call(json.loads(line), wire)})
        except Exception as error:
            reply({"error": describe_error(error)})


def describe_error(error: BaseException) -> dict[str, str]:
    """An error as data; one that is not ours keeps its own class name and its traceback."""
    name = type(error).__name__ if isinstance(error, FwexportError) else type(error).__qualname__
    text = "".join(traceback.format_exception(error))
    return {
        "type": name,
        "message": str(error),
        "traceback": text,
        "errno": str(getattr(error, "errno", "") or ""),
        "file": str(getattr(error, "filename", "") or ""),
    }


def _call(request: dict[str, Any], wire: Wire) -> Any:
    module, _, name = request["call"].partition(":")
    function = getattr(importlib.import_module(module), name)
    hints = typing.get_type_hints(function)
    positional = [hints.get(name, Any) for name in function.__code__.co_varnames]
    args = [
        wire.unpack(value, type_, keep=True)
        for value, type_ in zip(request["args"], positional, strict=False)
    ]
    kwargs = {
        key: wire.unpack(value, hints.get(key, Any), keep=True) for key, value in request["kwargs"].items()
    }
    return function(*args, **kwargs)


def end_with_parent(every_s: float = 2.0) -> None:
    """End this process soon after its parent, also in the middle of a long call: nobody waits for the answer."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(every_s)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    """Serve standard input, with the real standard output kept for the protocol."""
    end_with_parent()
    protocol = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    serve(Path(sys.argv[1]), sys.stdin, protocol)


if __name__ == "__main__":
    # The module must be the one that others import, or they would emit to another list of listeners.
    importlib.import_module("runtimes.worker").main()
