"""What this side makes of a machine that answers nonsense, or more than it was asked: a small program for ssh."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from runtimes.bundle import Bundle
from runtimes.errors import WorkerCrashed
from runtimes.remote.connection import Connection, Target, printable
from runtimes.remote.serve import MARK, Hello, describe

HELLO = MARK + msgspec.json.encode(Hello("1.2.3", "3.11", "armv7l")) + b"\n"
# It greets, takes the request, answers, and writes down what it is sent.
SSH = """#!{python}
import os, pathlib, sys
sys.stdout.buffer.write({hello!r})
sys.stdout.flush()
sys.stdin.buffer.readline()
sys.stdout.buffer.write({answer!r})
sys.stdout.flush()
os.close(1)
pathlib.Path({sent!r}).write_bytes(sys.stdin.buffer.read())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / "manifest.json").write_bytes(b"content")
    return folder


def told(folder: Path, monkeypatch: pytest.MonkeyPatch, *answers: Any) -> tuple[str, bytes]:
    """What is said of these answers, and what was sent."""
    program, sent = folder.parent / "bin" / "ssh", folder.parent / "sent"
    program.parent.mkdir()
    lined = b"".join((one if isinstance(one, bytes) else json.dumps(one).encode()) + b"\n" for one in answers)
    program.write_text(SSH.format(python=sys.executable, hello=HELLO, answer=lined, sent=str(sent)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    files = [describe(folder / "manifest.json", folder)]
    bundle = cast(Bundle, SimpleNamespace(folder=folder))
    with (
        pytest.raises(WorkerCrashed) as error,
        Connection(Target("device"), "1.2.3", None, lambda line: None) as there,
    ):
        there.run("verify", bundle, files, (), folder / "place")
    return str(error.value), sent.read_bytes()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"Segmentation fault", "'Segmentation fault'. Install the same version on both."),
        (b"[1]", "Expected `object`, got `array`"),
        ({"sha256": 3}, "Expected `array`, got `int`"),
        ({"error": "no"}, "Expected `object`, got `str`"),
    ],
)
def test_an_answer_that_is_no_message_is_a_crash(
    folder: Path, monkeypatch: pytest.MonkeyPatch, answer: object, said: str
) -> None:
    message, _ = told(folder, monkeypatch, answer)
    assert message.startswith("device answered what fwexport does not understand (")
    assert said in message


def test_a_size_below_zero_is_no_message(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = {"exit_code": 0, "result_bytes": -1, "files": []}
    assert "`int` >= 0" in told(folder, monkeypatch, {"sha256": []}, answer)[0]


def test_only_announced_files_are_sent(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file,) = [describe(folder / "manifest.json", folder)]
    answer = {"sha256": ["0" * 64, file.sha256, file.sha256, "../../secret"]}
    message, sent = told(folder, monkeypatch, answer)
    assert "ended before the results came" in message
    assert sent == b"content"


def test_what_the_other_side_logs_does_not_steer_this_terminal() -> None:
    assert (
        printable(b"\x1b]0;title\x07verify: \x1b[2J20 \xc2\xb0C \xff\r\n")
        == "]0;titleverify: [2J20 °C \ufffd"
    )
