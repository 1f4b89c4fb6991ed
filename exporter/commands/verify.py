"""``fwexport verify``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from exporter import on_target, options

if TYPE_CHECKING:
    from exporter.console import Stage
    from runtimes.remote.connection import Target
    from runtimes.rows import VerifyResult, VerifyRow


@click.command("verify", cls=on_target.Command)
@options.cells
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--explain",
    is_flag=True,
    help="Say of each mismatch at which layer it begins, and why. Opens the source in its own framework.",
)
@options.pair
@on_target.options
@options.ci_files
@options.as_json
def command(
    folder: Path,
    file: Path | None,
    devices: tuple[str, ...],
    formats: tuple[str, ...],
    runtimes: tuple[str, ...],
    browser: bool,
    out: Path | None,
    explain: bool,
    target: Target | None,
    remote_command: str | None,
    junit: Path | None,
    markdown: Path | None,
    as_json: bool,
    **pair: Any,
) -> int:
    """Does every artifact of BUNDLE predict what its source predicts, in the runtimes that are here?

    BUNDLE is a bundle, or a folder of bundles. An artifact passes when it differs from the source's float64
    predictions by no more than the source's own rounding noise allows.

    With FILE, that file alone is judged, whoever made it: by the source of BUNDLE, or by any other model file in
    BUNDLE's place (`fwexport verify A B`). A quantised FILE is judged by its top-1 agreement on real samples, else by
    its SQNR. Nothing is written then, unless -o says where.
    """
    from exporter.console import Steps, print_json, print_notes, print_verify
    from runtimes.exit_codes import exit_code, missed
    from runtimes.merging import joined
    from runtimes.report.suite import Suite, make_folders, write_files
    from runtimes.rows import VerifyResult

    make_folders(junit, markdown)
    with Steps() as steps, steps.stage("verify") as stage:
        if target is not None:
            on_target.refuse(file, explain)
            options.check_one_path()
            there = on_target.results(target, folder, out, VerifyResult, steps)
            found = {bundle.resolve().name: result for bundle, _, result in there}
        elif file is None:
            options.check_one_path()
            found = _bundles(folder, devices, formats, runtimes, browser, out, explain, stage)
        else:
            if formats:
                raise click.UsageError(f"--format chooses artifacts of a bundle; {file} is one file.")
            found = {file.name: _file(folder, file, devices, runtimes, browser, out, explain, stage, pair)}
    whole = joined(list(found.values()))
    lacking = missed(whole.rows, devices, runtimes, browser)
    suites = [Suite(name, result, lacking.__contains__) for name, result in found.items()]
    write_files(suites, junit, markdown)
    if as_json:
        print_json(whole)
    else:
        print_verify(whole.rows)
        print_notes(whole.notes if file else ())
    return exit_code(whole.rows, devices, runtimes, browser)


def _bundles(
    folder: Path,
    devices: tuple[str, ...],
    formats: tuple[str, ...],
    runtimes: tuple[str, ...],
    browser: bool,
    out: Path | None,
    explain: bool,
    stage: Stage,
) -> dict[str, VerifyResult]:
    """What came of each bundle in ``folder``, by its name; written into it, or into its place in ``out``."""
    from exporter.browser_note import left_out
    from exporter.explain.stage import explain_saved
    from runtimes.agreement import agreement
    from runtimes.bundle import find_bundles
    from runtimes.pool import Pool
    from runtimes.verify import VerifyOptions, verify

    results = {}
    bundles = find_bundles(folder)
    if note := left_out(bundles, formats, runtimes, browser):
        stage.say(note)
    with Pool() as pool:
        for bundle in bundles:
            pool.next_bundle()
            place = out and (out / bundle.folder.name if bundle.folder != folder else out)
            chosen = VerifyOptions(devices, formats, runtimes, browser, place)
            found = verify(bundle.folder, chosen, pool, lambda row: stage.step(_name(row)))
            if explain:
                found = explain_saved(bundle, found, place or bundle.folder, pool)
            results[bundle.folder.resolve().name] = found
    if out is None:
        agreement(folder)
    return results


def _file(
    a: Path,
    b: Path,
    devices: tuple[str, ...],
    runtimes: tuple[str, ...],
    browser: bool,
    out: Path | None,
    explain: bool,
    stage: Stage,
    pair: dict[str, Any],
) -> VerifyResult:
    """What came of B; written only into ``out``."""
    from exporter.converters import Converters
    from exporter.given import SourceOptions, given
    from exporter.pair import PairOptions, verify_pair
    from runtimes.files import make_folder
    from runtimes.pool import Pool
    from runtimes.rows import VERIFY, save
    from runtimes.verdict.quantized import Limits

    layouts = pair["layouts"]
    if len(layouts) > 2:
        raise click.UsageError(f"--layout is given at most twice, for {a} and then for {b}.")
    about = SourceOptions(
        inputs=pair["inputs"],
        layout=layouts[0] if len(layouts) == 2 else "",
        output_kind=pair["output_kind"],
        labels=pair["labels"],
        preprocess=pair["preprocess"],
    )
    asked = {"min_agreement": pair["min_agreement"], "min_sqnr_db": pair["min_sqnr"]}
    limits = Limits(**{name: value for name, value in asked.items() if value is not None})
    layout = layouts[-1] if layouts else ""
    chosen = PairOptions(pair["samples"], layout, devices, runtimes, browser, limits, explain)
    with Converters() as converters, Pool() as pool:
        found = verify_pair(
            given(str(a), about),
            b,
            chosen,
            converters,
            pool,
            lambda row: stage.step(_name(row)),
            lambda done, of: stage.step(f"{done:,} of {of:,} samples"),
        )
    if out is not None:
        save(make_folder(out) / VERIFY, found)
    return found


def _name(row: VerifyRow) -> str:
    return f"{row.source}/{row.artifact} in {row.runtime} ({row.backend}): {row.outcome}"
