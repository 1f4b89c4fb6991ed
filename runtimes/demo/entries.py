"""Which runtimes a demo has: those that run in a browser, each on its backends, or why one is not there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, cast

from runtimes.base import Runtime, browser_runtimes
from runtimes.batches import fixed_batch
from runtimes.bundle import Bundle
from runtimes.demo.description import Entry
from runtimes.demo.licenses import package_of
from runtimes.errors import UnavailableError, UsageError
from runtimes.files import size_of
from runtimes.frameworks import node
from runtimes.variants import given, lacks_batch


class WebRuntime(Runtime, Protocol):
    """A runtime in a browser: its ``TITLE`` for people, the ``MODULE`` of ``runtimes/web/`` that is its engine."""

    @property
    def TITLE(self) -> str: ...  # noqa: N802
    @property
    def MODULE(self) -> str: ...  # noqa: N802

    def packages(self, backend: str) -> tuple[str, ...]:
        """The files below node_modules that this backend needs."""


def web_runtimes() -> dict[str, WebRuntime]:
    """The adapters that run in a browser, by name."""
    return {name: cast(WebRuntime, adapter) for name, adapter in browser_runtimes().items()}


def entries(bundle: Bundle, backends: Sequence[str] = ()) -> list[Entry]:
    """Every web runtime on each of its backends that are asked for, in the runtimes' own order.

    Raises UsageError for a backend that none has, UnavailableError when npm packages are missing.
    """
    places = [
        (name, adapter, backend)
        for name, adapter in web_runtimes().items()
        for own in adapter.DEVICES.values()
        for backend in own
    ]
    known = list(dict.fromkeys(backend for _, _, backend in places))
    unknown = [backend for backend in backends if backend not in known]
    if unknown:
        raise UsageError(
            f"no runtime in a browser has a backend {unknown[0]!r}; there are {', '.join(known)}."
        )
    return [
        _entry(bundle, name, adapter, backend)
        for name, adapter, backend in places
        if not backends or backend in backends
    ]


def _entry(bundle: Bundle, name: str, adapter: WebRuntime, backend: str) -> Entry:
    entry = Entry(name, adapter.TITLE, backend)
    artifact = given(
        adapter, backend, [one for one in bundle.manifest.artifacts if one.format in adapter.FORMATS]
    )
    if artifact is None:
        (format,) = adapter.FORMATS
        failed = [failure.message for failure in bundle.manifest.failures if failure.format == format]
        why = failed[0] if failed else f"build it with --format {format} --browser."
        return replace(entry, reason=f"There is no {format} in this bundle: {why}")
    batch = fixed_batch(artifact.inputs)
    if batch not in (None, 1):
        return replace(
            entry, reason=f"{artifact.path} takes {batch} images at a time, and the page shows one."
        )
    if lacks := lacks_batch(bundle.manifest, artifact, adapter, backend):
        return replace(entry, reason=lacks)
    path = bundle.path(artifact)
    packages = _check_packages(adapter.packages(backend))
    return replace(
        entry,
        version=node.package_version(package_of(packages[0])) or "",
        module=adapter.MODULE,
        url=f"models/{artifact.path}/model.json" if path.is_dir() else f"models/{artifact.path}",
        packages="packages/",
        bytes=artifact.size_bytes + downloaded(packages),
        inputs=artifact.inputs,
        outputs=artifact.outputs,
    )


def downloaded(packages: Sequence[str]) -> int:
    """Bytes that a page fetches of these files: of several builds in WebAssembly one, here the largest."""
    sizes = {file: size_of(node.modules_folder() / file) for file in packages}
    builds = [size for file, size in sizes.items() if file.endswith(".wasm")]
    return sum(sizes.values()) - sum(builds) + max(builds, default=0)


def _check_packages(files: tuple[str, ...]) -> tuple[str, ...]:
    """The files themselves. Raises UnavailableError when some are not here."""
    reason = node.check_packages(*dict.fromkeys(map(package_of, files)))
    if reason is not None:
        raise UnavailableError(reason)
    return files
