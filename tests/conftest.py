"""What the tests share. Building is the slow part, so both bundles are built once in a run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Chromium, Page, no_browser
from browser_bundles import with_variants
from sshd import Sshd, missing, sshd

from exporter.converters import Converters
from tests.mutants.run import FaultyPool

HERE = Path(__file__).parent
BRIEF_BENCH = HERE / "brief_bench.py"
FORMATS = ("keras", "onnx", "savedmodel", "tfjs", "tflite", "torchscript")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes a page is marked as what starts a browser, and skipped where there is none: before anything is built."""
    taking = [item for item in items if "chromium" in getattr(item, "fixturenames", ())]
    reason = no_browser() if taking else None
    for item in taking:
        item.add_marker("browser")
        if reason is not None:
            item.add_marker(pytest.mark.skip(reason=reason))


def fwexport(
    *arguments: object, cwd: Path | None = None, brief: bool = False, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line as a person does; ``brief`` spends less time on a row of ``bench``, see ``brief_bench.py``."""
    program = [BRIEF_BENCH] if brief else ["-m", "exporter.cli"]
    command = [sys.executable, "-P", *program, *map(str, arguments)]
    return subprocess.run(
        command, cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, check=False, timeout=600
    )


@pytest.fixture(scope="session")
def job(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    """``(output folder, what --json printed)`` of the whole job on the digits, 2 epochs, in both frameworks."""
    out = tmp_path_factory.mktemp("job") / "build"
    done = fwexport("build", "--epochs", 2, "--json", "-o", out, brief=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-5000:]
    return out, json.loads(done.stdout)


@pytest.fixture(scope="session")
def bundles(job: tuple[Path, dict[str, object]]) -> dict[str, Path]:
    """The two bundles, with all six artifacts each. Read them; to change one, take ``own_bundle``."""
    return {"torch": job[0] / "torch", "keras": job[0] / "keras"}


@pytest.fixture(scope="session")
def children() -> Iterator[Converters]:
    """A child per process kind for all tests: each framework is imported once. They find what tests call in their own folders."""
    folders = dict.fromkeys(str(file.parent) for file in HERE.glob("exporter/**/*.py"))
    with Converters({"PYTHONPATH": os.pathsep.join([str(HERE), *folders])}) as converters:
        yield converters


@pytest.fixture(scope="session")
def pool() -> Iterator[FaultyPool]:
    """The children that run artifacts, a few for all tests. Call ``next_bundle`` before a bundle of one's own.

    The tests of mutants set a fault in it, which ends with their bundle.
    """
    with FaultyPool() as shared:
        yield shared


@pytest.fixture(scope="session")
def browser_bundles(
    bundles: dict[str, Path], children: Converters, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Both bundles with the files of batch 1 that ``build --browser`` adds. Read them only."""
    place = tmp_path_factory.mktemp("browser")
    return {name: with_variants(bundle, place / name, children) for name, bundle in bundles.items()}


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """An sshd on 127.0.0.1."""
    if (reason := missing()) is not None:
        pytest.skip(reason)
    with sshd(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A browser, which all tests of pages share."""
    browser = Chromium(tmp_path_factory.mktemp("chromium"))
    try:
        yield browser
    finally:
        browser.close()


@pytest.fixture
def page(chromium: Chromium) -> Iterator[Page]:
    """A tab of that browser, for one test."""
    with chromium.page() as opened:
        yield opened


@pytest.fixture
def own_bundle(bundles: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of the PyTorch bundle that a test may damage."""
    return Path(shutil.copytree(bundles["torch"], tmp_path / "bundle"))
