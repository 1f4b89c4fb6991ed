"""Options that several commands share."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

_DEVICE = re.compile(r"(cpu|cuda(:\d+)?|gpu(:\d+)?)")


def _devices(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    for device in value:
        if not _DEVICE.fullmatch(device):
            raise click.BadParameter(f"{device!r} is not cpu, cuda[:i] or gpu[:i].")
    return value


def _training_device(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", value):
        raise click.BadParameter(f"{value!r} is not auto, cpu or cuda[:i].")
    return value


def together(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator, in their order."""

    def apply(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return apply


training = together(
    click.option(
        "--data",
        default="digits",
        show_default=True,
        help="digits, idx:DIR, npz:FILE, folder:DIR, mnist or fashion-mnist.",
    ),
    click.option(
        "--device",
        default="auto",
        show_default=True,
        callback=_training_device,
        help="Where to train: auto, cpu or cuda[:i].",
    ),
    click.option(
        "--epochs",
        default=5,
        show_default=True,
        type=click.IntRange(1),
        help="Passes over the training data.",
    ),
    click.option(
        "--batch-size",
        default=32,
        show_default=True,
        type=click.IntRange(1),
        help="Samples in a training step.",
    ),
    click.option(
        "--seed",
        default=0,
        show_default=True,
        type=click.IntRange(0),
        help="Same seed, same machine, same weights.",
    ),
    click.option("--amp", is_flag=True, help="Train in mixed precision (bfloat16)."),
)

formats = click.option(
    "--format",
    "formats",
    multiple=True,
    metavar="FORMAT",
    help="Only this format; repeat for more. `fwexport list` names them.",
)
cells = together(
    click.argument("folder", type=click.Path(path_type=Path), metavar="BUNDLE"),
    click.option(
        "--device",
        "devices",
        multiple=True,
        callback=_devices,
        help="Only on cpu, cuda[:i] or gpu[:i]; repeat for more.  [default: all that are here]",
    ),
    formats,
    click.option(
        "--runtime", "runtimes", multiple=True, metavar="NAME", help="Only in this runtime; repeat for more."
    ),
    click.option(
        "-o",
        "--output",
        "out",
        type=click.Path(path_type=Path),
        help="Write the results here.  [default: into the bundle]",
    ),
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print the rows as JSON on standard output.")
