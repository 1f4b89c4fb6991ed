"""An artifact in a page of a browser, on exactly one backend of one JavaScript library."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil

from runtimes.base import Inspection, SessionOptions, zero_feeds
from runtimes.browser.engines import Engine, modules
from runtimes.browser.process import BrowserProcess
from runtimes.bundle import TensorSpec
from runtimes.errors import NotAModelError, UnavailableError
from runtimes.frameworks import node
from runtimes.frameworks.javascript import JavascriptSession
from runtimes.machine import cores_allowed
from runtimes.process import reset_peak_rss


class BrowserSession(JavascriptSession):
    """``files`` is the artifact: its files by their names in a folder, the first of which is opened, the others beside it.

    ``found`` is what they say of themselves; the library is asked for the tensors where that is left out.
    """

    process: BrowserProcess

    def __init__(
        self,
        engine: Engine,
        path: Path,
        files: Mapping[str, Path],
        device: str,
        options: SessionOptions,
        found: Inspection | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        self._device = device
        if found is not None:
            self.inputs, self.outputs, self.metadata = found.inputs, found.outputs, found.metadata
            _refuse_dynamic(engine, path, self.inputs)
        served = {f"model/{name}": file for name, file in files.items()}
        own = {name: node.SCRIPTS / name for name in modules(engine.module)}
        packages = {f"packages/{name}": node.modules_folder() / name for name in engine.packages}
        super().__init__(BrowserProcess({**own, **packages, **served}, on_gpu=device != "cpu"))
        try:
            self._start(engine, options.threads if device == "cpu" else 1)
            self._open(engine, path, list(files))
            if found is None:
                _refuse_dynamic(engine, path, self.inputs)
        except BaseException:
            self.process.close()
            raise
        self.metadata = metadata if metadata is not None else self.metadata
        self.downloaded_bytes = self.process.downloaded_bytes

    def _start(self, engine: Engine, threads: int | None) -> None:
        try:
            loaded, _ = self.process.ask(
                "load", module=engine.module, backend=engine.backend, threads=threads or cores_allowed()
            )
        except UnavailableError as error:
            raise UnavailableError(
                f"{engine.title} cannot start {engine.backend} in {self._browser}: {error}"
            ) from error
        self.threads = int(loaded["threads"])
        if threads not in (None, self.threads):
            raise UnavailableError(
                f"{threads} threads were asked for, and {engine.title} has {self.threads} on {engine.backend} in "
                f"{self._browser}. Ask for {self.threads}, or for none."
            )
        self.settings = {
            **loaded["settings"],
            "crossOriginIsolated": str(loaded["isolated"]).lower(),
            "browser": self._browser,
        }
        self.pids = self.process.pids
        self.library_s = loaded["ms"] / 1e3
        self.library_rss_bytes = sum(psutil.Process(pid).memory_info().rss for pid in self.pids)
        reset_peak_rss(*self.pids)

    def _open(self, engine: Engine, path: Path, names: list[str]) -> None:
        model, *beside = (f"model/{quote(name)}" for name in names)
        try:
            opened, _ = self.process.ask(
                "open", model=model, beside=dict(zip(names[1:], beside, strict=True))
            )
        except NotAModelError as error:
            raise NotAModelError(f"{path} is nothing that {engine.title} can load: {error}") from error
        except UnavailableError as error:
            raise UnavailableError(
                f"{engine.title}'s {engine.backend} cannot run {path.name}: {error}"
            ) from error
        self.load_s = opened["ms"] / 1e3
        if opened["inputs"] is not None:
            self.inputs, self.outputs = _specs(opened["inputs"]), _specs(opened["outputs"])

    @property
    def _browser(self) -> str:
        return f"{self.process.browser.name} {self.process.browser.version}"

    def prove(self) -> str:
        """What the library and the browser say of where they compute, and what plays it: on a GPU, once the model has run."""
        if self._device != "cpu":
            with contextlib.suppress(RuntimeError):  # zeros of the least sizes are no input for every model
                self.run(zero_feeds(self.inputs))
        described, _ = self.process.ask("prove")
        self.emulated = described["emulated"]
        return f"{described['proof']}, in {self._browser}"


def _specs(tensors: Sequence[dict[str, Any]]) -> tuple[TensorSpec, ...]:
    """The library's own reading, in which an axis of any size is negative."""
    return tuple(
        TensorSpec(one["name"], one["dtype"], tuple(None if size < 0 else size for size in one["shape"]))
        for one in tensors
    )


def _refuse_dynamic(engine: Engine, path: Path, inputs: Sequence[TensorSpec]) -> None:
    if engine.fixed_batch and any(None in spec.shape for spec in inputs):
        raise UnavailableError(
            f"{engine.title}'s {engine.backend} takes no dynamic batch, which {path.name} has. Write it for one batch size."
        )
