"""What a run leaves out when no browser is asked for, where one is here."""

from __future__ import annotations

from collections.abc import Sequence

from runtimes.base import browser_runtimes
from runtimes.browser.find import find_browser
from runtimes.bundle import Bundle


def left_out(
    bundles: Sequence[Bundle], formats: Sequence[str], runtimes: Sequence[str], browser: bool
) -> str | None:
    """A line on the runtimes that ``--browser`` would add; None where they were asked for, or ``runtimes`` were named, or
    no browser could run any of it.
    """
    if browser or runtimes:
        return None
    held = {artifact.format for bundle in bundles for artifact in bundle.manifest.artifacts}
    asked = held & set(formats) if formats else held
    able = [name for name, adapter in browser_runtimes().items() if asked & set(adapter.FORMATS)]
    found = find_browser() if able else None
    if found is None:
        return None
    return f"note: with --browser, {', '.join(able)} would run too, in {found.name} {found.version}"
