"""``--target``: a command of this machine, run on another one with the options that were typed here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from exporter import __version__
from exporter.options import together

if TYPE_CHECKING:
    from exporter.console import Steps
    from runtimes.remote.connection import Target
    from runtimes.rows import BenchResult, VerifyResult

    R = TypeVar("R", VerifyResult, BenchResult)

_TYPED = "exporter.on_target.typed"
# What says where "there" is, and what is done here with the rows that come back.
_HERE = {
    "--target",
    "--remote-command",
    "--output",
    "--json",
    "--junit",
    "--markdown",
    "--require",
    "--strict",
}


def _reached(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None and not ctx.params.get("target"):
        raise click.BadParameter("it says how --target starts fwexport, and there is no --target.")
    return value


def _target(ctx: click.Context, param: click.Parameter, value: str | None) -> Target | None:
    from runtimes.errors import UsageError
    from runtimes.remote.connection import Target

    try:
        return Target.parse(value) if value is not None else None
    except UsageError as error:
        raise click.BadParameter(str(error)) from None


options = together(
    click.option(
        "--target",
        metavar="ssh:[USER@]HOST[:PORT]",
        callback=_target,
        is_eager=True,
        help="On that machine, over ssh. It needs fwexport and one runtime; without Python, take golden/ there.",
    ),
    click.option(
        "--remote-command",
        metavar="COMMAND",
        callback=_reached,
        help="How its shell starts fwexport, e.g. venv/bin/fwexport.  [default: fwexport]",
    ),
)


class Command(click.Command):
    """A command that remembers how its options were typed, so that they can be typed elsewhere."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, with a copy kept."""
        ctx.meta[_TYPED] = list(args)
        return super().parse_args(ctx, args)


def arguments(ctx: click.Context) -> list[str]:
    """The options that were typed, but for those that are about this machine; each as one word, ``--name=value``."""
    typed, _, _ = ctx.command.make_parser(ctx).parse_args(list(ctx.meta[_TYPED]))
    words = []
    for parameter in ctx.command.params:
        if isinstance(parameter, click.Option) and parameter.name in typed:
            name = max(parameter.opts, key=len)
            value = typed[parameter.name]
            if name in _HERE:
                continue
            if parameter.is_flag:
                words.append(name if value else parameter.secondary_opts[0])
            else:
                words += [f"{name}={each}" for each in (value if isinstance(value, list) else [value])]
    return words


def refuse(file: Path | None = None, explain: bool = False) -> None:
    """Raise UsageError for what a target cannot do: it has neither the source nor files of its own."""
    if file is not None:
        raise click.UsageError(f"--target takes a bundle; {file} beside it can be judged here alone.")
    if explain:
        raise click.UsageError("--explain opens the source, which is not sent: run it here.")


def results(
    target: Target, folder: Path, out: Path | None, kind: type[R], steps: Steps
) -> Iterator[tuple[Path, Path, R]]:
    """Each bundle in ``folder``, where its results are written, and what came of it on the target.

    They are written to ``targets/NAME`` of the bundle, or to its place in ``out``. Ends the command, with the exit code
    of the other side, where that had nothing to give but a message.
    """
    import msgspec

    from runtimes.bundle import find_bundles
    from runtimes.remote.connection import TARGETS, Connection, needed

    ctx = click.get_current_context()
    asked = [ctx.params[name] for name in ("devices", "formats", "runtimes", "browser")]
    todo = [(bundle, needed(bundle, *asked)) for bundle in find_bundles(folder)]
    with Connection(target, __version__, ctx.params["remote_command"], steps.say) as there:
        for bundle, files in todo:
            place = bundle.folder / TARGETS / target.folder
            if out is not None:
                place = out / bundle.folder.name if bundle.folder != folder else out
            reply = there.run(ctx.command.name or "", bundle, files, arguments(ctx), place)
            if not reply.result:
                raise click.exceptions.Exit(reply.exit_code)
            yield bundle.folder, place, msgspec.json.decode(reply.result, type=kind)
