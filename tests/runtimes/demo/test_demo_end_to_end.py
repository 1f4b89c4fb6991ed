"""The demo page as a person uses it, in Chromium: drawn on by pointer, finger and keys, and given an image.

A screenshot of each is written into the folder that FWEXPORT_SCREENSHOTS names, for people to look at.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Chromium, Page
from strokes import strokes

from runtimes.browser.server import PageServer
from runtimes.bundle import open_bundle
from runtimes.demo.publish import export, serve
from runtimes.demo.site import DESCRIPTION, site
from runtimes.frameworks import node

NO_PACKAGES = node.check_packages("onnxruntime-web", "@litertjs/core", "@tensorflow/tfjs-core")
pytestmark = pytest.mark.skipif(NO_PACKAGES is not None, reason=str(NO_PACKAGES))

RUNTIMES = ["litertjs", "onnxruntime_web", "tfjs_browser"]
READY = "document.documentElement.dataset.state === 'ready'"
# Every runtime that runs has answered the present image; and was timed on it.
ANSWERED = """(() => {
    const { input } = demoState();
    const live = [...document.querySelectorAll('.card')].filter(({ dataset }) => dataset.state !== 'unavailable');
    return input !== null && live.every(({ dataset }) => Number(dataset.answered) === input.serial);
})()"""
TIMED = "document.documentElement.dataset.state === 'answered'"


@pytest.fixture(scope="module")
def server(browser_bundles: dict[str, Path]) -> Iterator[PageServer]:
    serving = serve(site(open_bundle(browser_bundles["torch"])))
    yield serving
    serving.close()


@pytest.fixture(scope="module")
def shown(server: PageServer, chromium: Chromium) -> Iterator[Page]:
    """The page, with all its runtimes loaded, for all tests that need no other one."""
    with chromium.page(1280, 900) as opened:
        opened.open(server.url)
        opened.wait(READY)
        yield opened


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(os.environ.get("FWEXPORT_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def draw(page: Page, digit: str, by: str = "mouse") -> None:
    """On an empty pad, as a hand does."""
    clear(page)
    left, top, width, height = page.box("#pad")
    for points in strokes(digit):
        page.stroke([(left + x * width, top + y * height) for x, y in points], by)  # type: ignore[arg-type]


def clear(page: Page) -> None:
    if not page.evaluate("document.getElementById('clear').disabled"):
        page.click("#clear")
    page.wait("demoState().input === null")


def assert_all_say(page: Page, label: str, runtimes: Sequence[str] = RUNTIMES) -> dict[str, Any]:
    """What the page has come to: each of these runtimes gave this label, and the page says so in words."""
    state: dict[str, Any] = page.evaluate("demoState()")
    live = [one for one in state["runtimes"] if one["state"] != "unavailable"]
    assert [one["runtime"] for one in live] == list(runtimes)
    assert {one["label"] for one in live} == {label}, state
    words = "All 3" if len(live) == 3 else "Both"
    assert (state["headline"], state["agree"]) == (f"{words} runtimes say {label}", True)
    values = np.array([one["values"] for one in live])
    np.testing.assert_allclose(values, values[:1].repeat(len(live), axis=0), atol=1e-5)
    np.testing.assert_allclose(values.sum(axis=1), 1, atol=1e-5)
    assert state["headline"] in page.text()
    return state


@pytest.mark.parametrize("digit", ["3", "4", "7"])
def test_a_drawn_digit_is_right_in_every_runtime(digit: str, shown: Page, shots: Path) -> None:
    draw(shown, digit)
    shown.wait(TIMED)
    shown.screenshot(shots / f"demo-{digit}.png")
    for one in assert_all_say(shown, digit)["runtimes"]:
        assert (one["backend"], one["emulated"], one["state"]) == ("wasm", "", "ready")
        assert one["latencyMs"] > 0
        assert one["firstMs"] > 0
        assert one["loadMs"] > 0
        assert one["threads"] >= 1
        assert re.search("wasm|WebAssembly", one["proof"])
    assert shown.evaluate("crossOriginIsolated")


def test_a_digit_is_drawn_by_keyboard_alone(shown: Page, shots: Path) -> None:
    """From the top of the page: Tab to the pad, Space for the pen, arrows for the lines of a 4."""
    clear(shown)
    shown.click("#model")
    shown.press("Tab")
    assert shown.evaluate("document.activeElement.id") == "pad"

    def move(x: int, y: int) -> None:
        """Diagonally first: so many pixels of the model to the right and down."""
        while x or y:
            for count, keys in ((x, ("ArrowLeft", "ArrowRight")), (y, ("ArrowUp", "ArrowDown"))):
                if count and (abs(count) >= abs(x + y - count) or x == 0 or y == 0):
                    shown.press(keys[count > 0])
            x, y = x - _sign(x, y), y - _sign(y, x)

    move(-1, -9)
    shown.press(" ")
    move(-6, 11)
    move(14, 0)
    shown.press(" ")
    move(-5, -6)
    shown.press(" ")
    move(0, 14)
    shown.press(" ")
    shown.wait(ANSWERED)
    shown.screenshot(shots / "demo-keyboard.png")
    assert_all_say(shown, "4")
    shown.press("Delete")
    shown.wait("demoState().input === null")


def _sign(one: int, other: int) -> int:
    """The step of an axis on which a line goes at least as far as on the other one."""
    return (one > 0) - (one < 0) if abs(one) >= abs(other) or not other else 0


def test_a_dropped_image_gets_the_answer_of_the_source(
    shown: Page, server: PageServer, tmp_path: Path
) -> None:
    """So does a click on the sample: in float64 it gives these probabilities."""
    told = json.loads(bytes(server.files[DESCRIPTION]))  # type: ignore[arg-type]
    sample = told["samples"][5]
    picture = tmp_path / "five.png"
    picture.write_bytes(bytes(server.files[sample["image"]]))  # type: ignore[arg-type]
    clear(shown)
    shown.drop("#pad", picture)
    shown.wait("demoState().input?.kind === 'picture'")
    shown.wait(ANSWERED)
    for one in assert_all_say(shown, "5")["runtimes"]:
        np.testing.assert_allclose(one["values"], sample["y"], atol=1e-5)
    shown.click("#samples button:nth-child(6)")
    shown.wait("demoState().input.kind === 'sample'")
    shown.wait(ANSWERED)
    state = assert_all_say(shown, "5")
    assert "Labelled 5. " in state["detail"]
    assert "PyTorch" in state["detail"]


def test_what_is_no_image_is_refused_in_words(shown: Page, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    shown.drop("#pad", tmp_path / "notes.txt")
    assert shown.wait(
        "!document.getElementById('complaint').hidden && document.getElementById('complaint').innerText"
    )


def test_a_gpu_that_is_played_is_said(shown: Page, shots: Path) -> None:
    """Chromium's own software plays WebGL where there is no GPU; what really ran is on the card."""
    draw(shown, "4")
    shown.wait(ANSWERED)
    shown.click("[data-runtime=tfjs_browser] label:has(input[value=webgl])")
    shown.wait("demoState().runtimes[2].backend === 'webgl'")
    shown.wait(TIMED)
    state = assert_all_say(shown, "4")
    assert [one["backend"] for one in state["runtimes"]] == ["wasm", "wasm", "webgl"]
    emulated = state["runtimes"][2]["emulated"]
    if "SwiftShader" in state["runtimes"][2]["proof"]:
        assert emulated == "SwiftShader"
        assert "SwiftShader" in shown.evaluate(
            "document.querySelector('[data-runtime=tfjs_browser]').innerText"
        )
    shown.screenshot(shots / "demo-webgl.png")


