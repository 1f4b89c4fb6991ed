"""TF.js graph models in a browser: WebAssembly, plain JavaScript (``js``), WebGL and WebGPU.

On a GPU, TF.js itself does some operations on small tensors in JavaScript, shapes above all; its proof says below which
size. A model of which nothing came to the GPU is refused there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from runtimes.base import Array, Feeds, Inspection, SessionOptions
from runtimes.browser import engines
from runtimes.browser.session import BrowserSession
from runtimes.frameworks import tfjs_model

FORMATS = ("tfjs",)
DEVICES = {"cpu": ("wasm", "js"), "gpu": ("webgl", "webgpu")}
PRECISIONS = ("float32",)
THREADS: Literal["session", "process"] = "session"
IN_BROWSER = True
FIXED_BATCH: tuple[str, ...] = ()

TITLE = "TF.js"
MODULE = "tfjs.mjs"
# Each backend's name in TF.js.
_BACKENDS = {"wasm": "wasm", "js": "cpu", "webgl": "webgl", "webgpu": "webgpu"}
_PACKAGES = tuple(
    f"@tensorflow/tfjs-{part}"
    for part in ("core", "converter", *(f"backend-{name}" for name in _BACKENDS.values()))
)
# 0.4 MB each, of which a page fetches one: with threads where it is isolated, and without SIMD in an old browser.
_WASM = ("tfjs-backend-wasm-threaded-simd", "tfjs-backend-wasm-simd", "tfjs-backend-wasm")


def packages(backend: str) -> tuple[str, ...]:
    """The files below node_modules that a page may fetch for this backend."""
    parts = ("core", "converter", f"backend-{_BACKENDS[backend]}")
    scripts = tuple(f"@tensorflow/tfjs-{part}/dist/tf-{part}.es2017.min.js" for part in parts)
    binaries = tuple(f"@tensorflow/tfjs-backend-wasm/wasm-out/{name}.wasm" for name in _WASM)
    return scripts + (binaries if backend == "wasm" else ())


def check(device: str) -> str | None:
    """None, or what is missing. Whether the browser has WebGL or WebGPU is known only by asking it."""
    del device
    return engines.check(*_PACKAGES)


def versions() -> dict[str, str]:
    """The browser's and TF.js's."""
    return engines.versions(*_PACKAGES)


def inspect(path: Path) -> Inspection:
    """The signature, the operators and the metadata of ``model.json``; its shards must be there, whole."""
    return tfjs_model.inspect(path)


def load(path: Path, device: str, options: SessionOptions) -> BrowserSession:
    """The model in a page of its own."""
    backend = engines.backend_of(TITLE, DEVICES, device, options)
    engine = engines.Engine(TITLE, MODULE, backend, packages(backend))
    found, shards = tfjs_model.read(path)
    files = {name: path / name for name in (tfjs_model.MODEL, *shards)}
    return BrowserSession(engine, path, files, device, options, found)


def trace(path: Path, device: str, options: SessionOptions, feeds: Feeds) -> dict[str, Array]:
    """The first output of every node of the graph that computes, by the node's name."""
    opened = load(path, device, options)
    try:
        return opened.trace(feeds)
    finally:
        opened.close()
