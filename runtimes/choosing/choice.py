"""Which artifact to deploy: every row of bench against a person's requirements, and the Pareto front. Pure.

A figure is judged by the worse end of its 95 % interval, so that the next run gives the same answer. Shares of samples
are judged as they were counted: the same samples give the same count again. Only a row whose verdict passed can be
recommended, and none whose device was played by software.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from runtimes import emulation
from runtimes.choosing.requirements import METRICS, Figure, Requirement
from runtimes.measuring.percentiles import why_missing
from runtimes.rows import BenchRow, Check, Choice, Judged, VerifyRow, bench_name

TIMES = ("p50_ms", "p90_ms", "p99_ms", "mean_ms")
SHARES = ("accuracy", "top1")
PERCENTILES = {"p90_ms": 0.9, "p99_ms": 0.99}

# What a row has on each axis; None where it does not have it.
Figures = Mapping[str, Figure | None]


def choose(
    rows: Sequence[BenchRow], verified: Sequence[VerifyRow], requirements: Sequence[Requirement]
) -> Choice:
    """Every row judged, the Pareto front, and the row to deploy."""
    verdicts = [verdict_on(row, verified) for row in rows]
    axes = axes_of(requirements, zip(rows, verdicts, strict=True))
    figures = [
        {axis: METRICS[axis].read(row, verdict) for axis in axes}
        for row, verdict in zip(rows, verdicts, strict=True)
    ]
    judged = tuple(judge(row, found, requirements) for row, found in zip(rows, figures, strict=True))
    sound = [i for i, row in enumerate(rows) if row.outcome == row.verdict == "passed" and not row.emulated]
    front = [
        i
        for i in sound
        if not any(_dominates(figures[j], figures[i]) for j in sound if rows[j].batch == rows[i].batch)
    ]
    best = _best({i: figures[i] for i in front if judged[i].meets}, requirements)
    return Choice(
        tuple(map(str, requirements)),
        judged,
        axes,
        tuple(judged[i].name for i in front),
        None if best is None else judged[best].name,
    )


def verdict_on(row: BenchRow, verified: Sequence[VerifyRow]) -> VerifyRow | None:
    """The verdict on the same file in the same runtime, on the same device."""

    def key(one: BenchRow | VerifyRow) -> tuple[str, ...]:
        return (one.artifact_sha256, one.runtime, one.device, one.backend)

    return next((one for one in verified if key(one) == key(row)), None)


def axes_of(
    requirements: Sequence[Requirement], rows: Iterable[tuple[BenchRow, VerifyRow | None]]
) -> tuple[str, ...]:
    """What the Pareto front is over: all that is required, and always a time, the size, and what share is right."""
    named = [one.metric for one in requirements]
    time = [] if set(named) & set(TIMES) else ["p50_ms"]
    pairs = list(rows)
    shares = [name for name in SHARES if any(METRICS[name].read(*pair) for pair in pairs)]
    return tuple(dict.fromkeys([*named, *time, "size_mb", *shares[:1]]))


def judge(row: BenchRow, figures: Figures, requirements: Sequence[Requirement]) -> Judged:
    """One row against all requirements."""
    checks = tuple(check(one, figures[one.metric]) for one in requirements)
    reasons = []
    if row.outcome != "passed":
        reasons.append(f"it is {row.outcome}" + (f": {row.reason}" if row.reason else ""))
    else:
        reasons += [
            _in_words(one.metric, found, row) for one, found in zip(requirements, checks, strict=True)
        ]
        if row.emulated:
            reasons.append(f"{row.emulated} played its {row.device}: {emulation.TIMES}")
        if row.verdict != "passed":
            reasons.append(f"its verdict is {row.verdict!r}: run `fwexport verify`")
    reason = "; ".join(filter(None, reasons))
    values = {axis: found.value for axis, found in figures.items() if found}
    return Judged(bench_name(row), not reason, reason, checks, values)


def check(requirement: Requirement, figure: Figure | None) -> Check:
    """One requirement on one figure."""
    if figure is None:
        return Check(str(requirement), "unknown")
    worse = figure.value
    if figure.interval:
        worse = figure.interval[1 if METRICS[requirement.metric].less_is_better else 0]
    outcome: Literal["met", "within noise", "missed"] = "missed"
    if requirement.allows(figure.value):
        outcome = "met" if requirement.allows(worse) else "within noise"
    sign = 1 if METRICS[requirement.metric].less_is_better else -1
    margin = sign * (requirement.limit - worse) / requirement.limit if requirement.limit else None
    return Check(str(requirement), outcome, figure.value, figure.interval, margin)


def _in_words(metric: str, found: Check, row: BenchRow) -> str:
    """Why a check is not met; empty when it is."""
    limit = found.requirement.removeprefix(metric)
    match found.outcome:
        case "met":
            return ""
        case "unknown" if metric in SHARES:
            return f"{metric} is not known: this file has no verdict here with labelled or held-out samples"
        case "unknown" if metric in PERCENTILES and row.compute:
            why = why_missing(row.compute.n, PERCENTILES[metric])
            return f"{metric} is not known: {why}; measure longer (--time full)"
        case "unknown":
            return f"{metric} is not known"
        case "within noise":
            low, high = found.interval or (found.value, found.value)
            return f"{metric} {found.value:.4g} is {limit} only within noise ({low:.4g} to {high:.4g})"
        case _:
            return f"{metric} is {found.value:.4g}, not {limit}"


def _best(rows: Mapping[int, Figures], requirements: Sequence[Requirement]) -> int | None:
    """The best row by the first requirement; of those that its noise does not tell apart, by the next, and so on."""
    left = list(rows)
    for one in requirements:
        costs = {i: _cost(one.metric, rows[i][one.metric]) for i in left}
        _, limit = min(costs.values(), key=sum, default=(0, 0))
        left = [i for i in left if costs[i][0] <= limit]
    names = [one.metric for one in requirements]
    return min(left, default=None, key=lambda i: [sum(_cost(name, rows[i][name])) for name in names])


def _dominates(one: Figures, other: Figures) -> bool:
    """Whether ``one`` is nowhere worse and somewhere better, by the worse ends."""
    pairs = [(_cost(axis, one[axis])[1], _cost(axis, other[axis])[1]) for axis in one]
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def _cost(metric: str, figure: Figure | None) -> tuple[float, float]:
    """The interval of a figure, turned so that less is better; one that is not known is the worst."""
    if figure is None:
        return math.inf, math.inf
    low, high = figure.interval or (figure.value, figure.value)
    return (low, high) if METRICS[metric].less_is_better else (-high, -low)
