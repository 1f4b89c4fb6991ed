"""The README's commands, run as they stand there, on what ``fwexport build`` made."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
from conftest import fwexport
from PIL import Image

README = (Path(__file__).parent.parent / "README.md").read_text()
COMMANDS = [
    shlex.split(line, comments=True)[1:]
    for block in re.findall(r"```sh\n(.*?)```", README, re.S)
    for line in block.splitlines()
    if line.startswith("fwexport ")
]


@pytest.fixture(scope="module")
def folder(job: tuple[Path, object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("readme")
    shutil.copytree(job[0], place / "build")
    Image.linear_gradient("L").save(place / "digit.png")
    return place


def test_the_readme_has_commands() -> None:
    assert {command[0] for command in COMMANDS} >= {
        "verify",
        "bench",
        "report",
        "inspect",
        "train",
        "export",
        "list",
        "doctor",
    }


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_of_the_readme_works(folder: Path, command: list[str]) -> None:
    done = fwexport(*command, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_make_targets_of_the_readme_exist() -> None:
    makefile = (Path(__file__).parent.parent / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", README, re.M):
        assert re.search(rf"^{target}:", makefile, re.M)
