"""Live sessions, each in its own child process, opened once in a run of verify or of predict.

A cell is what a row is about: an artifact of a bundle, in a runtime, on a device, by a backend.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from runtimes import session_child
from runtimes.base import Array, Runtime, SessionOptions, browser_formats, for_format, runtime
from runtimes.bundle import Artifact, Bundle
from runtimes.client import Worker
from runtimes.errors import FwexportError, UnavailableError, UsageError
from runtimes.machine import gpus
from runtimes.session_child import Opened
from runtimes.variants import given, lacks_batch

# A session that neither loads nor answers in this time has hung.
TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Cell:
    """One artifact, by its name, in one runtime on one device, by one backend."""

    bundle: Bundle = field(compare=False)
    folder: Path
    artifact: str
    runtime: str
    device: str
    backend: str

    @property
    def described(self) -> Artifact:
        """The artifact's line in the manifest."""
        found = self.bundle.manifest.artifact(self.artifact)
        assert found is not None
        return found

    @property
    def source(self) -> str:
        """The framework that the bundle came from."""
        return self.bundle.manifest.source.framework

    @property
    def name(self) -> str:
        """``source/artifact/runtime/device/backend``."""
        return f"{self.source}/{self.artifact}/{self.runtime}/{self.device}/{self.backend}"


def cells(
    bundle: Bundle,
    devices: Sequence[str] = (),
    formats: Sequence[str] = (),
    runtimes: Sequence[str] = (),
    browser: bool = False,
) -> list[Cell]:
    """Every cell of a bundle that was asked for; nothing asked means all, on the CPU and on the GPUs that are here.

    ``devices`` are ``cpu``, ``cuda[:i]`` or ``gpu[:i]``; the last two both mean a GPU to every runtime that has
    one. Runtimes in a browser are there with ``browser``, beside those that are named, or by name; they try all their devices,
    as a browser has a GPU or plays one. A backend that takes no dynamic batch gets the artifact of a fixed one, every other
    the plain one. Raises UsageError for a device, format or runtime that nothing in the bundle has, and for a ``browser`` in
    which nothing of it runs.
    """
    artifacts = bundle.manifest.artifacts
    held = list(dict.fromkeys(artifact.format for artifact in artifacts))
    fitting = {name for format in held if not formats or format in formats for name in for_format(format)}
    for kind, asked, known in (("format", formats, held), ("runtime", runtimes, sorted(fitting))):
        for name in asked:
            if name not in known:
                have = ", ".join(known) or "none"
                why = next((f": {f.message}" for f in bundle.manifest.failures if f.format == name), "")
                raise UsageError(f"{bundle.folder} has no {kind} {name!r}{why}; what it has: {have}.")
    inside = {name for name in fitting if runtime(name).IN_BROWSER}
    if browser and not inside:
        raise UsageError(
            f"{', '.join(formats or held) or 'nothing'} of {bundle.folder} runs in no browser; what does is "
            f"{', '.join(browser_formats())}. Ask for one of these too, or leave --browser out."
        )
    named = set(runtimes) or fitting - inside
    chosen = named if named & inside or not browser else named | inside
    here = ("cpu", "gpu") if gpus() else ("cpu",)
    found = [
        Cell(bundle, bundle.folder, artifact.name, name, device, backend)
        for artifact in artifacts
        if not formats or artifact.format in formats
        for name in for_format(artifact.format)
        if name in chosen
        for device, backend in _places(runtime(name), devices, here)
        if artifact
        is given(runtime(name), backend, [one for one in artifacts if one.format == artifact.format])
    ]
    if not found:
        raise UsageError(
            f"nothing in {bundle.folder} runs on {', '.join(devices or here)}; it holds "
            f"{', '.join(held) or 'no artifact'}."
        )
    return found


def _places(adapter: Runtime, asked: Sequence[str], here: Sequence[str]) -> list[tuple[str, str]]:
    """Each device by the runtime's own word and each backend on it: those ``asked`` for, else those that are ``here``."""
    wanted = asked or (adapter.DEVICES if adapter.IN_BROWSER else here)
    own = dict.fromkeys(_own_device(device, adapter.DEVICES) for device in wanted)
    return [
        (device, backend) for device in own for backend in adapter.DEVICES.get(device.partition(":")[0], ())
    ]


def _own_device(device: str, known: Iterable[str]) -> str:
    """The runtime's own word for a GPU: frameworks call it cuda or gpu."""
    kind, colon, index = device.partition(":")
    if kind in ("cuda", "gpu"):
        kind = next((name for name in known if name in ("cuda", "gpu")), kind)
    return f"{kind}{colon}{index}"


