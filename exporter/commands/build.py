"""``fwexport build``: every stage, one after another."""

from __future__ import annotations

from pathlib import Path

import click

from exporter import options


@click.command("build")
@click.argument("source", type=click.Path(path_type=Path), required=False)
@click.option(
    "--framework",
    type=click.Choice(["torch", "keras", "both"]),
    default="both",
    show_default=True,
    help="What to train the shipped CNN in.",
)
@options.training
@options.formats
@click.option("--no-bench", is_flag=True, help="Do not measure latency.")
@click.option(
    "--time",
    type=click.Choice(["quick", "default", "full"]),
    default="quick",
    show_default=True,
    help="1, 10 or 60 s of steady state per row.",
)
@click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(path_type=Path),
    default=Path("build"),
    show_default=True,
    help="Where the bundle goes; OUT/torch and OUT/keras when both are built.",
)
@options.as_json
def command(
    source: Path | None,
    framework: str,
    formats: tuple[str, ...],
    no_bench: bool,
    time: str,
    out: Path,
    as_json: bool,
    data: str,
    **training: object,
) -> int:
    """Train the shipped CNN, export it, prove that every export predicts the same, measure it, and write a report.

    With SOURCE, a folder that `fwexport train` wrote, that model is exported instead of training one.
    """
    import msgspec

    from exporter.console import Steps, print_bench, print_json, print_verify
    from exporter.main_job import Job, run
    from exporter.training.options import TrainOptions

    job = Job(
        source=source,
        frameworks=("torch", "keras") if framework == "both" else (framework,),
        data=data,
        training=msgspec.convert(training, TrainOptions),
        formats=formats,
        time=None if no_bench else time,
        out=out,
    )
    with Steps() as steps:
        done = run(job, steps)
    if as_json:
        print_json(
            done.verified,
            bench=msgspec.to_builtins(done.measured),
            failures=msgspec.to_builtins(done.failures),
        )
    else:
        print_verify(done.verified)
        if done.measured:
            print_bench(done.measured)
        for failure in done.failures:
            click.echo(f"no {failure.format}: {failure.edge}: {failure.message}")
        click.echo(f"report: {done.report}")
    steps.say("seconds: " + ", ".join(f"{name} {seconds:.1f}" for name, seconds in steps.seconds.items()))
    return done.exit_code
