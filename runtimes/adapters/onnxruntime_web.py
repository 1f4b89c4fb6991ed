"""ONNX in ONNX Runtime Web, in a browser: WebAssembly, WebGL and WebGPU, one at a time and never another."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from runtimes.base import Inspection, Session, SessionOptions
from runtimes.browser import engines
from runtimes.browser.session import BrowserSession
from runtimes.frameworks import onnx_file

FORMATS = ("onnx",)
DEVICES = {"cpu": ("wasm",), "gpu": ("webgl", "webgpu")}
PRECISIONS = ("float32",)
THREADS: Literal["session", "process"] = "session"
IN_BROWSER = True
FIXED_BATCH = ("webgl",)

TITLE = "ONNX Runtime Web"
MODULE = "onnxruntime.mjs"
_PACKAGES = ("onnxruntime-web",)
# The WebAssembly is 14 MB, and 27 MB with WebGPU in it.
_BUILDS = {
    "wasm": ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"),
    "webgl": ("ort.webgl.min.mjs",),
    "webgpu": (
        "ort.webgpu.min.mjs",
        "ort-wasm-simd-threaded.asyncify.mjs",
        "ort-wasm-simd-threaded.asyncify.wasm",
    ),
}


def packages(backend: str) -> tuple[str, ...]:
    """The files below node_modules that a page fetches for this backend."""
    return tuple(f"onnxruntime-web/dist/{name}" for name in _BUILDS[backend])


def check(device: str) -> str | None:
    """None, or what is missing. Whether the browser has WebGL or WebGPU is known only by asking it."""
    del device
    return engines.check(*_PACKAGES)


def versions() -> dict[str, str]:
    """The browser's and ONNX Runtime Web's."""
    return engines.versions(*_PACKAGES)


def inspect(path: Path) -> Inspection:
    """Tensors, operators and metadata, as they stand in the file."""
    return onnx_file.inspect(path)


def load(path: Path, device: str, options: SessionOptions) -> Session:
    """The model in a page of its own. ONNX Runtime Web tells no metadata, and on WebGL no shapes: the file does."""
    backend = engines.backend_of(TITLE, DEVICES, device, options)
    engine = engines.Engine(TITLE, MODULE, backend, packages(backend), backend in FIXED_BATCH)
    files = {path.name: path, **onnx_file.beside(path)}
    return BrowserSession(engine, path, files, device, options, onnx_file.inspect(path))
