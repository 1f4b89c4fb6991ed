"""JSON Schemas of what fwexport writes and prints, ``NAME-VERSION.json`` each, as the dataclasses give them.

A version stands for a reading: fields may join it, and readers must ignore those they do not know; it goes up when a
field goes or changes its meaning. ``python -m runtimes.schemas`` writes the files again after a dataclass has changed.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import msgspec

from runtimes import bundle, golden, rows
from runtimes.comparing import compare_rows

DIALECT = "https://json-schema.org/draft/2020-12/schema"
OF: dict[str, tuple[type, int]] = {
    "verify": (rows.VerifyResult, rows.SCHEMA),
    "bench": (rows.BenchResult, rows.SCHEMA),
    "build": (rows.BuildResult, rows.SCHEMA),
    "compare": (compare_rows.CompareResult, compare_rows.SCHEMA),
    "agreement": (rows.Agreement, rows.SCHEMA),
    "manifest": (bundle.Manifest, bundle.SCHEMA),
    "golden": (golden.Golden, golden.SCHEMA),
}


def path(name: str) -> Path:
    """Where the schema of this name lies, in its present version."""
    return Path(__file__).parent / f"{name}-{OF[name][1]}.json"


def generated(name: str) -> bytes:
    """The schema as the dataclass gives it. Docstrings become descriptions."""
    kind, version = OF[name]
    schema = msgspec.json.schema(kind)
    for definition in schema["$defs"].values():
        definition["description"] = _plain(definition["description"])
    schema["$defs"][kind.__name__]["properties"]["schema"] = {"const": version}
    about = {"$schema": DIALECT, "$id": f"urn:fwexport:schema:{name}:{version}", "title": f"fwexport {name}"}
    whole: dict[str, Any] = {**about, **schema}
    return msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n"


def _plain(docstring: str) -> str:
    words = " ".join(inspect.cleandoc(docstring).replace("``", "`").split())
    return re.sub(r"\bNone\b", "null", words)
