"""``fwexport build``: every stage, one after another."""

from __future__ import annotations

from pathlib import Path

import click

from exporter import options


@click.command("build", cls=options.BuildCommand)
@click.argument("source", required=False)
@click.option(
    "--framework",
    type=click.Choice(["torch", "keras", "both"]),
    default="both",
    show_default=True,
    help="What to train the shipped CNN in.",
)
@options.source
@options.training
@options.formats
@click.option(
    "--browser",
    is_flag=True,
    help="Also for browsers: their files of one batch size, and every row in the browser that is here.",
)
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
    source: str | None,
    framework: str,
    formats: tuple[str, ...],
    browser: bool,
    no_bench: bool,
    time: str,
    out: Path,
    as_json: bool,
    data: str,
    **more: object,
) -> int:
    """Export a model, prove that every export predicts the same, measure it, and write a report.

    SOURCE is your model: PyTorch code (file.py:Name or package.module:name), TorchScript, .pt2, .keras, .h5, a
    SavedModel, .onnx, a Hugging Face folder, or a folder that `fwexport train` wrote. Without SOURCE, the shipped
    CNN is trained first, in PyTorch and in Keras.
    """
    import msgspec

    from exporter.console import Steps, print_failures, print_json, print_verify
    from exporter.console_bench import print_bench
    from exporter.given import SourceOptions, given
    from exporter.main_job import Job, run
    from exporter.training.options import TrainOptions
    from runtimes.rows import SCHEMA, BuildResult

    options.check_pertinent(source)
    about = msgspec.convert(more, SourceOptions)
    job = Job(
        given=given(source, about) if source else None,
        samples=about.samples,
        frameworks=("torch", "keras") if framework == "both" else (framework,),
        data=data,
        training=msgspec.convert(more, TrainOptions),
        formats=formats,
        browser=browser,
        time=None if no_bench else time,
        out=out,
    )
    with Steps() as steps:
        done = run(job, steps)
    if as_json:
        print_json(BuildResult(SCHEMA, done.verified, done.measured, done.failures))
    else:
        print_verify(done.verified)
        if done.measured:
            print_bench(done.measured, done.doubts)
        print_failures([failure for failure in done.failures if not failure.is_unreachable])
        click.echo(f"report: {done.report}")
    steps.say("seconds: " + ", ".join(f"{name} {seconds:.1f}" for name, seconds in steps.seconds.items()))
    return done.exit_code
