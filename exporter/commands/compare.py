"""``fwexport compare``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from exporter import measure_options, options


def _share(ctx: click.Context, param: click.Parameter, value: str) -> float:
    """``5%`` or ``0.05``."""
    try:
        share = float(value.removesuffix("%")) / (100 if value.endswith("%") else 1)
    except ValueError:
        share = math.nan
    if not 0 <= share < math.inf or (share >= 1 and not value.endswith("%")):
        raise click.BadParameter(f"{value!r} is no share of a time, such as 5% or 0.05.")
    return share


@click.command("compare")
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@options.which
@measure_options.rows
@measure_options.how(processes=5)
@click.option(
    "--threshold",
    default="5%",
    show_default=True,
    metavar="SHARE",
    callback=_share,
    help="What a row may lose. A change as large as this is found half the time; give less than what must be found.",
)
@click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(path_type=Path),
    help="Keep what is measured here: old/ and new/, each with bench.json and the raw times.",
)
@click.option("--across-machines", is_flag=True, help="Judge times of two machines too.")
@click.option("--strict", is_flag=True, help="End with exit code 3 when the noise leaves a row unclear.")
@click.option(
    "--markdown",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write the rows as Markdown, for a comment on a pull request.",
)
@options.as_json
def command(
    old: Path,
    new: Path,
    threshold: float,
    across_machines: bool,
    strict: bool,
    markdown: Path | None,
    as_json: bool,
    **bench: Any,
) -> int:
    """Is NEW slower than OLD? A gate for a CI: exit code 1 when a row is, or cannot be measured any more.

    Two bundles are measured now, in the same rounds, which tells the smallest changes apart. Of files that
    `fwexport bench` wrote (bench.json), or one of them and a bundle, the times in them are compared.

    A row is slower when its median is, beyond the threshold and beyond the noise that its rounds show. It is unclear when
    the noise leaves that open, or another machine measured it; exit code 3 when all are.
    """
    from exporter.console import Steps, print_json
    from exporter.console_compare import print_compare
    from runtimes.compare import CompareOptions, compare, holds_bundles
    from runtimes.comparing.compare_rows import exit_code
    from runtimes.files import make_folder, write_atomically
    from runtimes.report.compared import render

    if not (holds_bundles(old) and holds_bundles(new)):
        measure_options.check_measured(f"the times in {old} and {new} are read")
    if markdown is not None:
        make_folder(markdown.parent)
    chosen = CompareOptions(measure_options.bench_options(**bench), threshold, across_machines)
    with Steps() as steps, steps.stage("compare") as stage:
        found = compare(old, new, chosen, stage.describe)
    if markdown is not None:
        write_atomically(markdown, render(found))
    print_json(found) if as_json else print_compare(found)
    return exit_code(found.rows, strict, bench["devices"], bench["runtimes"], bench["browser"])
