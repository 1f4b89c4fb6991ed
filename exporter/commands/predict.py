"""``fwexport predict``."""

from __future__ import annotations

from pathlib import Path

import click

from exporter import options


@click.command("predict")
@click.argument("folder", type=click.Path(path_type=Path), metavar="BUNDLE")
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--runtime",
    "runtimes",
    multiple=True,
    metavar="NAME",
    help="In this runtime; repeat to compare several.  [default: the first that is here]",
)
@options.formats
@options.device
@click.option("--top", default=5, show_default=True, type=click.IntRange(1), help="How many classes to show.")
@options.as_json
def command(
    folder: Path,
    files: tuple[Path, ...],
    runtimes: tuple[str, ...],
    formats: tuple[str, ...],
    device: str,
    top: int,
    as_json: bool,
) -> int:
    """What does the model of BUNDLE see in each FILE? Images are preprocessed and classes named as the bundle says.

    A FILE is an image of any size, or .npy or .npz arrays as the model takes them. BUNDLE may be a folder of bundles.
    """
    from exporter.console import print_predictions, warn
    from runtimes.bundle import find_bundles
    from runtimes.pool import Pool
    from runtimes.predict import PredictOptions, doubts, predict

    chosen = PredictOptions(runtimes, formats, device, top)
    found = []
    with Pool() as pool:
        for bundle in find_bundles(folder):
            made = predict(bundle.folder, files, chosen, pool)
            warn(doubts(bundle, made))
            found += made
    print_predictions(found, as_json)
    return 0
