"""What the command line says of a source, as a ``Given``."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exporter import describe, preprocess_option
from exporter.source_kind import Given, OutputKind
from runtimes.errors import UsageError


@dataclass(frozen=True)
class SourceOptions:
    """The options of ``exporter.options.source``, as typed."""

    weights: Path | None = None
    arguments: dict[str, Any] | None = None
    inputs: tuple[str, ...] = ()
    layout: str = ""
    dtype: str = ""
    fixed_batch: int | None = None
    output_kind: OutputKind | None = None
    labels: str | None = None
    preprocess: str | None = None
    samples: str | None = None
    signature: str = ""
    name: str | None = None
    allow_extra_keys: bool = False
    allow_pickle: bool = False


def given(source: str, options: SourceOptions) -> Given:
    """Raises UsageError for what cannot be read."""
    return Given(
        source=source,
        name=options.name or model_name(source),
        weights=options.weights,
        arguments=options.arguments or {},
        inputs=tuple(
            describe.parse_input(text, options.layout, options.dtype, options.fixed_batch)
            for text in options.inputs
        ),
        layout=options.layout,
        fixed_batch=options.fixed_batch,
        labels=read_labels(Path(options.labels)) if options.labels else (),
        preprocessing=preprocess_option.parse(options.preprocess) if options.preprocess else None,
        output_kind=options.output_kind or "",
        signature=options.signature,
        allow_pickle=options.allow_pickle,
        allow_extra_keys=options.allow_extra_keys,
    )


def model_name(source: str) -> str:
    """A name in letters, digits and underscores: of the class or function, else of the file."""
    name = source.rpartition(":")[2] if ":" in source else Path(source).resolve().stem
    return re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") or "model"


def read_labels(path: Path) -> tuple[str, ...]:
    """The names of the classes, in order: a line each, a JSON list, or a JSON object from index to name.

    Raises UsageError when the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix == ".json" else text.splitlines()
        if isinstance(content, dict):
            content = [content[str(index)] for index in range(len(content))]
        labels = tuple(str(label).strip() for label in content)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"--labels {path} cannot be read: {error}. Give one name a line, or JSON.") from None
    while labels and not labels[-1]:
        labels = labels[:-1]
    if not labels:
        raise UsageError(f"--labels {path} names no class.")
    return labels
