"""The command line: a group whose commands are imported when they are called, and one boundary for errors."""

from __future__ import annotations

import importlib
import pkgutil
import signal
import sys
import tempfile
import traceback
from types import FrameType
from typing import NoReturn

import click

from exporter import __version__, commands
from runtimes.errors import EXIT_INTERRUPTED, FwexportError, WorkerError

# What the help shows without importing a command.
_SHORT = {
    "build": "Export a model, yours or a trained one; verify, measure, report: the whole job.",
    "train": "Train the shipped CNN; write a source folder.",
    "export": "Write the bundle of a source folder, without verifying.",
    "verify": "Do the artifacts of a bundle predict the same as their source?",
    "bench": "How fast are the artifacts of a bundle, here?",
    "compare": "Is one bundle, or one bench.json, slower than another? A gate for a CI.",
    "demo": "Play with the model in your browser: every web runtime, side by side.",
    "predict": "Label images with a bundle, in any runtime.",
    "report": "Write report.md and report.html from what was measured.",
    "list": "List formats, sources, conversions, runtimes and data.",
    "schema": "Print the JSON Schema of what fwexport writes.",
    "inspect": "Show inputs, outputs, operators and metadata of a model file.",
    "doctor": "Which runtimes and devices are here, and how to get the others.",
    "serve": "The other end of --target: ssh starts it.",
}


class LazyGroup(click.Group):
    """The commands are the modules of ``exporter/commands``; help names them without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of a person's work."""
        found = {module.name for module in pkgutil.iter_modules(commands.__path__)}
        return [name for name in _SHORT if name in found] + sorted(found - set(_SHORT))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command that was asked for."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"exporter.commands.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Names and short texts, from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, _SHORT.get(name, "")) for name in self.list_commands(ctx)])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fwexport")
def cli() -> None:
    """Export a CNN to TorchScript, ONNX, SavedModel, TF Lite and TF.js, prove that every export predicts the same, and measure it.

    `fwexport build` does the whole job on the shipped CNN, in PyTorch and in Keras.
    """


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = cli(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.Abort:
        _end("interrupted; nothing half-written was left.", EXIT_INTERRUPTED)
    except KeyboardInterrupt:
        _end("interrupted; nothing half-written was left.", EXIT_INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except WorkerError as error:
        _end(str(error), error.exit_code)
    except FwexportError as error:
        log = _log(getattr(error, "child_traceback", ""))
        _end(f"{error}{log}", error.exit_code)
    except BrokenPipeError:
        sys.exit(0)
    except Exception as error:
        _end(f"{type(error).__name__}: {error}{_log(traceback.format_exc())}", 5)


def _log(text: str) -> str:
    """Keep a traceback in a file and say where; nothing for an expected error."""
    if not text:
        return ""
    with tempfile.NamedTemporaryFile("w", prefix="fwexport-", suffix=".log", delete=False) as file:
        file.write(f"fwexport {__version__}, Python {sys.version}\n{' '.join(sys.argv)}\n\n{text}")
    return f"\nThis was not expected. The log to paste into an issue: {file.name}"


def _end(message: str, code: int) -> NoReturn:
    click.echo(f"fwexport: {message}", err=True)
    sys.exit(code)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
