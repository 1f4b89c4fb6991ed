"""Functions that tests run in a child process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from runtimes.base import Array
from runtimes.bundle import TensorSpec
from runtimes.errors import UnavailableError
from runtimes.worker import emit


def echo(
    array: Array, spec: TensorSpec, path: Path, more: dict[str, Array]
) -> tuple[Array, TensorSpec, Path, dict[str, Array]]:
    assert isinstance(spec, TensorSpec)
    assert isinstance(path, Path)
    return array.astype(float) * 2, spec, path, {key: value + 1.0 for key, value in more.items()}


def talk(times: int) -> str:
    print("this must not reach the protocol")
    os.system("echo nor this")
    for number in range(times):
        emit({"step": number})
    return "done"


def die(how: str) -> None:
    print("about to die", file=sys.stderr, flush=True)
    if how == "exit":
        os._exit(7)
    os.kill(os.getpid(), getattr(signal, how))


def sleep(seconds: float) -> None:
    time.sleep(seconds)


def lack() -> None:
    raise UnavailableError("there is no such runtime: pip install it")


def divide() -> float:
    return 1 / 0


def big(n: int) -> Array:
    return np.arange(n, dtype=np.float64)


def start_grandchild() -> int:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid


def environment(name: str) -> str | None:
    return os.environ.get(name)


def put_aside() -> Path:
    """Write a file where files are put that nobody needs, as TensorFlow does, and leave it there."""
    handle, name = tempfile.mkstemp()
    os.close(handle)
    return Path(name)


def fill_the_disk() -> None:
    with open("/dev/full", "wb", buffering=0) as file:  # noqa: PTH123 - a device, not a path of ours
        file.write(b"x" * 10)
