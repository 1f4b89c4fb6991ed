"""Which rows are the fastest, as far as their intervals can tell, and which artifact is the smallest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from runtimes.measuring.latency import Latency
from runtimes.report import units
from runtimes.report.inputs import Inputs
from runtimes.report.measured import Measured

LISTED = 3


def fastest(rows: Sequence[Measured]) -> str:
    """For each device the fastest row that passed, at the smallest and the largest batch size that most rows have.

    Where the figures of several overlap none of them is called the fastest, and none whose device software played.
    """
    passed = [one for one in rows if one.felt and one.outcome == "passed" and one.row.verdict == "passed"]
    able = [one for one in passed if not one.row.emulated]
    return "; ".join(_fastest(able)) or "no timed row has passed, so none is the fastest"


def _fastest(rows: Sequence[Measured]) -> Iterator[str]:
    devices = list(dict.fromkeys(one.row.device for one in rows))
    for device in devices:
        here = [one for one in rows if one.row.device == device]
        rows_of = Counter(one.row.batch for one in here)
        sizes = sorted(batch for batch, count in rows_of.items() if 2 * count > max(rows_of.values()))
        for batch in dict.fromkeys((sizes[0], sizes[-1])):
            on = f" on {device}" if len(devices) > 1 else ""
            yield f"at batch {batch}{on} {_first([one for one in here if one.row.batch == batch])}"


def smallest(inputs: Inputs) -> str:
    """The smallest artifact that passed in some runtime."""
    passed = {
        (bundle.label, row.artifact)
        for bundle in inputs.bundles
        for row in (bundle.verify.rows if bundle.verify else ())
        if bundle.outcome(row) == "passed"
    }
    sizes = [
        (artifact.size_bytes, f"{bundle.label}/{artifact.name}")
        for bundle in inputs.bundles
        for artifact in bundle.manifest.artifacts
        if (bundle.label, artifact.name) in passed
    ]
    if not sizes:
        return "no artifact has passed, so none is called the smallest"
    n_bytes, name = min(sizes)
    return f"{units.code(name)} ({units.size(n_bytes)})"


def _first(rows: Sequence[Measured]) -> str:
    """The fastest of these rows, or those that may be, with their figures."""
    best, *others = within_noise(rows)
    latency = best.felt
    assert latency is not None
    if not others:
        width = units.half_width(latency.p50_s, latency.p50_interval)
        doubt = f", {', '.join(latency.flags)}" if latency.flags else ""
        return f"{units.code(best.name)} (p50 {units.milliseconds(latency.p50_s)} ms{width and ' '}{width}{doubt})"
    names = [units.code(one.name) for one in (best, *others)]
    if len(names) > LISTED:
        names = [*names[: LISTED - 1], f"{len(names) - LISTED + 1} more"]
    slowest = max(one.felt.p50_s for one in others if one.felt)
    span = " to ".join(dict.fromkeys(map(units.milliseconds, (latency.p50_s, slowest))))
    return f"{units.join(names)}, within noise (p50 {span} ms)"


def within_noise(rows: Sequence[Measured]) -> list[Measured]:
    """The row of the smallest p50, and after it those whose p50 may be as small, ascending."""
    timed = [(one, one.felt) for one in rows if one.felt]
    timed.sort(key=lambda pair: pair[1].p50_s)
    limit = reach(timed[0][1])[1]
    return [one for one, latency in timed if reach(latency)[0] <= limit]


def reach(latency: Latency) -> tuple[float, float]:
    """Where the p50 of another run may lie, in seconds; without an interval, where those of its own rounds lie."""
    if latency.p50_interval:
        return latency.p50_interval
    found = [latency.p50_s, *(p50 for process in latency.rounds_p50_s for p50 in process)]
    return min(found), max(found)
