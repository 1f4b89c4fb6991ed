"""What one run of ``verify`` says of each bundle, for a continuous integration: a file for its test view, one for a comment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from runtimes.files import make_folder, write_atomically
from runtimes.rows import VerifyResult, VerifyRow

Verdict = Literal["passed", "failure", "error", "skipped"]


@dataclass(frozen=True)
class Suite:
    """One bundle, or one pair of files, by the name that it has in the output. ``asked`` is whether a person named
    what this row needs: a device or runtime that is not here is then an error.
    """

    name: str
    result: VerifyResult
    asked: Callable[[VerifyRow], bool] = lambda row: False

    def verdict(self, row: VerifyRow) -> Verdict:
        """The word that test views have for the row's outcome; what is no pass is never one."""
        match row.outcome:
            case "passed":
                return "passed"
            case "mismatch" | "failed":
                return "failure"
            case "unavailable":
                return "error" if self.asked(row) else "skipped"
            case _:
                return "error"


def row_name(row: VerifyRow) -> str:
    """The row within its suite, in words: onnx in onnxruntime (cpu) on cpu."""
    if row.runtime == "-":
        return row.artifact
    return f"{row.artifact} in {row.runtime} ({row.backend}) on {row.device}"


def make_folders(*files: Path | None) -> None:
    """The folders of the files, before any work: OutputError when one cannot be made."""
    for file in files:
        if file is not None:
            make_folder(file.parent)


def write_files(suites: Sequence[Suite], junit: Path | None, markdown: Path | None) -> None:
    """Write the JUnit XML and the Markdown that were asked for, each by a rename."""
    from runtimes.report import comment
    from runtimes.report import junit as xml

    if junit is not None:
        write_atomically(junit, xml.render(suites))
    if markdown is not None:
        write_atomically(markdown, comment.render(suites))
