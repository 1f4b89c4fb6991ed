"""``--target`` over a real sshd on 127.0.0.1: what runs there, what comes back, and how it fails."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import psutil
import pytest
from conftest import fwexport
from sshd import Sshd

from exporter import on_target
from exporter.commands.bench import command as bench
from runtimes.errors import UsageError
from runtimes.remote.connection import DEFAULT_COMMAND, Target
from runtimes.remote.serve import Hello
from runtimes.rows import BenchResult, VerifyResult, load_bench, load_verify

COMMAND = [sys.executable, "-P", "-m", "exporter.cli"]
QUICK = ["--time", "quick", "--batch", 1, "--threads", 1]


@dataclass(frozen=True)
class Device:
    """The other machine: this one, with a cache of its own, and without the frameworks that sources need."""

    server: Sshd
    cache: Path
    blocked: Path

    @property
    def command(self) -> str:
        """How its shell starts fwexport."""
        environment = {"XDG_CACHE_HOME": self.cache, "PYTHONPATH": self.blocked}
        return shlex.join(["env", *(f"{name}={value}" for name, value in environment.items()), *COMMAND])

    def arguments(self, *typed: object, command: str | None = None) -> list[str]:
        return [*map(str, typed), "--target", self.server.target, "--remote-command", command or self.command]

    def fwexport(self, *typed: object, command: str | None = None) -> subprocess.CompletedProcess[str]:
        """As a person types it, with ``--target``."""
        return fwexport(*self.arguments(*typed, command=command), FWEXPORT_SSH_OPTIONS=self.server.options)

    def processes(self) -> list[psutil.Process]:
        """Those that run there, whoever their parents are by now."""
        return [
            each
            for each in psutil.process_iter()
            if _environment(each).get("XDG_CACHE_HOME") == str(self.cache)
        ]

    def is_empty(self) -> bool:
        """Whether, in a while, nothing is left there but the cache."""
        for _ in range(100):
            if not self.processes() and not list(self.cache.glob("fwexport/runs/*")):
                return True
            time.sleep(0.1)
        return False


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return {} if process.status() == psutil.STATUS_ZOMBIE else process.environ()
    except psutil.Error:
        return {}


@pytest.fixture
def device(server: Sshd, tmp_path: Path) -> Device:
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    for name in ("torch", "tensorflow", "keras", "onnx"):
        (blocked / f"{name}.py").write_text(
            f"raise ModuleNotFoundError('No module named {name!r}', name={name!r})\n"
        )
    return Device(server, tmp_path / "a 'cache'", blocked)


@pytest.fixture
def small(bundles: dict[str, Path], tmp_path: Path) -> Path:
    """A bundle whose name a shell would take apart, with no more than a target needs."""
    folder = tmp_path / "my 'small' $(bundle)"
    folder.mkdir()
    for name in ("manifest.json", "reference.npz", "model.tflite", "model.onnx"):
        shutil.copyfile(bundles["torch"] / name, folder / name)
    return folder


def test_verify_and_bench_run_there_without_training_frameworks(device: Device, small: Path) -> None:
    chosen = ["--format", "onnx", "--format", "tflite"]
    done = device.fwexport("verify", small, *chosen, "--json")
    assert done.returncode == 0, done.stderr
    assert "verify: torch/tflite in litert (xnnpack): passed" in done.stderr.splitlines()
    assert "sending 3.7 of 3.7 MB" in done.stderr
    printed = json.loads(done.stdout)
    place = small / "targets" / device.server.target.removeprefix("ssh:").replace(":", "-")
    kept = load_verify(place / "verify.json")
    assert isinstance(kept, VerifyResult)
    assert {(row.artifact, row.outcome) for row in kept.rows} == {("onnx", "passed"), ("tflite", "passed")}
    assert [row["max_noise_ratio"] for row in printed["rows"]] == [row.max_noise_ratio for row in kept.rows]
    assert (place / "predictions.npz").exists()

    timed = device.fwexport("bench", small, "--format", "tflite", *QUICK, "-o", small / "timed")
    assert timed.returncode == 0, timed.stderr
    assert "sending 0.0 of 2.0 MB" in timed.stderr
    assert "torch/tflite" in timed.stdout
    assert {path.name for path in (small / "timed").iterdir()} == {"bench.json", "times.npz"}

    timed = device.fwexport("bench", small, "--format", "tflite", *QUICK, "--require", "accuracy>0.5")
    assert timed.returncode == 0, timed.stderr
    measured = load_bench(place / "bench.json")
    assert isinstance(measured, BenchResult)
    assert [(row.artifact, row.batch, row.threads, row.verdict) for row in measured.rows] == [
        ("tflite", 1, 1, "passed")
    ]
    assert measured.choice is not None
    assert measured.choice.recommended is not None
    assert not (small / "verify.json").exists()
    assert device.is_empty()


def test_a_changed_artifact_is_found_there(device: Device, small: Path, tmp_path: Path) -> None:
    with (small / "model.tflite").open("ab") as file:
        file.write(b"\0")
    done = device.fwexport("verify", small, "--format", "tflite", "--json", "--junit", tmp_path / "junit.xml")
    assert done.returncode == 1, done.stderr
    assert "was changed after it was exported" in json.loads(done.stdout)["rows"][0]["reason"]
    assert "was changed after it was exported" in (tmp_path / "junit.xml").read_text()


def test_a_runtime_that_is_not_there_is_a_row_and_exit_6_when_it_was_named(
    device: Device, small: Path
) -> None:
    (device.blocked / "sitecustomize.py").write_text(
        "import importlib.util as util\nfind = util.find_spec\n"
        "util.find_spec = lambda name, *more: None if name == 'onnxruntime' else find(name, *more)\n"
    )
    done = device.fwexport("verify", small, "--format", "onnx", "--runtime", "onnxruntime", "--json")
    assert done.returncode == 6, done.stderr
    assert [row["outcome"] for row in json.loads(done.stdout)["rows"]] == ["unavailable"]


def test_a_message_of_the_other_side_comes_with_its_exit_code(device: Device, small: Path) -> None:
    (small / "reference.npz").write_bytes(b"no npz")
    done = device.fwexport("verify", small, "--format", "onnx", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("fwexport: ") == 1


def test_several_bundles_go_over_one_connection(device: Device, small: Path, tmp_path: Path) -> None:
    both = tmp_path / "both"
    for name in ("one", "two"):
        shutil.copytree(small, both / name)
    done = device.fwexport("verify", both, "--format", "tflite", "--json", "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["rows"]) == 2
    assert {path.parent.name for path in tmp_path.glob("out/*/verify.json")} == {"one", "two"}


def _no_key(server: Sshd) -> str:
    return server.options.replace("user_key", "host_key")


def _no_known_host(server: Sshd) -> str:
    return server.options.replace("known_hosts", "other_hosts")


@pytest.mark.parametrize(
    ("options", "target", "said"),
    [
        (_no_key, None, ["Permission denied", "ssh-copy-id", "passwords are not asked for"]),
        (_no_known_host, None, ["Host key verification failed", "log in once by hand"]),
        (None, "ssh:127.0.0.1:1", ["Connection refused", "See whether `ssh -p 1 -- 127.0.0.1` works"]),
        (None, "ssh:no-such-host.invalid", ["no-such-host.invalid", "See whether"]),
    ],
)
def test_who_cannot_be_reached_is_one_message_and_exit_6(
    device: Device,
    small: Path,
    options: Callable[[Sshd], str] | None,
    target: str | None,
    said: list[str],
) -> None:
    ssh = options(device.server) if options else device.server.options
    done = fwexport("verify", small, "--target", target or device.server.target, FWEXPORT_SSH_OPTIONS=ssh)
    assert (done.returncode, done.stdout) == (6, ""), done.stderr
    for words in said:
        assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


OTHER = Hello("0.0.9", "3.11.2", "armv7l", rows=99)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (None, ["not found", 'pip install "fwexport[litert]"', "--remote-command"]),
        ("echo \"Error: No such command 'serve'.\" >&2; exit 2", ["older than --target", "exit code 2"]),
        ("echo 'Welcome to the device'; exit 0", ["Welcome to the device", "exit code 0"]),
        (
            f"echo 'fwexport-serve {json.dumps(OTHER.__dict__)}'; cat >&2",
            ["has fwexport 0.0.9", "same version"],
        ),
        ("echo 'fwexport-serve {}'; cat >&2", ["another version"]),
    ],
)
def test_a_machine_without_this_fwexport_says_what_to_do(
    device: Device, small: Path, script: str | None, said: list[str]
) -> None:
    program = device.blocked / "program.sh"
    if script:
        program.write_text(script)
    done = device.fwexport("verify", small, command=f"sh {program}" if script else "no-such-fwexport")
    assert (done.returncode, done.stdout) == (6, ""), done.stderr
    for words in said:
        assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_what_a_login_script_prints_is_no_matter(device: Device, small: Path) -> None:
    program = device.blocked / "program.sh"
    program.write_text(f'echo "Welcome to the device"; exec {device.command} "$@"\n')
    done = device.fwexport("verify", small, "--format", "tflite", "--json", command=f"sh {program}")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"][0]["outcome"] == "passed"


def test_a_place_there_that_cannot_be_written_is_one_message(device: Device, small: Path) -> None:
    device.cache.touch()
    done = device.fwexport("verify", small, "--format", "tflite")
    assert (done.returncode, done.stdout) == (2, "")
    assert "cannot be written" in done.stderr
    assert "XDG_CACHE_HOME" in done.stderr


@pytest.fixture
def measuring(device: Device, small: Path) -> Iterator[subprocess.Popen[str]]:
    """A measurement that takes a minute, once its runtime runs there."""
    typed = device.arguments("bench", small, "--format", "tflite", "--time", "full")
    environment = {**os.environ, "FWEXPORT_SSH_OPTIONS": device.server.options}
    with subprocess.Popen(
        [*COMMAND, *typed], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while len(device.processes()) < 3:  # serve, bench, and the child with the runtime
            assert process.poll() is None, process.communicate()
            time.sleep(0.1)
        yield process
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_what_runs_there_too(
    device: Device, measuring: subprocess.Popen[str], number: signal.Signals
) -> None:
    measuring.send_signal(number)
    out, error = measuring.communicate(timeout=60)
    assert (measuring.returncode, out) == (130, ""), error
    assert error.count("interrupted") == 1
    assert "Traceback" not in error
    assert device.is_empty(), device.processes()


def test_a_killed_command_leaves_nothing_there(device: Device, measuring: subprocess.Popen[str]) -> None:
    measuring.kill()
    assert device.is_empty(), device.processes()


def test_a_lost_connection_is_exit_5_and_leaves_nothing_there(
    device: Device, measuring: subprocess.Popen[str]
) -> None:
    for each in psutil.Process(device.server.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it went with its parent
            if each.name().startswith("sshd"):
                each.kill()
    out, error = measuring.communicate(timeout=60)
    assert (measuring.returncode, out) == (5, ""), error
    assert "ended before the results came" in error
    assert device.is_empty(), device.processes()


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["verify", ".", "b.onnx", "--target", "ssh:pi"], "b.onnx beside it can be judged here alone"),
        (["verify", ".", "--explain", "--target", "ssh:pi"], "--explain opens the source"),
        (["verify", ".", "--samples", "npz:a", "--target", "ssh:pi"], "this is for two files"),
        (["verify", ".", "--target", "ssh:pi"], "is no bundle"),
        (["bench", ".", "--target", "pi"], "is not ssh:host"),
        (["bench", ".", "--target", "ssh:-oProxyCommand=x"], "is not ssh:host"),
        (["bench", ".", "--remote-command", "x"], "it says how --target starts fwexport"),
    ],
)
def test_what_a_target_cannot_do_is_refused_by_name(tmp_path: Path, typed: list[str], said: str) -> None:
    done = fwexport(*typed, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in " ".join(done.stderr.split())


def test_a_format_that_the_bundle_lacks_is_said_before_anything_is_sent(small: Path) -> None:
    done = fwexport("verify", small, "--format", "tflit", "--target", "ssh:no-such-host.invalid")
    assert done.returncode == 2
    assert "has no format 'tflit'" in done.stderr


def test_ctrl_c_does_not_wait_for_a_machine_that_does_not_answer(small: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        typed = ["verify", str(small), "--target", f"ssh:127.0.0.1:{silent.getsockname()[1]}"]
        process = subprocess.Popen([*COMMAND, *typed], stderr=subprocess.PIPE, text=True)
        with process, silent.accept()[0]:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=10)
    assert process.returncode == 130


def test_fwexport_is_found_where_pip_puts_it_for_one_user(tmp_path: Path) -> None:
    program = tmp_path / ".local" / "bin" / "fwexport"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    for shell in ("sh", "bash"):
        said = subprocess.run([shell, "-c", DEFAULT_COMMAND], env=environment, capture_output=True, text=True)
        assert said.stdout == "serve\n"


@pytest.mark.parametrize(
    ("text", "words", "folder"),
    [
        ("ssh:pi", ["--", "pi"], "pi"),
        ("ssh:me@pi.local:2222", ["-p", "2222", "-l", "me", "--", "pi.local"], "me@pi.local-2222"),
        ("ssh:a.b-c@10.0.0.7", ["-l", "a.b-c", "--", "10.0.0.7"], "a.b-c@10.0.0.7"),
        ("ssh:me@[fe80::1%eth0]:22", ["-p", "22", "-l", "me", "--", "fe80::1%eth0"], "me@-fe80-1-eth0-22"),
        ("ssh:[::1]", ["--", "::1"], "1"),
    ],
)
def test_a_target_is_what_ssh_needs(text: str, words: list[str], folder: str) -> None:
    target = Target.parse(text)
    assert target.words == words
    assert target.folder == folder
    assert f"ssh:{target}" == text


ODD = ["pi", "ssh:", "ssh:@pi", "ssh:a@", "ssh:-pi", "ssh:-oX@pi", "ssh:pi:0", "ssh:pi:65536", "ssh:pi:x"]
ODD += ["ssh:a@b@c", "ssh:::1", "ssh:pi;ls", "ssh:pi ls", "ssh:pi\n", "ssh:..", "ssh:[pi]", "http://pi"]


@pytest.mark.parametrize("text", ODD)
def test_anything_odd_is_no_target(text: str) -> None:
    with pytest.raises(UsageError, match="is not ssh:host"):
        Target.parse(text)


def test_options_are_typed_again_as_they_were() -> None:
    typed = [
        "--batch",
        "8",
        "b",
        "--format=onnx",
        "--batch=32",
        "--require",
        "p90_ms<5",
        "--strict",
        "--sweep",
    ]
    typed += ["--time", "quick", "-o", "out", "--json", "--target", "ssh:pi", "--device", "cpu"]
    with bench.make_context("bench", list(typed)) as ctx:
        assert on_target.arguments(ctx) == [
            "--device=cpu",
            "--format=onnx",
            "--batch=8",
            "--batch=32",
            "--sweep",
            "--time=quick",
        ]


def test_flags_and_values_like_options_are_typed_again() -> None:
    @click.command(cls=on_target.Command)
    @click.option("--deep", is_flag=True)
    @click.option("--warm/--cold", default=True)
    @click.option("-n", "--note", multiple=True, callback=lambda ctx, param, value: object())
    def command(**options: object) -> None: ...

    with command.make_context("x", ["--deep", "--cold", "-n", "-a b", "--note=p90_ms<5"]) as ctx:
        assert on_target.arguments(ctx) == ["--deep", "--cold", "--note=-a b", "--note=p90_ms<5"]
