"""What bench has written before, found and read: for ``compare``, which is given files by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from runtimes.errors import UsageError
from runtimes.rows import BENCH, SCHEMA, BenchResult


def read_bench(path: Path) -> dict[str, BenchResult]:
    """The result in this file, or that of each bundle in this folder by its name, "" where there is one.

    Raises UsageError, with what to run, where there is none that can be read.
    """
    if path.is_file():
        return {"": _read(path)}
    if (path / BENCH).is_file():
        return {"": _read(path / BENCH)}
    found = sorted(path.glob(f"*/{BENCH}"))
    if found:
        return {file.parent.name: _read(file) for file in found}
    if path.is_dir():
        raise UsageError(f"{path} has no {BENCH}: run `fwexport bench {path}`.")
    raise UsageError(f"{path} does not exist. `fwexport bench BUNDLE` writes BUNDLE/{BENCH}.")


def _read(path: Path) -> BenchResult:
    raw = path.read_bytes()
    try:
        schema = msgspec.json.decode(raw, type=dict[str, Any]).get("schema")
        if schema == SCHEMA:
            return msgspec.json.decode(raw, type=BenchResult)
    except msgspec.DecodeError as error:
        raise UsageError(
            f"{path} is no {BENCH}, or damaged ({error}). `fwexport bench BUNDLE` writes one."
        ) from None
    raise UsageError(
        f"{path} has schema {schema}; this fwexport compares schema {SCHEMA}. Run `fwexport bench` again with one version."
    )
