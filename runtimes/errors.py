"""Every error that fwexport expects. The command line prints these without a traceback.

    FwexportError
    ├── UsageError          2  a wrong option, a missing file, a folder that is no bundle
    │   └── OutputError     2  the output cannot be written: permissions, a full disk
    ├── NotAModelError      4  a file that no loader recognises, or that is damaged
    ├── ConversionError     4  an edge could not write its artifact
    ├── ChecksumError       1  an artifact is not the file that the manifest describes
    ├── UnavailableError    6  a runtime, framework or device that is not on this machine
    └── WorkerError         5  a child process ended badly
        ├── WorkerCrashed
        └── WorkerTimeout

    ``runtimes.client.ChildFailed`` (5) carries an error of a child that is none of these.

The number is the exit code of a command that ends by this error.
"""

from __future__ import annotations

EXIT_INTERRUPTED = 130


class FwexportError(Exception):
    """An expected failure: its message says what, with which values, why, and what to do next."""

    exit_code = 1


class UsageError(FwexportError):
    """What the person asked for cannot be asked for."""

    exit_code = 2


class OutputError(UsageError):
    """The output folder or file cannot be written."""


class NotAModelError(FwexportError):
    """A file holds no model that fwexport can read."""

    exit_code = 4


class ConversionError(FwexportError):
    """A conversion could not write its artifact."""

    exit_code = 4


class ChecksumError(FwexportError):
    """A file in the bundle differs from what the manifest says it is."""

    exit_code = 1


class UnavailableError(FwexportError):
    """A runtime, framework or device is not on this machine; the message says how to get it."""

    exit_code = 6


class WorkerError(FwexportError):
    """A child process did not finish its call."""

    exit_code = 5


class WorkerCrashed(WorkerError):  # noqa: N818 - an outcome's name
    """A child process died: an exit, a signal, an out-of-memory kill."""


class WorkerTimeout(WorkerError):  # noqa: N818 - an outcome's name
    """A child process did not answer in time, and was killed."""


def by_name(name: str) -> type[FwexportError] | None:
    """The class of this tree called ``name``, or None: how an error crosses a process boundary."""
    pending: list[type[FwexportError]] = [FwexportError]
    while pending:
        candidate = pending.pop()
        if candidate.__name__ == name:
            return candidate
        pending += candidate.__subclasses__()
    return None
