"""``fwexport verify``."""

from __future__ import annotations

from pathlib import Path

import click

from exporter import options


@click.command("verify")
@options.cells
@click.option(
    "--explain",
    is_flag=True,
    help="Say of each mismatch at which layer it begins, and why. Opens the source in its own framework.",
)
@options.ci_files
@options.as_json
def command(
    folder: Path,
    devices: tuple[str, ...],
    formats: tuple[str, ...],
    runtimes: tuple[str, ...],
    out: Path | None,
    explain: bool,
    junit: Path | None,
    markdown: Path | None,
    as_json: bool,
) -> int:
    """Does every artifact of BUNDLE predict what its source predicts, in the runtimes that are here?

    BUNDLE is a bundle, or a folder of bundles. An artifact passes when it differs from the source's float64
    predictions by no more than the source's own rounding noise allows.
    """
    from exporter.console import Steps, print_json, print_verify
    from exporter.explain.stage import explain_saved
    from runtimes.agreement import agreement
    from runtimes.bundle import find_bundles
    from runtimes.pool import Pool
    from runtimes.report.suite import Suite, make_folders, write_files
    from runtimes.rows import VerifyRow, asked_for, exit_code, joined
    from runtimes.verify import VerifyOptions, verify

    make_folders(junit, markdown)
    rows: list[VerifyRow] = []
    suites: list[Suite] = []
    with Steps() as steps, steps.stage("verify") as stage:
        for bundle in find_bundles(folder):
            place = out and (out / bundle.folder.name if bundle.folder != folder else out)
            with Pool() as pool:
                chosen = VerifyOptions(devices, formats, runtimes, place)
                found = verify(
                    bundle.folder,
                    chosen,
                    pool,
                    lambda row: stage.step(f"{row.source}/{row.artifact} in {row.runtime}: {row.outcome}"),
                )
                if explain:
                    found = explain_saved(bundle, found, place or bundle.folder, pool)
            rows += found.rows
            suites.append(
                Suite(bundle.folder.resolve().name, found, lambda row: asked_for(row, devices, runtimes))
            )
        if out is None:
            agreement(folder)
    write_files(suites, junit, markdown)
    print_json(joined([suite.result for suite in suites])) if as_json else print_verify(rows)
    return exit_code(rows, devices, runtimes)
