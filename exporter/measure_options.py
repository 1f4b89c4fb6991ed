"""The options of what is measured and how, which ``bench`` and ``compare`` share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from exporter.options import F, numbers, spelled, together, typed

if TYPE_CHECKING:
    from runtimes.bench import BenchOptions

rows = together(
    click.option(
        "--batch",
        "batches",
        multiple=True,
        callback=numbers,
        metavar="N[,N]",
        help="Samples per run; repeat for more.  [default: 1,32; 1 where software plays the GPU]",
    ),
    click.option(
        "--threads",
        multiple=True,
        callback=numbers,
        metavar="N[,N]",
        help="Threads of the runtime; repeat for more.  [default: every core allowed]",
    ),
    click.option(
        "--precision",
        "precisions",
        multiple=True,
        metavar="NAME",
        help="What the runtime computes in; repeat for more.  [default: float32]",
    ),
)


def how(processes: int) -> Callable[[F], F]:
    """How long, and spread over how many processes where nothing is said of it."""
    return together(
        click.option(
            "--time",
            type=click.Choice(["quick", "default", "full"]),
            default="default",
            show_default=True,
            help="1, 10 or 60 s of steady state per row.",
        ),
        click.option(
            "--rounds",
            type=click.IntRange(1),
            help="Visits of each process to each row, in which its time is spent.  [default: 10; 5 with --time quick]",
        ),
        click.option(
            "--processes",
            type=click.IntRange(1),
            default=processes,
            show_default=True,
            help="Times that every runtime is started afresh; the time is spread over them.",
        ),
    )


def check_measured(instead: str) -> None:
    """Raise UsageError for an option of how to measure, where nothing is measured but what ``instead`` says."""
    from runtimes.errors import UsageError

    idle = sorted(typed() & _HOW)
    if idle:
        raise UsageError(f"{', '.join(idle)}: nothing is measured, {instead}. Two bundles are measured.")


def bench_options(rounds: int | None, **chosen: Any) -> BenchOptions:
    """What the options stand for; ``chosen`` are fields of BenchOptions."""
    from runtimes.bench import BenchOptions

    return BenchOptions(rounds=rounds or 0, **chosen)


_HOW = spelled(how(1)) | {"-o"}
