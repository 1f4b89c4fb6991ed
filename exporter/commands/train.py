"""``fwexport train``."""

from __future__ import annotations

from pathlib import Path

import click

from exporter import options


@click.command("train")
@click.option(
    "--framework",
    type=click.Choice(["torch", "keras"]),
    default="torch",
    show_default=True,
    help="What to train in.",
)
@options.training
@click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(path_type=Path),
    required=True,
    help="The source folder to write.",
)
def command(framework: str, data: str, out: Path, **training: object) -> int:
    """Train the shipped CNN and write a source folder: weights, source.json, history.json, heldout.npz."""
    import msgspec

    from exporter.console import Steps
    from exporter.train import train
    from exporter.training.options import TrainOptions

    with Steps() as steps, steps.stage(f"train {framework}") as stage:
        history = train(out, framework, data, msgspec.convert(training, TrainOptions), stage.on_event)
    click.echo(
        f"{out}: held-out accuracy {history.final_accuracy:.4f}, {history.samples_per_s:,.0f} samples/s on {history.device}"
    )
    return 0