def environment(runtime: str, device: str, precision: str = "float32") -> dict[str, str | None]:
    """What a child of this runtime is told.

    GPUs have the numbers that the driver gives them, and multiply in TF32 only where that is asked for: TensorRT has no
    switch of its own for it.
    """
    backend = {"KERAS_BACKEND": "tensorflow"} if runtime == "keras" else {}
    if device == "cpu":
        return {"CUDA_VISIBLE_DEVICES": "-1", **backend}
    tf32 = None if precision == "tf32" else "0"
    return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "NVIDIA_TF32_OVERRIDE": tf32, **backend}


class Live:
    """A session that runs in its child: in ``worker`` when one is given that this kind of session ran in before.

    ``first`` are inputs in the artifact's own layout for a first run, timed as part of its opening. Every method may raise a FwexportError.
    """

    def __init__(
        self,
        cell: Cell,
        threads: int | None = None,
        timeout_s: float = TIMEOUT_S,
        worker: Worker | None = None,
        precision: str = "float32",
        first: dict[str, Array] | None = None,
    ) -> None:
        self.cell = cell
        self.first_s: float | None = None
        self._opened: Opened | None = None
        self._error: FwexportError | None = None
        self.worker = worker or Worker(environment(cell.runtime, cell.device, precision), timeout_s=timeout_s)
        lacks = lacks_batch(cell.bundle.manifest, cell.described, runtime(cell.runtime), cell.backend)
        if lacks is not None:
            self._error = UnavailableError(lacks)
            return
        options = SessionOptions(cell.backend, threads, precision)
        path = cell.bundle.path(cell.described)
        self.worker.start(session_child.open_session, cell.runtime, path, cell.device, options, first)

    @property
    def opened(self) -> Opened:
        """What opening gave; waits for it the first time, and raises its error every time."""
        if self._error is not None:
            raise self._error
        if self._opened is None:
            try:
                self._opened = self.worker.finish(session_child.open_session)
            except FwexportError as error:
                self._error = error
                raise
        return self._opened


class Pool:
    """The live sessions of a run. Leaving it ends them all.

    One bundle follows another with ``next_bundle``: the libraries that a child has imported serve the next cell of its kind.
    """

    def __init__(self, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._live: dict[Cell, Live] = {}
        self._idle: dict[tuple[str, str, str], Worker] = {}
        self._one_thread: Worker | None = None

    def session(self, cell: Cell) -> Live:
        """The session of this cell, started on the first call. It may still be loading."""
        if cell not in self._live:
            self._live[cell] = Live(cell, None, self._timeout_s, self._idle.pop(_kind(cell), None))
        return self._live[cell]

    def next_bundle(self) -> None:
        """Close the sessions, and keep the children that still answer."""
        while self._live:
            cell, live = self._live.popitem()
            try:
                with contextlib.suppress(FwexportError):
                    _ = live.opened  # a cell that nobody asked may still be loading
                live.worker.call(session_child.close_sessions)
            except FwexportError:
                live.worker.close()
            else:
                if self._idle.setdefault(_kind(cell), live.worker) is not live.worker:
                    live.worker.close()

    def one_thread(self, cell: Cell) -> Worker:
        """A child in which this cell can be opened once more, on one thread.

        It is the cell's own where each session has its threads; the cells of other runtimes share one, in turn.
        """
        if runtime(cell.runtime).THREADS == "session":
            return self.session(cell).worker
        if self._one_thread is None or not self._one_thread.alive:
            self._one_thread = Worker(
                {"CUDA_VISIBLE_DEVICES": "-1", "KERAS_BACKEND": "tensorflow"}, timeout_s=self._timeout_s
            )
        return self._one_thread

    def end(self, cell: Cell) -> None:
        """End the cell's session, if there is one; it is opened again when it is asked for."""
        live = self._live.pop(cell, None)
        if live is not None:
            live.worker.close()

    def adopt(self, cell: Cell, worker: Worker) -> Live:
        """The session of this cell in a child that has its runtime already; the pool ends it."""
        worker.timeout_s = self._timeout_s
        self._live[cell] = Live(cell, None, self._timeout_s, worker)
        return self._live[cell]

    def close(self) -> None:
        """End every child."""
        if self._one_thread is not None:
            self._one_thread.close()
            self._one_thread = None
        while self._live:
            self._live.popitem()[1].worker.close()
        while self._idle:
            self._idle.popitem()[1].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()


def _kind(cell: Cell) -> tuple[str, str, str]:
    """Cells of one kind may follow each other in a child: it has their library and their environment."""
    return cell.runtime, cell.device, cell.backend