def test_colours_follow_the_system(shown: Page, shots: Path) -> None:
    def brightness(what: str) -> float:
        colour = shown.evaluate(f"getComputedStyle(document.body).{what}")
        return float(np.mean([int(number) for number in re.findall(r"\d+", colour)[:3]])) / 255

    light = brightness("backgroundColor"), brightness("color")
    shown.emulate(dark=True, still=True)
    shown.screenshot(shots / "demo-dark.png")
    dark = brightness("backgroundColor"), brightness("color")
    shown.emulate()
    assert light[0] > 0.9 > 0.3 > light[1]
    assert dark[0] < 0.2 < 0.8 < dark[1]


def test_nothing_outside_is_asked_for(shown: Page, server: PageServer) -> None:
    """By no test before this one; and what the page tries all the same, it may not."""
    asked = [url for url in shown.requests if not url.startswith(("blob:", "data:"))]
    assert len(asked) > 20
    assert [url for url in asked if not url.startswith(server.url)] == []
    assert shown.problems == []
    for outside in ("http://192.0.2.1/", "http://127.0.0.1:9/", "https://elsewhere.example/"):
        assert (
            shown.evaluate(f"fetch({outside!r}).then(() => 'reached', (error) => error.message)") != "reached"
        )
    shown.wait("true")
    refused = [problem for problem in shown.problems if "Content Security Policy" in problem]
    assert len(refused) >= 3, shown.problems


def test_a_phone_is_wide_enough(bundles: dict[str, Path], chromium: Chromium, shots: Path) -> None:
    """And a runtime whose file is not in the bundle says what makes it, while the others answer."""
    serving = serve(site(open_bundle(bundles["torch"]), ["wasm"]))
    try:
        with chromium.page() as page:
            page.emulate(phone=True)
            page.open(serving.url)
            page.wait(READY)
            assert page.evaluate("innerWidth") == 390
            draw(page, "7", "finger")
            page.wait(TIMED)
            assert page.evaluate("document.documentElement.scrollWidth") == 390
            page.screenshot(shots / "demo-phone.png")
            assert_all_say(page, "7", RUNTIMES[1:])
            card = page.evaluate("document.querySelector('[data-runtime=litertjs]').innerText")
            assert "Build the bundle with --browser." in card
            small = page.evaluate(
                "[...document.querySelectorAll('button, .card label')].filter((one) => one.offsetHeight)"
                ".map((one) => one.offsetHeight).filter((height) => height < 24)"
            )
            assert small == []
    finally:
        serving.close()


def test_the_site_works_from_any_path_of_any_host(
    browser_bundles: dict[str, Path], chromium: Chromium, shots: Path, tmp_path: Path
) -> None:
    """Of one that sends no headers of its own: one thread then, and the same answers."""
    export(site(open_bundle(browser_bundles["keras"]), ["wasm"]), tmp_path / "some" / "where")
    command = [
        sys.executable,
        "-u",
        "-m",
        "http.server",
        "--bind",
        "127.0.0.1",
        "--directory",
        str(tmp_path),
        "0",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as host:
        try:
            assert host.stdout is not None
            found = re.search(r"http://127\.0\.0\.1:\d+/", host.stdout.readline())
            assert found is not None
            with chromium.page(1280, 900) as page:
                page.open(f"{found[0]}some/where/")
                page.wait(READY)
                draw(page, "3")
                page.wait(ANSWERED)
                state = assert_all_say(page, "3")
                page.screenshot(shots / "demo-static.png")
                assert not page.evaluate("crossOriginIsolated")
                assert [one["threads"] for one in state["runtimes"]] == [1, 1, 1]
                asked = [url for url in page.requests if not url.startswith(("blob:", "data:"))]
                assert [url for url in asked if not url.startswith(f"{found[0]}some/where/")] == []
                assert page.problems == []
        finally:
            host.terminate()
