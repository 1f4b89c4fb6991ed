"""The notices that go with the npm packages of a site: which, whose, under which licence, and its text."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from runtimes.errors import UsageError
from runtimes.frameworks.node import modules_folder

TEXTS = Path(__file__).parent / "licenses"


def package_of(file: str) -> str:
    """The npm package of a file below node_modules."""
    words = file.split("/")
    return "/".join(words[:2] if file.startswith("@") else words[:1])


def notices(files: Iterable[str]) -> str:
    """The text that is shipped beside these files of packages.

    The packages are published without their licence files, so its text comes from here. Raises UsageError for a licence
    that has none: its package cannot be passed on.
    """
    lines, licenses = [], set()
    for name in sorted({package_of(file) for file in files}):
        described = json.loads((modules_folder() / name / "package.json").read_text())
        license = str(described.get("license", "unknown"))
        if not (TEXTS / f"{license}.txt").exists():
            raise UsageError(
                f"{name} has the licence {license!r}, whose text fwexport does not have: it cannot be passed on."
            )
        repository = described.get("repository", "")
        where = repository["url"] if isinstance(repository, dict) else repository
        lines.append(f"{name} {described['version']}, {license}, {where}")
        licenses.add(license)
    texts = [
        f"{'=' * 80}\n{license}\n\n{(TEXTS / f'{license}.txt').read_text()}" for license in sorted(licenses)
    ]
    head = "This site contains these packages as their authors published them on npmjs.com:\n"
    return "\n".join([head, *lines, "", *texts])
