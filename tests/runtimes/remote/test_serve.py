"""What one end may rely on when the other is wrong, gone or full: ``serve`` over pipes, with a small program for fwexport."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import pytest

from runtimes.remote.serve import KEPT_S, MARK, serve

FILE = {"path": "a", "size_bytes": 2, "sha256": sha256(b"{}").hexdigest()}
# It prints what it was asked and what it sees, and writes a result.
PROGRAM = """
import json, pathlib, sys
verb, name, o, results, *arguments = sys.argv[1:]
seen = {str(path): path.read_text() for path in pathlib.Path(name).rglob("*") if path.is_file()}
before = [path.name for path in pathlib.Path(results).iterdir()]
pathlib.Path(results, verb + ".json").write_text("[1]")
print(json.dumps([verb, arguments, seen, before]))
sys.exit(3)
"""


class Talk:
    """The near end of the protocol."""

    def __init__(self, program: str = PROGRAM) -> None:
        reads, writes = os.pipe(), os.pipe()
        self.to, self.back = os.fdopen(reads[1], "wb"), os.fdopen(writes[0], "rb")
        there = os.fdopen(reads[0], "rb"), os.fdopen(writes[1], "wb")
        self._thread = threading.Thread(target=self._serve, args=(program, *there))
        self._thread.start()
        self.hello = json.loads(self.back.readline().removeprefix(MARK))

    def _serve(self, program: str, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        with incoming, outgoing:
            serve([sys.executable, "-c", program], "1.2.3", incoming, outgoing)

    def say(self, message: dict[str, Any]) -> None:
        self.to.write(json.dumps(message).encode() + b"\n")
        self.to.flush()

    def ask(self, files: dict[str, bytes], **fields: Any) -> dict[str, Any]:
        """Send a request with these files, and what is missing of them; the message that follows."""
        described = [
            {"path": path, "size_bytes": len(content), "sha256": sha256(content).hexdigest()}
            for path, content in files.items()
        ]
        self.say({"verb": "verify", "name": "net", "arguments": [], "bundle": described, **fields})
        reply: dict[str, Any] = json.loads(self.back.readline())
        if "error" in reply:
            return reply
        contents = {sha256(content).hexdigest(): content for content in files.values()}
        self.sent = reply["sha256"]
        for name in self.sent:
            self.to.write(contents[name])
        self.to.flush()
        answer: dict[str, Any] = json.loads(self.back.readline())
        return answer

    def end(self) -> None:
        self.to.close()
        self._thread.join(20)
        assert not self._thread.is_alive()
        self.back.close()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "fwexport"


@pytest.fixture
def talk(cache: Path) -> Iterator[Talk]:
    found = Talk()
    yield found
    found.end()
    assert list((cache / "runs").iterdir()) == []


def test_a_request_runs_on_its_files_and_gives_its_result_and_exit_code(talk: Talk, cache: Path) -> None:
    files = {"manifest.json": b"{}", "saved_model/1/a b'c": b"weights", "same": b"weights"}
    for expected in (2, 0):
        answer = talk.ask(files, verb="bench", arguments=["--batch=1", "it's"])
        assert answer["exit_code"] == 3
        assert len(talk.sent) == expected
        verb, arguments, seen, before = json.loads(talk.back.read(answer["result_bytes"]))
        assert (verb, arguments) == ("bench", ["--json", "--batch=1", "it's"])
        assert seen == {f"net/{path}": content.decode() for path, content in files.items()}
        assert before == []
        assert [(f["path"], talk.back.read(f["size_bytes"])) for f in answer["files"]] == [
            ("bench.json", b"[1]")
        ]
    assert talk.hello["fwexport"] == "1.2.3"
    assert {path.stat().st_mode & 0o222 for path in (cache / "objects").iterdir()} == {0}


def test_a_kept_file_that_lost_its_end_is_sent_again(talk: Talk, cache: Path) -> None:
    for _ in range(2):
        answer = talk.ask({"manifest.json": b"{}"})
        assert len(talk.sent) == 1
        assert json.loads(talk.back.read(answer["result_bytes"]))[2] == {"net/manifest.json": "{}"}
        talk.back.read(answer["files"][0]["size_bytes"])
        (kept,) = (cache / "objects").iterdir()
        kept.unlink()
        kept.touch()


def test_earlier_results_lie_where_the_command_continues_them(talk: Talk) -> None:
    content = b"earlier"
    file = {"path": "verify.json", "size_bytes": 7, "sha256": sha256(content).hexdigest()}
    answer = talk.ask({"manifest.json": content}, earlier=[file])
    assert json.loads(talk.back.read(answer["result_bytes"]))[3] == ["verify.json"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"verb": "build"}, "cannot be asked of a target"),
        ({"name": ".."}, "is no name of a bundle"),
        ({"name": "/etc/net"}, "is no name of a bundle"),
        ({"name": "../../net"}, "is no name of a bundle"),
        ({"name": "--output=elsewhere"}, "is no name of a bundle"),
        ({"bundle": [{"path": "a", "size_bytes": -1, "sha256": "a" * 64}]}, "`int` >= 0"),
        ({"bundle": [{"path": "a", "size_bytes": 1, "sha256": "../../a"}]}, "without its sha256"),
        ({"bundle": 3}, "Expected `array`"),
        ({"bundle": [FILE, FILE]}, "'a' was announced twice"),
    ],
)
def test_a_wrong_request_is_refused(cache: Path, fields: dict[str, Any], said: str) -> None:
    talk = Talk()
    answer = talk.ask({"manifest.json": b"{}"}, **fields)
    talk.end()
    assert answer["error"]["type"] == "UsageError"
    assert said in answer["error"]["message"]


@pytest.mark.parametrize("path", ["../outside", "/etc/outside", "a/../../outside", ""])
def test_no_file_is_written_outside(cache: Path, path: str) -> None:
    talk = Talk()
    assert "is no file of a bundle" in talk.ask({path: b"x"})["error"]["message"]
    talk.end()


def test_a_file_that_is_not_what_was_announced_is_not_kept(cache: Path) -> None:
    talk = Talk()
    file = {"path": "model.onnx", "size_bytes": 3, "sha256": sha256(b"abc").hexdigest()}
    talk.say({"verb": "verify", "name": "net", "arguments": [], "bundle": [file]})
    talk.back.readline()
    talk.to.write(b"abd")
    talk.to.flush()
    assert "changed while it was sent" in json.loads(talk.back.readline())["error"]["message"]
    talk.end()
    assert list((cache / "objects").iterdir()) == []


def test_half_a_file_is_not_kept(cache: Path) -> None:
    talk = Talk()
    file = {"path": "model.onnx", "size_bytes": 3, "sha256": sha256(b"abc").hexdigest()}
    talk.say({"verb": "verify", "name": "net", "arguments": [], "bundle": [file]})
    talk.back.readline()
    talk.to.write(b"ab")
    talk.to.close()
    assert "ended in the middle of model.onnx" in json.loads(talk.back.readline())["error"]["message"]
    talk.end()
    assert list((cache / "objects").iterdir()) == []


def test_what_nobody_asked_for_in_a_week_is_forgotten(talk: Talk, cache: Path) -> None:
    talk.back.read(talk.ask({"old": b"old", "used": b"used"})["result_bytes"] + 3)
    (cache / "runs" / "run-killed").mkdir()
    long_ago = time.time() - KEPT_S - 60
    for path in (*(cache / "objects").iterdir(), cache / "runs" / "run-killed"):
        os.utime(path, (long_ago, long_ago))
    talk.back.read(talk.ask({"used": b"used"})["result_bytes"] + 3)
    assert [path.read_bytes() for path in (cache / "objects").iterdir()] == [b"used"]


def test_the_end_of_the_input_ends_the_command(cache: Path) -> None:
    talk = Talk("import time, pathlib; pathlib.Path('../results/started').touch(); time.sleep(600)")
    asking = threading.Thread(target=talk.ask, args=({"a": b"a"},))
    asking.start()
    while not list(cache.glob("runs/*/results/started")):
        time.sleep(0.02)
    begin = time.monotonic()
    talk.to.close()
    asking.join()
    talk.end()
    assert time.monotonic() - begin < 10
    assert list((cache / "runs").iterdir()) == []


def test_two_requests_take_turns(cache: Path, capfd: pytest.CaptureFixture[str]) -> None:
    started, go = cache / "started", cache / "go"
    program = (
        f"import pathlib, time\npathlib.Path({str(started)!r}).touch()\n"
        f"while not pathlib.Path({str(go)!r}).exists(): time.sleep(0.05)\nprint(time.time())"
    )
    talks = [Talk(program), Talk("import time; print(time.time())"), Talk()]
    answers: dict[int, float] = {}

    def ask(number: int) -> None:
        answer = talks[number].ask({"a": b"a"})
        if "error" not in answer:
            answers[number] = float(talks[number].back.read(answer["result_bytes"]))

    asking = [threading.Thread(target=ask, args=(number,)) for number in range(3)]
    asking[0].start()
    while not started.exists():
        time.sleep(0.02)
    for each in asking[1:]:
        each.start()
    said = ""
    while said.count("waiting for another run") < 2:
        time.sleep(0.02)
        said += capfd.readouterr().err
    talks[2].to.close()  # who goes while waiting is not waited for
    asking[2].join(20)
    talks[2].end()
    go.touch()
    for number in (0, 1):
        asking[number].join(20)
        talks[number].end()
    assert list(answers) == [0, 1]
    assert answers[0] < answers[1]
    assert list((cache / "runs").iterdir()) == []


def test_a_killed_command_is_a_crash_with_the_signal_s_name(cache: Path) -> None:
    talk = Talk("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    error = talk.ask({"a": b"a"})["error"]
    talk.end()
    assert error["type"] == "WorkerCrashed"
    assert "SIGKILL (often the system, out of memory)" in error["message"]


def test_a_cache_that_cannot_be_written_says_how_to_name_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    talk = Talk()
    error = talk.ask({"a": b"a"})["error"]
    talk.end()
    assert error["type"] == "OutputError"
    assert "XDG_CACHE_HOME=" in error["message"]


def test_a_full_disk_is_said_before_anything_is_sent(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=5))
    talk = Talk()
    error = talk.ask({"a": b"123456"})["error"]
    talk.end()
    assert error["type"] == "OutputError"
    assert "0 MB free" in error["message"]
