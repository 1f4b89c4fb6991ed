"""The contract of a runtime adapter: a module in ``runtimes/adapters/`` is a ``Runtime``; ``load`` gives a ``Session``.

An adapter is imported anywhere, so it imports its framework inside its functions. It runs in a child process of
its own (``runtimes.worker``), never beside another framework. It never transposes, converts or falls back to
another device: what the file says is what runs.
"""

from __future__ import annotations

import importlib
import mmap
import pkgutil
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import cycle, islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Protocol, cast

import numpy as np

from runtimes.bundle import TensorSpec
from runtimes.environment import gpu
from runtimes.errors import UsageError

# The first GPUs that multiply in TF32, by NVIDIA's numbering.
TF32_CAPABILITY = 8.0

Array = np.ndarray[Any, np.dtype[Any]]
Feeds = Mapping[str, Array]


@dataclass(frozen=True)
class SessionOptions:
    """How a session is opened. ``threads`` None is every core allowed; ``backend`` "" the device's first.

    ``precision`` float32 is that of IEEE 754; with tf32 an NVIDIA GPU multiplies numbers of 10 bits behind the point.
    """

    backend: str = ""
    threads: int | None = None
    precision: str = "float32"


@dataclass(frozen=True)
class Inspection:
    """What a file says of itself. ``ops`` counts the operators of its graph by name.

    ``quantized`` names the types, below float32, in which it keeps or computes numbers: "int8", "float16"; "" when none.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    ops: dict[str, int] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    quantized: str = ""


class Session(ABC):
    """A loaded artifact on one device.

    ``inputs``, ``outputs`` and ``metadata`` are read from the file. ``settings`` are those that shape its
    speed or its numbers, by the runtime's own names for them, as they are in force. A runtime that computes in other
    processes says their ``pids``, and what these had come to when its library was loaded and the artifact was not:
    ``library_s`` after their start (in a page, after its own: a browser that was started is in no figure), with
    ``library_rss_bytes`` of memory; and, where a browser had to be started first, that the artifact took ``load_s``.
    ``emulated`` names the software that plays the device where there is no real one, as SwiftShader plays a GPU; ``downloaded_bytes`` is what a browser fetched
    until the session was open, uncompressed: the library and the artifact.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    metadata: Mapping[str, str] = MappingProxyType({})
    settings: Mapping[str, str] = MappingProxyType({})
    pids: tuple[int, ...] = ()
    library_s: float | None = None
    library_rss_bytes: int | None = None
    load_s: float | None = None
    emulated: str = ""
    downloaded_bytes: int | None = None
    threads: int

    @abstractmethod
    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Outputs by name, as host arrays: when it returns, the computation is done."""

    @abstractmethod
    def bind(self, feeds: Feeds) -> Callable[[], None]:
        """Put the inputs where the device reads them; each call of the result computes once and waits for it."""

    def prove(self) -> str:
        """What the runtime itself answers when asked where it computes; a runtime of more than the CPU asks it here.

        The model may run for it, so this comes after the first run has been timed. Raises UnavailableError for another
        device than the one asked for.
        """
        return "cpu"

    def sample(
        self, calls: Sequence[Callable[[], object]], seconds: float, at_least: int, at_most: int
    ) -> Array:
        """Times of single runs in nanoseconds, shape (n,): ``calls`` in rotation for ``seconds``.

        A runtime in another process overrides this, so that the clock runs where the computation does; and one whose
        runs need a context, so that it is entered once, as in a program that does nothing else.
        """
        return sample_calls(calls, seconds, at_least, at_most)

    def sample_from_host(self, inputs: Sequence[Feeds], seconds: float, at_least: int, at_most: int) -> Array:
        """The same of whole runs, from host arrays to host arrays: with the copies to the device and back."""
        return sample_calls([partial(self.run, feeds) for feeds in inputs], seconds, at_least, at_most)

    def gpu_memory_bytes(self) -> int | None:
        """The most memory of its GPU that the session has held, in bytes; None on a CPU, or where nothing tells.

        By the driver, for the whole process; where it does not show processes, as in a container, by the runtime's own
        allocator, which leaves out what the driver keeps for the process.
        """
        return None

    def close(self) -> None:  # noqa: B027 - most sessions own nothing beyond their process
        """Let go of what the session owns outside this process."""


class Runtime(Protocol):
    """A module in ``runtimes/adapters/``.

    ``DEVICES`` maps each device to its backends, the default first. ``PRECISIONS`` are those of any of its devices, the
    default first; ``lacks_precision`` says which a device has. ``THREADS`` says whose a number of threads is:
    each session's, or the whole process's from the first run on. ``IN_BROWSER`` says that it runs in a browser, which is
    started only when asked for. ``FIXED_BATCH`` are the backends that take no dynamic batch. An adapter that can show what the file computes
    inside also has ``trace(path, device, options, feeds)``: every tensor by the file's own name, in the order of
    computation and in the file's layouts.
    """

    @property
    def FORMATS(self) -> tuple[str, ...]: ...  # noqa: N802
    @property
    def DEVICES(self) -> Mapping[str, tuple[str, ...]]: ...  # noqa: N802
    @property
    def PRECISIONS(self) -> tuple[str, ...]: ...  # noqa: N802
    @property
    def THREADS(self) -> Literal["session", "process"]: ...  # noqa: N802
    @property
    def IN_BROWSER(self) -> bool: ...  # noqa: N802
    @property
    def FIXED_BATCH(self) -> tuple[str, ...]: ...  # noqa: N802

    def check(self, device: str) -> str | None:
        """None, or why this runtime cannot use this device here and how to get it."""

    def versions(self) -> dict[str, str]:
        """The libraries at work, imported by this call, and their versions."""

    def inspect(self, path: Path) -> Inspection:
        """Read the file without running it. Raises NotAModelError."""

    def load(self, path: Path, device: str, options: SessionOptions) -> Session:
        """Open the file on this very device.

        Raises NotAModelError for a file that cannot be read, UnavailableError for a device that is not here.
        """


def lacks_precision(runtime: Runtime, device: str, precision: str) -> str | None:
    """In what this runtime computes on this device and why not in this precision, in words; None where it does."""
    if precision not in runtime.PRECISIONS:
        return f"{', '.join(runtime.PRECISIONS)}, not in {precision}. Leave --precision out."
    if precision == "tf32":
        if device == "cpu":
            return "float32 on a CPU: tf32 is a way in which NVIDIA GPUs multiply. Ask for --device cuda."
        able = [found.compute_capability for found in gpu.known() if found.compute_capability]
        if able and max(able) < TF32_CAPABILITY:
            return f"float32 on this GPU: tf32 needs compute capability {TF32_CAPABILITY:g} (Ampere), and it has {max(able):g}"
    return None


def sample_calls(calls: Sequence[Callable[[], object]], seconds: float, at_least: int, at_most: int) -> Array:
    """Time each call until ``seconds`` have passed and ``at_least`` were timed; nanoseconds, shape (n,).

    A time has in it one reading of the clock and the Python call itself, some 0.1 us; the rest of the loop is outside.
    The times lie in memory that malloc knows nothing of: once a large block of its own is freed, glibc keeps more of
    what others free, and TorchScript at batch 32 ran 1.5 times as fast as in a program that only runs the model.
    """
    times = np.frombuffer(mmap.mmap(-1, at_most * 8), np.int64)
    clock = time.perf_counter_ns
    end = clock() + int(seconds * 1e9)
    n = 0
    for call in islice(cycle(calls), at_most):
        begin = clock()
        call()
        now = clock()
        times[n] = now - begin
        n += 1
        if now >= end and n >= at_least:
            break
    return times[:n]


def zero_feeds(inputs: Sequence[TensorSpec]) -> dict[str, Array]:
    """One sample of zeros for each input, 1 where an axis is dynamic: what a device is proven with."""
    return {spec.name: np.zeros([1 if n is None else n for n in spec.shape], spec.dtype) for spec in inputs}


@cache
def names() -> tuple[str, ...]:
    """The adapters, by module name: the folder is the list. The fake one is for tests."""
    import runtimes.adapters

    return tuple(sorted(m.name for m in pkgutil.iter_modules(runtimes.adapters.__path__) if m.name != "fake"))


def runtime(name: str) -> Runtime:
    """The adapter called ``name``. Raises UsageError for an unknown one."""
    if name not in [*names(), "fake"]:
        raise UsageError(f"there is no runtime {name!r}. The runtimes are: {', '.join(names())}.")
    return cast(Runtime, importlib.import_module(f"runtimes.adapters.{name}"))


def in_browser(name: str) -> bool:
    """Whether a row's runtime runs in a browser; one that is not known here does not."""
    return name in [*names(), "fake"] and runtime(name).IN_BROWSER


def browser_runtimes() -> dict[str, Runtime]:
    """The adapters that run in a browser, by name."""
    return {name: runtime(name) for name in names() if runtime(name).IN_BROWSER}


def browser_formats() -> list[str]:
    """The formats that some runtime in a browser runs."""
    return sorted({format for adapter in browser_runtimes().values() for format in adapter.FORMATS})


def for_format(format: str) -> list[str]:
    """The adapters that run this format."""
    return [name for name in names() if format in runtime(name).FORMATS]
