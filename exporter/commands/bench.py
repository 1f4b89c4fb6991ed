"""``fwexport bench``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from exporter import measure_options, on_target, options

if TYPE_CHECKING:
    from exporter.console import Stage
    from runtimes.bench import BenchOptions
    from runtimes.choosing.requirements import Requirement
    from runtimes.remote.connection import Target
    from runtimes.rows import BenchResult, BenchRow, VerifyRow


@click.command("bench", cls=on_target.Command)
@options.cells
@measure_options.rows
@click.option(
    "--sweep",
    is_flag=True,
    help="Batches of 1, 2, 4 and so on, until twice as many gain less than 5 % throughput.",
)
@measure_options.how(processes=1)
@click.option("--strict", is_flag=True, help="End with exit code 3 when the timing of a row was not stable.")
@click.option(
    "--require",
    "required",
    multiple=True,
    metavar="'p90_ms<5,...'",
    help="Judge each row by limits, and name the one to deploy; exit 1 when none keeps them all. Metrics: p50_ms p90_ms "
    "p99_ms mean_ms per_s load_ms first_ms cold_ms size_mb peak_mb added_mb gpu_mb accuracy top1.",
)
@on_target.options
@options.as_json
def command(
    folder: Path,
    out: Path | None,
    strict: bool,
    required: tuple[str, ...],
    target: Target | None,
    remote_command: str | None,
    as_json: bool,
    **chosen: Any,
) -> int:
    """How fast does every artifact of BUNDLE run, here?

    BUNDLE is a bundle, or a folder of bundles. Import, loading, the first run, warm-up and steady state are timed apart,
    in processes of their own that take turns in random order.

    With --require a figure is judged by the worse end of its 95 % interval. Of the rows that keep all limits, that one is
    recommended which is best in the first limit's metric, then in the next; its verdict must have passed.
    """
    from exporter.console import Steps, print_json
    from exporter.console_bench import print_bench
    from exporter.console_choice import print_choice
    from runtimes.choosing.choice import choose
    from runtimes.choosing.requirements import parse
    from runtimes.exit_codes import exit_code
    from runtimes.merging import joined
    from runtimes.rows import BenchResult

    requirements = parse(required)
    asked = measure_options.bench_options(**chosen)
    results: dict[Path, BenchResult] = {}
    verdicts: list[VerifyRow] = []
    with Steps() as steps, steps.stage("bench") as stage:
        for measured, place, result in (
            on_target.results(target, folder, out, BenchResult, steps)
            if target
            else _bundles(folder, out, asked, stage)
        ):
            results[measured] = result
            if requirements:
                verdicts += _judge(measured, place, result, requirements)
    found = joined(_told_apart(results))
    if requirements:
        found = replace(found, choice=choose(found.rows, verdicts, requirements))
    if as_json:
        print_json(found)
    else:
        print_bench(found.rows, found.every_doubt)
        if found.choice:
            print_choice(found.choice, found.rows)
    code = exit_code(found.rows, asked.devices, asked.runtimes, asked.browser)
    unfit = found.choice is not None and found.choice.recommended is None
    if unfit and code != 5:
        return 1
    return code or (3 if strict and any(row.stable is False for row in found.rows) else 0)


def _bundles(
    folder: Path, out: Path | None, chosen: BenchOptions, stage: Stage
) -> Iterator[tuple[Path, Path, BenchResult]]:
    """Each bundle in ``folder``, where its results are written, and its results."""
    from exporter.browser_note import left_out
    from runtimes.bench import bench_together
    from runtimes.bundle import find_bundles

    bundles = find_bundles(folder)
    if note := left_out(bundles, chosen.formats, chosen.runtimes, chosen.browser):
        stage.say(note)
    folders = [bundle.folder for bundle in bundles]
    places = {each: each if out is None else out if each == folder else out / each.name for each in folders}
    found = bench_together(places, chosen, lambda row: stage.step(_name(row)), stage.describe)
    for each, result in found.items():
        yield each, places[each], result


def _told_apart(results: Mapping[Path, BenchResult]) -> list[BenchResult]:
    """The results; where two bundles are of one source, their folders' names stand for it."""
    sources = [row.source for result in results.values() for row in result.rows[:1]]
    if len(set(sources)) == len(sources):
        return list(results.values())
    return [
        replace(result, rows=tuple(replace(row, source=folder.name) for row in result.rows))
        for folder, result in results.items()
    ]


def _judge(
    folder: Path, place: Path, result: BenchResult, requirements: Sequence[Requirement]
) -> list[VerifyRow]:
    """Add the choice among these rows to the bundle's bench.json; give the verdicts that it went by."""
    from runtimes.choosing.choice import choose
    from runtimes.merging import rows_before
    from runtimes.rows import BENCH, VERIFY, load_bench, load_verify, save

    here = result.machine
    rows = rows_before(place / VERIFY, load_verify, here) or rows_before(folder / VERIFY, load_verify, here)
    saved = load_bench(place / BENCH) or result
    save(place / BENCH, replace(saved, choice=choose(result.rows, rows, requirements)))
    return rows


def _name(row: BenchRow) -> str:
    return f"{row.source}/{row.artifact} in {row.runtime} ({row.backend}), batch {row.batch}"
