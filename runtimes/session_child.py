"""What runs inside the child process of one session: open an artifact and run it. One child, one session at a time."""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from runtimes.base import Array, Inspection, Session, SessionOptions, lacks_precision, runtime
from runtimes.batches import run_in_batches
from runtimes.bundle import TensorSpec
from runtimes.errors import UnavailableError
from runtimes.process import peak_rss_bytes, reset_peak_rss


@dataclass(frozen=True)
class Opened:
    """A session just opened: its tensors as the file has them, its proof, and what opening took, in seconds and bytes.

    ``import_s`` is the runtime's own library, where it computes: in a browser what a page takes to fetch, compile and start
    it, without the browser. ``first_s`` is the first run, where inputs for it were given. ``baseline_rss_bytes`` is the memory of the process that
    computes, once the runtime's library was imported; ``loaded_rss_bytes`` the most that it then held until the
    artifact was loaded. ``emulated`` and ``downloaded_bytes`` are the session's.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    device_proof: str
    threads: int
    import_s: float
    load_s: float
    versions: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    first_s: float | None = None
    baseline_rss_bytes: int = 0
    loaded_rss_bytes: int = 0
    emulated: str = ""
    downloaded_bytes: int | None = None


_open: list[Session] = []


def check(name: str, device: str) -> str | None:
    """The adapter's check, in a process that may import its framework."""
    return runtime(name).check(device)


def inspect(name: str, path: Path) -> Inspection:
    """The adapter's inspection."""
    return runtime(name).inspect(path)


def open_session(
    name: str, path: Path, device: str, options: SessionOptions, first: dict[str, Array] | None = None
) -> Opened:
    """Load the artifact, after the adapter's own check, run it on ``first``, and only then prove where it computes.

    Raises UnavailableError or NotAModelError.
    """
    adapter = runtime(name)
    lacks = lacks_precision(adapter, device, options.precision)
    if lacks:
        raise UnavailableError(f"{name} computes in {lacks}")
    begin = time.perf_counter()
    reason = adapter.check(device)  # which imports the library, for a GPU
    if reason:
        raise UnavailableError(reason)
    found = adapter.versions()
    imported = time.perf_counter()
    reset_peak_rss()  # what was held only to import is no part of what the artifact adds
    baseline = peak_rss_bytes()
    begin_load = time.perf_counter()
    opened = adapter.load(path, device, options)
    loaded = time.perf_counter()
    elsewhere = opened.library_s
    loaded_rss = peak_rss_bytes(*opened.pids)
    _open.append(opened)
    first_s = None if first is None else first_run(first)
    return Opened(
        opened.inputs,
        opened.outputs,
        opened.prove(),
        opened.threads,
        imported - begin if elsewhere is None else elsewhere,  # then nothing was imported here
        loaded - begin_load - (elsewhere or 0.0) if opened.load_s is None else opened.load_s,
        found,
        dict(opened.metadata),
        dict(opened.settings),
        first_s,
        opened.library_rss_bytes or baseline,
        loaded_rss,
        opened.emulated,
        opened.downloaded_bytes,
    )


def session() -> Session:
    """The session that is open in this process."""
    return _open[-1]


def close_sessions() -> None:
    """Let go of every session that is open in this process."""
    while _open:
        _open.pop().close()
    gc.collect()  # a model is a web of cycles


def first_run(feeds: dict[str, Array]) -> float:
    """Seconds of one run: after ``open_session``, the first that the person's data would see."""
    return float(_open[-1].sample_from_host([feeds], 0.0, 1, 1)[0]) / 1e9


def run(feeds: dict[str, Array], batches: list[int]) -> dict[str, Array]:
    """Outputs for all samples, cut into batches of the given sizes in turn."""
    total = len(next(iter(feeds.values())))
    parts, at, turn = [], 0, 0
    while at < total:
        size = batches[turn % len(batches)]
        parts.append(_open[-1].run({name: array[at : at + size] for name, array in feeds.items()}))
        at, turn = at + size, turn + 1
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def trace(
    name: str, path: Path, device: str, options: SessionOptions, feeds: dict[str, Array], batch: int | None
) -> dict[str, Array]:
    """Every tensor that the artifact computes for these samples, run all at once or ``batch`` at a time.

    Raises UnavailableError where the runtime does not show what it computes inside.
    """
    run = getattr(runtime(name), "trace", None)
    if run is None:
        raise UnavailableError(f"{name} does not show what it computes inside")
    total = len(next(iter(feeds.values())))
    size = batch or total
    parts = [
        run(path, device, options, {key: array[at : at + size] for key, array in feeds.items()})
        for at in range(0, total, size)
    ]
    if len(parts) == 1:
        return dict(parts[0])
    return {
        key: np.concatenate([part[key] for part in parts])
        for key, array in parts[0].items()
        if array.ndim and all(part[key].shape[1:] == array.shape[1:] for part in parts)
    }


def run_beside(
    name: str, path: Path, device: str, options: SessionOptions, feeds: dict[str, Array], batch: int
) -> dict[str, Array]:
    """Outputs for all samples, by a session with options of its own that is closed again."""
    session = runtime(name).load(path, device, options)
    try:
        return run_in_batches(session, feeds, batch)
    finally:
        session.close()
        del session
        gc.collect()  # a model is a web of cycles, and this child may open many
