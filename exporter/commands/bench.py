"""``fwexport bench``."""

from __future__ import annotations

from pathlib import Path

import click

from exporter import options


@click.command("bench")
@options.cells
@click.option(
    "--batch",
    "batches",
    multiple=True,
    type=click.IntRange(1),
    help="Samples per run; repeat for more.  [default: 1, 32]",
)
@click.option(
    "--threads", type=click.IntRange(1), help="Threads of the runtime.  [default: every core allowed]"
)
@click.option(
    "--time",
    type=click.Choice(["quick", "default", "full"]),
    default="default",
    show_default=True,
    help="1, 10 or 60 s of steady state per row.",
)
@options.as_json
def command(
    folder: Path,
    devices: tuple[str, ...],
    formats: tuple[str, ...],
    runtimes: tuple[str, ...],
    out: Path | None,
    batches: tuple[int, ...],
    threads: int | None,
    time: str,
    as_json: bool,
) -> int:
    """How fast does every artifact of BUNDLE run, here?

    BUNDLE is a bundle, or a folder of bundles. Loading, the first run, warm-up and steady state are timed apart.
    """
    from exporter.console import Steps, print_bench, print_json
    from runtimes.bench import BenchOptions, bench
    from runtimes.bundle import find_bundles
    from runtimes.pool import Pool
    from runtimes.rows import BenchResult, exit_code, joined

    results: list[BenchResult] = []
    with Steps() as steps, steps.stage("bench") as stage:
        for bundle in find_bundles(folder):
            place = out and (out / bundle.folder.name if bundle.folder != folder else out)
            with Pool() as pool:
                chosen = BenchOptions(devices, formats, runtimes, batches or (1, 32), threads, time, place)
                result = bench(
                    bundle.folder,
                    chosen,
                    pool,
                    lambda row: stage.step(
                        f"{row.source}/{row.artifact} in {row.runtime}, batch {row.batch}"
                    ),
                )
            results.append(result)
    found = joined(results)
    print_json(found) if as_json else print_bench(found.rows)
    return exit_code(found.rows, devices, runtimes)
