"""TF Lite in LiteRT.js, in a browser: XNNPACK in WebAssembly, and the GPU by WebGPU, whole or not at all."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Literal

from runtimes.base import Inspection, Session, SessionOptions
from runtimes.browser import engines
from runtimes.browser.session import BrowserSession
from runtimes.errors import UnavailableError
from runtimes.frameworks import tflite_file

FORMATS = ("tflite",)
DEVICES = {"cpu": ("wasm",), "gpu": ("webgpu",)}
PRECISIONS = ("float32",)
THREADS: Literal["session", "process"] = "session"
IN_BROWSER = True
FIXED_BATCH = ("wasm", "webgpu")

TITLE = "LiteRT.js"
MODULE = "litert.mjs"
_PACKAGES = ("@litertjs/core", "@litertjs/wasm-utils")
# 9 MB each, of which a page fetches one. With threads it must be isolated, and compat is for browsers without relaxed SIMD.
_BUILDS = {"wasm": ("_threaded", "", "_compat"), "webgpu": ("", "_compat")}


def packages(backend: str) -> tuple[str, ...]:
    """The files below node_modules that a page may fetch for this backend."""
    builds = [f"@litertjs/core/wasm/litert_wasm{build}_internal" for build in _BUILDS[backend]]
    return (
        "@litertjs/core/dist/index.js",
        "@litertjs/wasm-utils/dist/index.js",
        *(f"{build}.{kind}" for build in builds for kind in ("js", "wasm")),
    )


def check(device: str) -> str | None:
    """None, or what is missing. Whether the browser has WebGPU is known only by asking it."""
    del device
    return engines.check(*_PACKAGES)


def versions() -> dict[str, str]:
    """The browser's and LiteRT.js's."""
    return engines.versions(*_PACKAGES[:1])


def inspect(path: Path) -> Inspection:
    """As LiteRT in Python reads it: LiteRT.js tells nothing of a model that it does not run."""
    if importlib.util.find_spec("ai_edge_litert") is None:
        raise UnavailableError("LiteRT reads the file and is missing: pip install 'fwexport[litert]'")
    from runtimes.adapters import litert

    return litert.inspect(path)


def load(path: Path, device: str, options: SessionOptions) -> Session:
    """The model in a page of its own."""
    backend = engines.backend_of(TITLE, DEVICES, device, options)
    engine = engines.Engine(TITLE, MODULE, backend, packages(backend), backend in FIXED_BATCH)
    return BrowserSession(
        engine, path, {path.name: path}, device, options, metadata=tflite_file.metadata(path)
    )
