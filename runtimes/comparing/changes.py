"""What has changed between two results of bench: rows matched, each judged. Pure.

Rows match by artifact, runtime, device, backend, threads, batch and precision; by their source too where a side has
several, since a network that moved from PyTorch to Keras is still to be compared.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from runtimes.comparing.compare_rows import Change, CompareRow, Outcome
from runtimes.comparing.comparison import decide, ratio, reason
from runtimes.errors import UsageError
from runtimes.machine import differences
from runtimes.measuring.flags import Flag
from runtimes.measuring.latency import Latency
from runtimes.rows import BenchResult, BenchRow, bench_name

# A cold start has no rounds to show its noise, and may move by so much without a reason.
COLD_CHANGE = 0.5
# In this order one of several decides for the row.
WORST_FIRST: tuple[Outcome, ...] = ("slower", "unclear", "faster", "same")

# What a row is of, and its threads.
_Key = tuple[tuple[object, ...], int]


@dataclass(frozen=True)
class Rule:
    """How changes are judged. ``threshold`` is a share of the old time; ``interleaved`` says that both sides were measured
    in the same rounds.
    """

    threshold: float = 0.05
    interleaved: bool = False
    across_machines: bool = False


def compare_results(old: BenchResult, new: BenchResult, rule: Rule, bundle: str = "") -> list[CompareRow]:
    """A row for each old one, in their order, then for each that is new.

    Raises UsageError where two rows of one side cannot be told apart.
    """
    apart = () if rule.across_machines else differences(old.machine, new.machine)
    return [compare_row(before, now, rule, apart, bundle) for before, now in matched(old.rows, new.rows)]


def matched(
    old: Sequence[BenchRow], new: Sequence[BenchRow]
) -> list[tuple[BenchRow | None, BenchRow | None]]:
    """Each old row with its new one, then the new ones that have no old one; at least one of a pair is there.

    A row that was not opened does not know how many threads its runtime takes: it is that of any number, where only one
    other is left.
    """
    by_source = any(len({row.source for row in side}) > 1 for side in (old, new))
    before, now = _by_key(old, by_source), _by_key(new, by_source)
    closed = {key: row for key, row in now.items() if key not in before and not row.versions}
    pairs: list[tuple[BenchRow | None, BenchRow | None]] = []
    for (place, threads), row in before.items():
        found = now.pop((place, threads), None)
        if found is None:
            same = [key for key in closed if key[0] == place and key in now]
            found = now.pop(same[0]) if len(same) == 1 else None
        pairs.append((row, found))
    return pairs + [(None, row) for row in now.values()]


def compare_row(
    old: BenchRow | None, new: BenchRow | None, rule: Rule, apart: Sequence[str] = (), bundle: str = ""
) -> CompareRow:
    """One row before and now, of which at least one is there. ``apart`` is what tells their machines apart."""
    either = new or old
    assert either is not None
    changes: dict[str, Any] = {}
    if old is None or new is None or old.compute is None or new.compute is None:
        outcome, reason = _without_times(old, new)
    else:
        judged = [_judge(old.compute, new.compute, rule)]
        changes["compute"] = judged[0].change
        if old.end_to_end and new.end_to_end:
            judged.append(_judge(old.end_to_end, new.end_to_end, rule))
            changes["end_to_end"] = judged[1].change
        worst = min(judged, key=lambda one: WORST_FIRST.index(one.outcome))
        outcome, reason = worst.outcome, worst.reason
        if apart:
            outcome, reason = "unclear", f"measured on two machines: {'; '.join(apart)}"
        limits = {"cold_s": max(COLD_CHANGE, rule.threshold)}
        for name, read in _MORE.items():
            changes[name] = _change(read(old), read(new), limits.get(name, rule.threshold))
    emulated = next((row.emulated for row in (new, old) if row and row.emulated), "")
    if emulated:
        ended = "" if "compute" in changes else ": ".join(filter(None, (outcome, reason)))
        outcome, reason = "emulated", ended
    return CompareRow(
        bundle,
        old.source if old else "",
        new.source if new else "",
        either.artifact,
        either.runtime,
        either.device,
        either.backend,
        either.threads,
        either.batch,
        either.precision,
        outcome,
        reason,
        **changes,
        old_flags=_flags(old),
        new_flags=_flags(new),
        notes=tuple(_notes(old, new)) if old and new else (),
        emulated=emulated,
    )


def _by_key(rows: Sequence[BenchRow], by_source: bool) -> dict[_Key, BenchRow]:
    found: dict[_Key, BenchRow] = {}
    for row in rows:
        source = row.source if by_source else ""
        place = (source, row.artifact, row.runtime, row.device, row.backend, row.batch, row.precision)
        if (place, row.threads) in found:
            raise UsageError(
                f"two rows are {bench_name(row)}: they come from different bundles. Compare these one by one."
            )
        found[place, row.threads] = row
    return found


def _without_times(old: BenchRow | None, new: BenchRow | None) -> tuple[Outcome, str]:
    """What becomes of a row that was not measured on both sides."""
    was, ended = old is not None and old.compute is not None, ""
    if new is not None and new.compute is None:
        ended = f"{new.outcome}: {new.reason}" if new.reason else str(new.outcome)
    if not was:
        absent = new is not None and new.outcome == "unavailable"
        return ("unavailable" if absent else "skipped", ended) if ended or new is None else ("new", "")
    if new is None:
        return "missing", "the new side does not have it"
    return ("missing" if new.outcome == "unavailable" else "failed"), ended


@dataclass(frozen=True)
class _Judged:
    outcome: Outcome
    reason: str
    change: Change | None


def _judge(old: Latency, new: Latency, rule: Rule) -> _Judged:
    if min(old.p50_s, new.p50_s) <= 0:
        return _Judged("unclear", "a time that is not above 0 s has no ratio: bench again", None)
    plain = Change(old.p50_s, new.p50_s, new.p50_s / old.p50_s)
    if not all(side.rounds_p50_s and all(side.rounds_p50_s) for side in (old, new)):
        return _Judged("unclear", "its rounds were not kept: bench again", plain)
    shapes = [[len(process) for process in side.rounds_p50_s] for side in (old, new)]
    found = ratio(old.rounds_p50_s, new.rounds_p50_s, paired=rule.interleaved and shapes[0] == shapes[1])
    outcome = decide(found, rule.threshold)
    why = reason(found, rule.threshold) if outcome == "unclear" else ""
    interval = found.interval if math.isfinite(found.interval[1]) else None
    change = replace(plain, ratio=found.value, interval=interval, changed=outcome in ("slower", "faster"))
    return _Judged(outcome, why, change)


def _change(old: float | None, new: float | None, limit: float) -> Change | None:
    if not old or not new:
        return None
    return Change(old, new, new / old, changed=not 1 / (1 + limit) <= new / old <= 1 + limit)


_MORE: Mapping[str, Callable[[BenchRow], float | None]] = {
    "cold_s": lambda row: row.cold_s,
    "peak_rss_bytes": lambda row: row.peak_rss_bytes,
    "size_bytes": lambda row: row.size_bytes,
}


def _flags(row: BenchRow | None) -> tuple[Flag, ...]:
    timed = (row.compute, row.end_to_end) if row else ()
    return tuple(dict.fromkeys(flag for latency in timed if latency for flag in latency.flags))


def _notes(old: BenchRow, new: BenchRow) -> Iterator[str]:
    if new.verdict not in ("passed", old.verdict):
        yield f"the verdict on the new file is {new.verdict!r}, on the old {old.verdict!r}"
    if new.emulated != old.emulated:
        yield f"the {new.device} was played by {old.emulated or 'none'} -> {new.emulated or 'none'}"
    for what, before, now in (("", old.versions, new.versions), ("setting ", old.settings, new.settings)):
        for key in sorted(before.keys() | now.keys()):
            if before.get(key) != now.get(key):
                yield f"{what}{key} {before.get(key, 'none')} -> {now.get(key, 'none')}"
