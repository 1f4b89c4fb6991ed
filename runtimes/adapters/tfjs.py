"""TF.js graph models in Node: the WebAssembly backend and the plain JavaScript one (``js``), on one thread."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from runtimes.base import Array, Feeds, Inspection, Session, SessionOptions
from runtimes.errors import NotAModelError, UnavailableError
from runtimes.frameworks import node, tfjs_model
from runtimes.frameworks.javascript import JavascriptSession

FORMATS = ("tfjs",)
DEVICES = {"cpu": ("wasm", "js")}
PRECISIONS = ("float32",)
THREADS: Literal["session", "process"] = "session"
IN_BROWSER = False
FIXED_BATCH: tuple[str, ...] = ()

SCRIPT = "node_session.mjs"
# Each backend's name in TF.js.
_BACKENDS = {"wasm": "wasm", "js": "cpu"}
_PACKAGES = tuple(f"@tensorflow/tfjs-{part}" for part in ("core", "converter", "backend-cpu", "backend-wasm"))


def check(device: str) -> str | None:
    """None, or what is missing."""
    del device
    return node.check(*_PACKAGES)


def versions() -> dict[str, str]:
    """Node's and TF.js's."""
    found = node.find_node()
    return {**({"node": found.version} if found else {}), **node.package_versions(*_PACKAGES)}


def inspect(path: Path) -> Inspection:
    """The signature, the operators and the metadata of ``model.json``; its shards must be there, whole."""
    return tfjs_model.inspect(path)


def load(path: Path, device: str, options: SessionOptions) -> Session:
    """The model in a Node process of its own, which has one thread and no GPU."""
    if options.threads not in (None, 1):
        raise UnavailableError(
            f"TF.js in Node computes on one thread; {options.threads} were asked for. Ask for 1, or for none."
        )
    backend = options.backend or DEVICES["cpu"][0]
    if device != "cpu" or backend not in DEVICES["cpu"]:
        raise UnavailableError(
            f"TF.js in Node has {', '.join(_BACKENDS)} on the CPU, and no {backend} on {device}."
        )
    return TfjsSession(path, backend)


def trace(path: Path, device: str, options: SessionOptions, feeds: Feeds) -> dict[str, Array]:
    """The first output of every node of the graph that computes, by the node's name."""
    session = TfjsSession(path, options.backend or DEVICES[device][0])
    try:
        return session.trace(feeds)
    finally:
        session.close()


class TfjsSession(JavascriptSession):
    """A graph model in Node."""

    def __init__(self, path: Path, backend: str) -> None:
        found = inspect(path)
        self.inputs, self.outputs, self.metadata = found.inputs, found.outputs, found.metadata
        process = node.NodeProcess(SCRIPT)
        super().__init__(process)
        try:
            opened, _ = process.ask("load", model=str(path.resolve()), backend=_BACKENDS[backend])
        except BaseException as error:
            process.close()
            if isinstance(error, NotAModelError):
                raise NotAModelError(f"{path} is no graph model that TF.js can load: {error}") from error
            raise
        self._proof, self.threads = str(opened["proof"]), 1
        self.pids = (process.pid,)
        self.library_s, self.library_rss_bytes = opened["library_ms"] / 1e3, int(opened["library_rss_bytes"])
        self.settings = {"backend": _BACKENDS[backend]}

    def prove(self) -> str:
        return self._proof
