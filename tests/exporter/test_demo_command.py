"""``fwexport demo`` as a person types it: it serves until Ctrl-C, or writes a site."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
import webbrowser
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import fwexport

from exporter.commands import demo
from runtimes.errors import UsageError
from runtimes.frameworks import node
from tests.runtimes.browser.pages import until

NO_PACKAGES = node.check_packages("onnxruntime-web", "@litertjs/core", "@tensorflow/tfjs-core")


@pytest.mark.skipif(NO_PACKAGES is not None, reason=str(NO_PACKAGES))
def test_it_opens_the_page_and_serves_it_until_it_is_interrupted(
    browser_bundles: dict[str, Path], tmp_path: Path
) -> None:
    opener = tmp_path / "opener"
    opener.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    opener.chmod(0o755)
    command = [sys.executable, "-P", "-m", "exporter.cli", "demo", str(browser_bundles["torch"].parent)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env={**os.environ, "BROWSER": str(opener)}, **pipes) as process:  # type: ignore[call-overload]
        try:
            url = process.stdout.readline().strip()
            with urllib.request.urlopen(f"{url}demo.json", timeout=30) as answer:
                assert json.load(answer)["source"] == "keras"
            opened = tmp_path / "opened"
            assert until(lambda: opened.exists() and opened.read_text().endswith("\n"))
            assert process.poll() is None
            assert opened.read_text().strip() == url
        finally:
            process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stdout) == (0, "")
    assert "--source for another one: torch" in stderr
    assert stderr.endswith("Ctrl-C ends it.\n")


@pytest.mark.skipif(NO_PACKAGES is not None, reason=str(NO_PACKAGES))
def test_open_to_the_network_this_machine_has_its_own_address(
    browser_bundles: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By http, only there the page has threads and WebGPU; the other address is for a phone."""
    opened: list[str] = []

    def open_and_interrupt(url: str) -> None:
        opened.append(url)
        raise KeyboardInterrupt

    monkeypatch.setattr(webbrowser, "open", open_and_interrupt)
    monkeypatch.setattr("runtimes.demo.publish.address", lambda server: f"http://192.0.2.7:{server.port}/")
    done = CliRunner().invoke(demo.command, [str(browser_bundles["torch"]), "--host", "0.0.0.0"])
    (url,) = opened
    assert url.startswith("http://127.0.0.1:")
    assert done.stdout.splitlines() == [url.replace("127.0.0.1", "192.0.2.7")]
    assert f"On this machine, with threads and WebGPU: {url}" in done.stderr


def test_a_backend_that_no_runtime_has_is_said(browser_bundles: dict[str, Path]) -> None:
    """By the runtimes themselves, with those that they have."""
    done = CliRunner().invoke(demo.command, [str(browser_bundles["torch"]), "--backend", "cuda"])
    assert isinstance(done.exception, UsageError), done.output
    assert "has a backend 'cuda'; there are " in str(done.exception)


@pytest.mark.skipif(NO_PACKAGES is not None, reason=str(NO_PACKAGES))
def test_it_writes_a_site(browser_bundles: dict[str, Path], tmp_path: Path) -> None:
    done = fwexport("demo", browser_bundles["torch"], "--export", tmp_path / "site")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{tmp_path / 'site'}: ")
    told = json.loads((tmp_path / "site" / "demo.json").read_text())
    assert {entry["backend"] for entry in told["runtimes"]} == {"wasm"}


def test_what_is_no_bundle_is_said(tmp_path: Path) -> None:
    done = fwexport("demo", tmp_path)
    assert done.returncode == 2
    assert "is no bundle" in done.stderr
