"""The README's commands, run as they stand there, on what ``fwexport build`` made."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import fwexport
from PIL import Image
from sshd import Sshd

from runtimes.browser import find

README = (Path(__file__).parent.parent / "README.md").read_text()
# Each command with its exit code, 0 where no comment beside it names one.
COMMANDS = [
    (shlex.split(line, comments=True), int((re.findall(r"# exit code (\d)", line) or [0])[0]))
    for block in re.findall(r"```sh\n(.*?)```", README, re.S)
    for line in block.splitlines()
    if line.startswith(("fwexport ", "python "))
]
DEVICE = "ssh:pi@raspberrypi"
EXPLANATION = re.findall(r"^  (?:first layer|likely cause).*$", README, re.M)
FILES = re.findall(r"```python\n# (\S+)\n(.*?)```", README, re.S)


@pytest.fixture(scope="module")
def folder(job: tuple[Path, object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("readme")
    shutil.copytree(job[0], place / "build")
    Image.linear_gradient("L").save(place / "digit.png")
    for name, text in FILES:
        (place / name).write_text(text)
    return place


def test_the_readme_has_commands() -> None:
    assert [name for name, _ in FILES] == ["mynet.py", "wrong.py"]
    assert {command[1] for command, _ in COMMANDS} >= {
        "build",
        "predict",
        "verify",
        "bench",
        "report",
        "inspect",
        "train",
        "export",
        "list",
        "doctor",
    }


@pytest.mark.parametrize(
    ("command", "code"), [pytest.param(*each, id=" ".join(each[0])) for each in COMMANDS]
)
def test_a_command_of_the_readme_works(
    folder: Path, command: list[str], code: int, request: pytest.FixtureRequest
) -> None:
    """In the README's order: what one writes, a later one reads. The device of the README is this machine."""
    environment = {}
    if "--browser" in command and (reason := find.check()):
        pytest.skip(reason)
    if DEVICE in command:
        server: Sshd = request.getfixturevalue("server")
        command = [server.target if word == DEVICE else word for word in command]
        fwexport_there = ["env", f"XDG_CACHE_HOME={folder}/cache", sys.executable, "-P", "-m", "exporter.cli"]
        command += ["--remote-command", shlex.join(fwexport_there)]
        environment = {"FWEXPORT_SSH_OPTIONS": server.options}
    if command[0] == "python":
        subprocess.run([sys.executable, *command[1:]], cwd=folder, check=True, timeout=300)
        return
    done = fwexport(*command[1:], cwd=folder, brief=command[1] == "build", **environment)
    assert done.returncode == code, done.stderr
    assert done.stdout
    if "--explain" in command:
        printed = " ".join(done.stdout.split())
        assert [line for line in EXPLANATION if " ".join(line.split()) not in printed] == []


def test_the_readme_s_own_model_passes_everywhere(folder: Path) -> None:
    """What the build of the README above wrote: a row for each format."""
    rows = json.loads((folder / "work" / "net" / "verify.json").read_text())["rows"]
    assert {row["artifact"] for row in rows} == {
        "keras",
        "onnx",
        "savedmodel",
        "tfjs",
        "tflite",
        "torchscript",
    }
    assert {row["outcome"] for row in rows} == {"passed"}


def test_the_make_targets_of_the_readme_exist() -> None:
    makefile = (Path(__file__).parent.parent / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", README, re.M):
        assert re.search(rf"^{target}:", makefile, re.M)
