"""Two bundles measured now, in the same rounds: what ``compare`` judges best, as both have had the same machine."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from runtimes import machine
from runtimes.bench import BenchOptions, cases, plan, row, save_times
from runtimes.bundle import Bundle, find_bundles
from runtimes.files import make_folder
from runtimes.measuring.measure import OnStep, measure
from runtimes.measuring.times import TIMES
from runtimes.merging import rows_before
from runtimes.rows import BENCH, SCHEMA, VERIFY, BenchResult, load_verify, save

SIDES = ("old", "new")


def measure_sides(
    old: Path, new: Path, options: BenchOptions, on_step: OnStep | None = None
) -> dict[str, tuple[BenchResult, BenchResult]]:
    """By the name of each bundle, "" where each side is one: both results. Bundles match by the names of their folders.

    One pair of bundles is measured after another. Raises UsageError for what neither bundle has.
    """
    before, now = _by_name(old), _by_name(new)
    if len(before) == len(now) == 1:
        before, now = {"": next(iter(before.values()))}, {"": next(iter(now.values()))}
    return {
        name: _measure_pair(name, (before.get(name), now.get(name)), options, on_step)
        for name in {**before, **now}
    }


def _by_name(folder: Path) -> dict[str, Bundle]:
    return {bundle.folder.resolve().name: bundle for bundle in find_bundles(folder)}


def _measure_pair(
    name: str, sides: tuple[Bundle | None, Bundle | None], options: BenchOptions, on_step: OnStep | None
) -> tuple[BenchResult, BenchResult]:
    """Both results; that of a bundle which is not there has no rows. Written to ``options.out``/SIDE/NAME, where it is."""
    state = machine.describe()
    created = datetime.now(UTC).isoformat(timespec="seconds")
    named = dict(zip(SIDES, sides, strict=True))
    chosen = [
        replace(case, side=side)
        for side, bundle in named.items()
        if bundle
        for case in cases(bundle, options)
    ]
    measured, doubts = measure(chosen, plan(options), on_step=on_step)
    results = []
    for side, bundle in named.items():
        verdicts = rows_before(bundle.folder / VERIFY, load_verify, state) if bundle else []
        done = [(item, row(item, verdicts)) for item in measured if item.case.side == side]
        rows = tuple(each for _, each in done)
        results.append(BenchResult(SCHEMA, created, state, options.time, rows, doubts=doubts))
        if options.out and bundle:
            place = make_folder(options.out / side / name)
            save(place / BENCH, results[-1])
            save_times(place / TIMES, done)
    before, now = results
    return before, now
