"""Of many samples, those whose two best classes the source can hardly tell apart: where an export changes a class first.

Runs in a child of the source's own framework, a part of the samples at a time.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from exporter import real_samples
from exporter.source_folder import open_source
from runtimes.base import Array
from runtimes.batches import run_in_batches
from runtimes.machine import cores_allowed
from runtimes.reference import Variant
from runtimes.verdict.parity import margins
from runtimes.verdict.tally import Kept

# How long the search may take: the whole of a build takes a minute or two.
SECONDS = 30.0
BATCH = 64


@dataclass(frozen=True)
class Closest:
    """The inputs, by name (k, ...), of the smallest margins among the first ``seen`` samples."""

    inputs: dict[str, Array]
    seen: int


def closest(folder: Path, chosen: str, seconds: float = SECONDS) -> Closest:
    """Run the source on what ``chosen`` names (see ``real_samples``), in float32, for so many seconds at most."""
    source = open_source(folder)
    session = source.loader.open_session(folder, Variant(threads=cores_allowed()))
    first = source.model.outputs[0].name
    kept, seen, end = Kept(), 0, time.monotonic() + seconds
    for part in real_samples.opened(chosen, source.model).chunks():
        scores = run_in_batches(session, part.inputs, BATCH)[first]
        kept.offer(-margins(scores), part.inputs, part.labels)
        seen += len(part.labels)
        if time.monotonic() > end:
            break
    return Closest(kept.inputs, seen)
