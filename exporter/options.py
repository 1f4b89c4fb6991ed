"""Options that several commands share."""

from __future__ import annotations

import ast
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


def _device(ctx: click.Context, param: click.Parameter, value: str) -> str:
    return _devices(ctx, param, (value,))[0]


def _training_device(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", value):
        raise click.BadParameter(f"{value!r} is not auto, cpu or cuda[:i].")
    return value


def numbers(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[int, ...]:
    """Numbers from 1 on, in the order given: ``--batch 1,8 --batch 32``."""
    words = [word.strip() for text in value for word in text.split(",")]
    for word in words:
        if not word.isdecimal() or int(word) < 1:
            raise click.BadParameter(f"{word!r} is not a whole number from 1 on.")
    return tuple(dict.fromkeys(map(int, words)))


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
which = together(
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
        "--browser",
        is_flag=True,
        help="Also in a browser: Chromium, Chrome, Edge or Firefox, or the one that FWEXPORT_BROWSER names.",
    ),
)
cells = together(
    click.argument("folder", type=click.Path(path_type=Path), metavar="BUNDLE"),
    which,
    click.option(
        "-o",
        "--output",
        "out",
        type=click.Path(path_type=Path),
        help="Write the results here.  [default: into the bundle]",
    ),
)
pair = together(
    click.option(
        "--samples",
        metavar="npz:FILE|folder:DIR",
        help="Real inputs to judge B on.  [default: the bundle's, or generated ones]",
    ),
    click.option(
        "--input",
        "inputs",
        multiple=True,
        metavar="[NAME=]3x224x224",
        help="Sizes of one sample of A, without the batch, where its file does not say.",
    ),
    click.option(
        "--layout",
        "layouts",
        multiple=True,
        metavar="NCHW|NHWC",
        help="The axes of B's images, where sizes leave them open; given twice, A's and then B's.",
    ),
    click.option(
        "--output-kind",
        type=click.Choice(["logits", "probabilities", "tensor"]),
        help="What A's first output is.  [default: found by running it]",
    ),
    click.option("--labels", metavar="FILE", help="Names of A's classes, one a line or as JSON."),
    click.option(
        "--preprocess", metavar="OPS", help="From an image to A's input, as `fwexport build` takes it."
    ),
    click.option(
        "--min-agreement",
        type=click.FloatRange(0, 1, min_open=True, max_open=True),
        help="The share of real samples for which a quantised classifier must name A's class.  [default: 0.98]",
    ),
    click.option(
        "--min-sqnr",
        type=float,
        metavar="DB",
        help="The signal to noise ratio that other quantised outputs must have.  [default: 20; 40 for float16]",
    ),
)
device = click.option(
    "--device",
    default="cpu",
    show_default=True,
    callback=_device,
    metavar="DEVICE",
    help="cpu, cuda[:i] or gpu[:i].",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print the rows as JSON on standard output.")

ci_files = together(
    click.option(
        "--junit",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Also write the rows as JUnit XML, for the test view of a CI.",
    ),
    click.option(
        "--markdown",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Also write them as Markdown, for a comment on a pull request.",
    ),
)


def _argument(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> dict[str, Any]:
    """``KEY=VALUE`` as keyword arguments; a value that reads as a Python literal is one, else it is text."""
    found: dict[str, Any] = {}
    for text in value:
        key, equals, written = text.partition("=")
        if not equals or not key.isidentifier():
            raise click.BadParameter(f"{text!r} is not KEY=VALUE.")
        try:
            found[key] = ast.literal_eval(written)
        except (ValueError, SyntaxError):
            found[key] = written
    return found


source = together(
    click.option(
        "--weights",
        type=click.Path(path_type=Path),
        help="Weights for SOURCE: .pt, .pth, .safetensors, or .h5 beside a Keras JSON.",
    ),
    click.option(
        "--arg",
        "arguments",
        multiple=True,
        metavar="KEY=VALUE",
        callback=_argument,
        help="An argument of the class or factory; repeat for more.",
    ),
    click.option(
        "--input",
        "inputs",
        multiple=True,
        metavar="[NAME=]3x224x224",
        help="Sizes of one sample, without the batch; once per input. Needed where the file does not say.",
    ),
    click.option("--layout", default="", metavar="NCHW|NHWC", help="The axes of the inputs, batch first."),
    click.option("--dtype", default="", help="The type of the inputs.  [default: float32]"),
    click.option(
        "--fixed-batch",
        type=click.IntRange(1),
        help="Export for this batch alone.  [default: any batch]",
    ),
    click.option(
        "--output-kind",
        type=click.Choice(["logits", "probabilities", "tensor"]),
        help="What the first output is.  [default: found by running it]",
    ),
    click.option("--labels", metavar="FILE", help="Names of the classes, one a line or as JSON."),
    click.option(
        "--preprocess",
        metavar="OPS",
        help="From an image to the input: imagenet, a .json file, or e.g. resize=256,crop=224,scale=1/255.",
    ),
    click.option(
        "--samples", metavar="npz:FILE|folder:DIR", help="Real inputs to judge on.  [default: generated ones]"
    ),
    click.option(
        "--signature", default="", help="The signature of a SavedModel.  [default: serving_default]"
    ),
    click.option("--name", help="The model's name in the bundle.  [default: from SOURCE]"),
    click.option("--allow-extra-keys", is_flag=True, help="Leave out weights that the model does not have."),
    click.option(
        "--allow-pickle", is_flag=True, help="Read weights that can run code. Only if you trust the file."
    ),
)


def check_pertinent(source: str | None) -> None:
    """Raise UsageError for an option that says something of the other: of a source that is not given, or of training."""
    from runtimes.errors import UsageError

    idle = sorted(typed() & (_TRAINING if source else _SOURCE))
    if idle and source:
        raise UsageError(f"{', '.join(idle)}: these train the shipped CNN, and {source} is not trained.")
    if idle:
        raise UsageError(f"{', '.join(idle)}: these describe a SOURCE, and none was given.")


def spelled(group: Callable[[F], F]) -> frozenset[str]:
    """The options of a group, as a person writes them."""
    command = click.command()(group(lambda: None))  # type: ignore[arg-type]
    return frozenset(parameter.opts[0] for parameter in command.params)


def check_one_path() -> None:
    """Raise UsageError for an option that says something of two files, where only a bundle was given."""
    from runtimes.errors import UsageError

    idle = sorted(typed() & _PAIR)
    if idle:
        raise UsageError(f"{', '.join(idle)}: this is for two files, A and B, and one path was given.")


def typed() -> frozenset[str]:
    """The options that the person wrote."""
    ctx = click.get_current_context()
    return frozenset(
        parameter.opts[0]
        for parameter in ctx.command.params
        if parameter.name
        and ctx.get_parameter_source(parameter.name) is click.core.ParameterSource.COMMANDLINE
    )


_PAIR = spelled(pair)
_SOURCE = spelled(source)
_TRAINING = spelled(training) | {"--framework"}


class BuildCommand(click.Command):
    """A command whose help shows the options of a source and of training apart from its own."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Three sections instead of one."""
        sections: dict[str, list[tuple[str, str]]] = {
            "Options": [],
            "Your own model": [],
            "The shipped CNN": [],
        }
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None:
                continue
            name = parameter.opts[0]
            section = (
                "Your own model" if name in _SOURCE else "The shipped CNN" if name in _TRAINING else "Options"
            )
            sections[section].append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)
