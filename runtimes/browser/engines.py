"""The JavaScript libraries of adapters in a browser: what they need, their versions, files and backends."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runtimes.base import SessionOptions
from runtimes.browser import find
from runtimes.errors import UnavailableError
from runtimes.frameworks import node


@dataclass(frozen=True)
class Engine:
    """A backend of a library: ``module`` of ``runtimes/web/`` drives it, ``packages`` are the files below node_modules that
    it may fetch. ``fixed_batch`` is whether it takes no dynamic batch.
    """

    title: str
    module: str
    backend: str
    packages: tuple[str, ...]
    fixed_batch: bool = False


def check(*packages: str) -> str | None:
    """None when a browser and these npm packages are here, else what is missing and how to get it."""
    return find.check() or node.check_packages(*packages)


def versions(*packages: str) -> dict[str, str]:
    """The browser's, by its name, and those of the npm packages."""
    browser = find.find_browser()
    return {**({browser.name: browser.version} if browser else {}), **node.package_versions(*packages)}


def modules(*names: str) -> tuple[str, ...]:
    """Files of ``runtimes/web/`` and the modules that they import from there, by their paths below it."""
    found = list(names)
    for each in found:
        text = (node.SCRIPTS / each).read_text() if each.endswith(".mjs") else ""
        imported = re.findall(r"^import .* from '(\.{1,2}/[\w./]+\.mjs)';$", text, re.MULTILINE)
        paths = [posixpath.normpath(posixpath.join(posixpath.dirname(each), other)) for other in imported]
        found += [path for path in paths if path not in found]
    return tuple(found)


def backend_of(title: str, devices: Mapping[str, Sequence[str]], device: str, options: SessionOptions) -> str:
    """The backend that was asked for, or the device's first. Raises UnavailableError where it is not one of this device."""
    backends = devices.get(device, ())
    backend = options.backend or next(iter(backends), "")
    if backend not in backends:
        have = ", ".join(f"{name} on {kind}" for kind, names in devices.items() for name in names)
        raise UnavailableError(f"{title} has {have}, and no {backend or 'backend'} on {device}.")
    return backend
