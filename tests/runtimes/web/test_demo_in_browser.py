"""The demo page in a real browser, on engines whose answers are known: what it shows, takes and survives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Page
from PIL import Image

from runtimes.base import Array
from runtimes.browser.server import PageServer
from runtimes.frameworks import node
from runtimes.images import read_image

WEB = node.SCRIPTS
FAKE = Path(__file__).with_name("fake_engine.mjs")
INPUT = {"name": "x", "dtype": "float32", "shape": [None, 1, 20, 20], "layout": "NCHW", "kind": "image"}
OUTPUT = {"name": "scores", "dtype": "float32", "shape": [None, 10], "layout": "NC", "kind": "logits"}
ANSWERED = "document.documentElement.dataset.state === 'answered'"
READY = "document.documentElement.dataset.state === 'ready'"


def png(image: Array, **options: Any) -> bytes:
    content = BytesIO()
    Image.fromarray(image).save(content, "PNG", **options)
    return content.getvalue()


def band(k: int) -> Array:
    """The image of class k."""
    image = np.zeros((20, 20), np.uint8)
    image[2 * k : 2 * k + 2] = 255
    return image


def probabilities(k: int) -> list[float]:
    powers = np.exp(np.where(np.arange(10) == k, 2.0, 0.0))
    return list(powers / powers.sum())


def entry(runtime: str, title: str, backend: str = "wasm", url: str = "right", **more: Any) -> dict[str, Any]:
    place = {"module": "fake_engine.mjs", "url": f"models/{url}.json", "packages": "packages/", "bytes": 1000}
    specs = {"inputs": [INPUT], "outputs": [OUTPUT]}
    return {
        "runtime": runtime,
        "title": title,
        "version": "1.2.3",
        "backend": backend,
        **place,
        **specs,
        **more,
    }


RIGHT = [entry("a", "Alpha"), entry("a", "Alpha", "webgl"), entry("b", "Beta"), entry("c", "Gamma")]


def site(runtimes: list[dict[str, Any]], **more: Any) -> dict[str, Path | bytes]:
    described = {
        "model": "bands",
        "labels": list("0123456789"),
        "source": "torch",
        "input": INPUT,
        "output": OUTPUT,
        "preprocessing": [
            {"op": "resize", "height": 20, "width": 20, "filter": "box"},
            {"op": "scale", "factor": 1 / 255},
        ],
        "drawable": True,
        "samples": [
            {"image": f"samples/{k}.png", "label": str(k), "top1": k, "y": probabilities(k)} for k in (3, 7)
        ],
        "hint": "",
        "isolated": False,
        "runtimes": runtimes,
        **more,
    }
    models = {
        "right": {},
        "shifted": {"shift": 1},
        "broken": {"breaks": "out of luck"},
        "slow": {"waits": True},
    }
    page = [path for path in (WEB / "demo").iterdir() if path.name != "index.html"]
    return {
        "index.html": WEB / "demo" / "index.html",
        "demo.json": json.dumps(described).encode(),
        "modules/preprocess.mjs": WEB / "preprocess.mjs",
        "modules/fake_engine.mjs": FAKE,
        **{f"modules/demo/{path.name}": path for path in page},
        **{f"samples/{k}.png": png(band(k)) for k in (3, 7)},
        **{f"models/{name}.json": json.dumps(model).encode() for name, model in models.items()},
    }


@pytest.fixture
def server() -> Iterator[PageServer]:
    started = PageServer({"index.html": WEB / "demo" / "index.html"})
    yield started
    started.close()


def opened(page: Page, server: PageServer, runtimes: list[dict[str, Any]], **more: Any) -> None:
    server.files = site(runtimes, **more)
    page.open(server.url)
    page.wait(READY)


def told(page: Page) -> Any:
    return page.evaluate("demoState()")


def states(page: Page) -> list[tuple[str, str]]:
    return [(one["state"], one["label"]) for one in told(page)["runtimes"]]


def take_sample(page: Page, n: int) -> None:
    page.click(f"#samples button:nth-child({n})")
    page.wait(f"demoState().input && {ANSWERED}")


def test_a_sample_is_answered_by_all_and_compared_with_the_source(page: Page, server: PageServer) -> None:
    opened(page, server, RIGHT)
    take_sample(page, 2)
    found = told(page)
    assert (found["headline"], found["agree"]) == ("All 3 runtimes say 7", True)
    assert found["detail"].startswith("Labelled 7. Probabilities equal to each other and within ")
    assert found["detail"].endswith(" × 10⁻⁷ of PyTorch in float64.")
    for one in found["runtimes"]:
        np.testing.assert_allclose(one["values"], probabilities(7), rtol=1e-6)
        assert min(one["latencyMs"], one["loadMs"], one["firstMs"], one["runs"]) > 0
    cards = page.evaluate("[...document.querySelectorAll('.card')].map((card) => ({ ...card.dataset }))")
    assert [(c["runtime"], c["backend"], c["state"], c["top1"]) for c in cards] == [
        (name, "wasm", "ready", "7") for name in "abc"
    ]
    assert page.evaluate("document.documentElement.dataset.agree") == "true"
    assert page.evaluate("document.getElementById('spoken').textContent").startswith("All 3 runtimes say 7.")
    rows = page.evaluate(
        "[...document.querySelectorAll('.card:first-of-type tr')].map((row) => row.textContent)"
    )
    assert rows[6:8] == ["66.1 %", "745.1 %"]
    assert page.text().count("WebAssembly, 1 thread\n") == 3
    assert not page.problems
    assert all(url.startswith(server.url) for url in page.requests)


def test_the_one_that_says_something_else_is_named(page: Page, server: PageServer) -> None:
    opened(page, server, [*RIGHT[2:], entry("d", "Delta", url="shifted")])
    take_sample(page, 1)
    found = told(page)
    assert (found["headline"], found["rest"]) == ("2 of 3 runtimes say 3", "Delta says 4.")
    assert (found["agree"], found["odd"]) == (False, ["Delta"])
    assert (
        page.evaluate("[...document.querySelectorAll('.odd')].map((card) => card.dataset.runtime).join()")
        == "d"
    )


def test_what_does_not_run_says_why_and_the_others_go_on(page: Page, server: PageServer) -> None:
    without = {"runtime": "d", "title": "Delta", "backend": "wasm", "reason": "Build it with --browser"}
    opened(
        page,
        server,
        [entry("a", "Alpha", url="broken"), without, entry("e", "Epsilon", url="none"), RIGHT[2]],
    )
    take_sample(page, 1)
    assert states(page) == [("failed", None), ("unavailable", None), ("failed", None), ("ready", "3")]
    assert told(page)["headline"] == "Beta says 3"
    assert told(page)["rest"] == "Alpha and Epsilon did not run."
    assert told(page)["detail"].endswith(" Delta cannot run here.")
    notes = page.evaluate("[...document.querySelectorAll('.note')].map((note) => note.textContent)")
    assert notes[:2] == ["Out of luck", "Build it with --browser"]
    assert notes[3] == ""


def test_what_was_never_exported_is_no_fault_and_offers_no_choice(page: Page, server: PageServer) -> None:
    lacks = [
        entry("d", "Delta", name, reason=f"{name} takes a file of one size.") for name in ("webgl", "js")
    ]
    opened(page, server, [*RIGHT[:3], *lacks])
    take_sample(page, 1)
    assert [told(page)[name] for name in ("headline", "rest", "odd")] == ["Both runtimes say 3", "", []]
    assert told(page)["detail"].endswith(" Delta cannot run here.")
    assert "WebGL takes a file of one size." in page.text()
    switches = "[...document.querySelectorAll('.card')].map((card) => card.querySelectorAll('input').length)"
    assert page.evaluate(switches) == [2, 0, 0]


def test_a_backend_is_switched_and_never_replaced_in_silence(page: Page, server: PageServer) -> None:
    opened(page, server, RIGHT)
    take_sample(page, 1)
    page.click("input[name=backend-a][value=webgl]")
    page.wait(f"demoState().runtimes[0].state === 'unavailable' && {ANSWERED}")
    assert told(page)["runtimes"][0]["message"] == "the browser gives no context"
    assert told(page)["headline"] == "Both runtimes say 3"
    page.click("input[name=backend-a][value=wasm]")
    page.wait(f"demoState().runtimes[0].state === 'ready' && {ANSWERED}")
    assert (told(page)["headline"], told(page)["runtimes"][0]["proof"]) == ("All 3 runtimes say 3", "on wasm")


@pytest.mark.parametrize("last", ["js", "wasm"])
def test_a_runtime_left_while_it_starts_is_not_the_one_that_was_chosen(
    page: Page, server: PageServer, last: str
) -> None:
    """Its first run ends after the switch, to another backend or there and back."""
    server.files = site([entry("a", "Alpha", url="slow"), entry("a", "Alpha", "js"), RIGHT[2]])
    page.open(server.url)
    page.wait("Boolean(window.goOn)")
    for backend in dict.fromkeys(("js", last)):
        page.click(f"input[name=backend-a][value={backend}]")
    page.evaluate("goOn()")
    page.evaluate("delete window.goOn")
    if last == "wasm":
        page.wait("Boolean(window.goOn)")
        assert told(page)["runtimes"][0]["state"] == "starting"
        page.evaluate("goOn()")
    page.wait(READY)
    take_sample(page, 1)
    found = told(page)["runtimes"][0]
    assert (found["state"], found["backend"], found["proof"]) == ("ready", last, f"on {last}")
    assert (found["label"], found["message"]) == ("3", "")


def test_a_runtime_that_starts_too_late_has_failed(page: Page, server: PageServer) -> None:
    opened(page, server, [RIGHT[2], entry("a", "Alpha", "js"), entry("a", "Alpha", url="slow")])
    page.evaluate(
        """void (window.later = setTimeout, window.setTimeout = (call, wait, ...more) =>
            later(call, wait === 120000 ? 300 : wait, ...more))"""
    )
    page.click("input[name=backend-a][value=wasm]")
    page.wait("window.goOn && demoState().runtimes[1].state === 'failed'")
    page.evaluate("goOn()")
    take_sample(page, 1)
    found = told(page)["runtimes"]
    assert [(one["state"], one["label"]) for one in found] == [("ready", "3"), ("failed", None)]
    assert found[1]["message"].startswith("it did not start within ")


def test_it_is_drawn_by_keys_alone(page: Page, server: PageServer) -> None:
    """A line over the whole height in the middle: ink in every band, and the pad says what the pen does."""
    opened(page, server, RIGHT)
    spoken = "document.getElementById('spoken').textContent"
    page.press("Tab")
    assert page.evaluate("document.activeElement.id") == "pad"
    page.press(" ")
    page.wait(f"{spoken} === 'Pen down'")
    for _ in range(12):
        page.press("ArrowDown")
    page.press(" ")
    page.wait(f"demoState().input?.kind === 'ink' && {ANSWERED}")
    assert len(set(states(page))) == 1
    page.press("z", modifiers=2)
    page.wait("demoState().input === null")
    page.press(" ")
    page.wait("demoState().input !== null")
    page.press("Delete")
    page.wait(f"demoState().input === null && {READY}")
    page.press("Tab")
    assert page.evaluate("document.activeElement.id") == "open", "nothing to undo or to clear"


def test_undo_leaves_a_picture_alone_and_clearing_ends_a_stroke(page: Page, server: PageServer) -> None:
    opened(page, server, RIGHT)
    take_sample(page, 2)
    page.evaluate("document.getElementById('pad').focus()")
    page.press("z", modifiers=2)
    assert told(page)["headline"] == "All 3 runtimes say 7"
    left, top, width, height = page.box("#pad")
    for name, share in (
        ("mousePressed", 0.2),
        ("mouseMoved", 0.4),
        ("", 0),
        ("mouseMoved", 0.6),
        ("mouseReleased", 0.8),
    ):
        if name:
            at = {"x": left + share * width, "y": top + share * height, "button": "left", "buttons": 1}
            page.call("Input.dispatchMouseEvent", type=name, clickCount=1, **at)
        else:
            page.press("Delete")
    page.wait(f"demoState().input === null && {READY}")
    assert not page.problems


def test_what_is_drawn_before_the_page_knows_its_model_is_answered(page: Page, server: PageServer) -> None:
    """By the style of the samples too, once they are here: what the same stroke gives later."""
    server.files = site(RIGHT)
    page.call(
        "Page.addScriptToEvaluateOnNewDocument",
        source="""const get = fetch; const hold = new Promise((resolve) => { window.begin = resolve; });
            window.fetch = async (...what) => { await hold; return get(...what); };""",
    )
    page.open(server.url)
    page.wait("document.documentElement.classList.contains('started')")
    assert "Nothing happens?" not in page.text()
    left, top, width, height = page.box("#pad")
    page.stroke([(left + width / 2, top + height * share) for share in np.linspace(0.2, 0.8, 12)])
    page.evaluate("begin()")
    page.wait(
        f"document.querySelectorAll('#samples button').length === 2 && demoState().input?.kind === 'ink' && {ANSWERED}"
    )
    seen = "document.getElementById('seen').toDataURL()"
    early = page.evaluate(seen)
    page.click("#clear")
    page.stroke([(left + width / 2, top + height * share) for share in np.linspace(0.2, 0.8, 12)])
    page.wait(f"demoState().input?.kind === 'ink' && {ANSWERED}")
    assert page.evaluate(seen) == early


def test_ink_is_not_kept_where_none_is_taken(page: Page, server: PageServer) -> None:
    opened(page, server, RIGHT, drawable=False)
    assert not page.evaluate("document.getElementById('pad').hasAttribute('tabindex')")
    left, top, width, height = page.box("#pad")
    page.stroke([(left + width * share, top + height * share) for share in (0.3, 0.5, 0.7)])
    assert told(page)["input"] is None


def test_a_finger_draws_and_does_not_scroll(page: Page, server: PageServer) -> None:
    page.emulate(phone=True, dark=True, still=True)
    opened(page, server, RIGHT)
    left, top, width, height = page.box("#pad")
    line = [(left + width / 2, top + height * share) for share in np.linspace(0.9, 0.1, 12)]
    page.stroke(line, by="finger")
    page.wait(f"demoState().input?.kind === 'ink' && {ANSWERED}")
    assert page.evaluate("[scrollX, scrollY]") == [0, 0]
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.call("Emulation.setDeviceMetricsOverride", width=320, height=640, deviceScaleFactor=1, mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    ink = page.evaluate(
        "[...document.getElementById('seen').getContext('2d').getImageData(0, 0, 20, 20).data]"
        ".filter((_, i) => i % 4 === 0)"
    )
    seen = np.array(ink).reshape(20, 20)
    assert seen[:, :4].max() == 0, "the line is in the middle of what the model sees"
    assert (seen[6:14].max(1) > 200).all()


def test_a_file_is_an_image_or_said_to_be_none(page: Page, server: PageServer, tmp_path: Path) -> None:
    photo = np.zeros((200, 100, 3), np.uint8)
    photo[60:80] = 255
    (tmp_path / "photo.png").write_bytes(png(photo))
    (tmp_path / "notes.png").write_text("no image")
    opened(page, server, RIGHT)
    page.choose("#file", tmp_path / "notes.png")
    page.wait(
        "document.getElementById('complaint').innerText === 'This is no image that the browser can read.'"
    )
    page.click("#pad")
    page.wait("document.getElementById('complaint').hidden && demoState().input?.kind === 'ink'")
    page.choose("#file", tmp_path / "notes.png")
    page.wait("!document.getElementById('complaint').hidden")
    page.choose("#file", tmp_path / "photo.png")
    page.wait(f"demoState().input?.kind === 'picture' && {ANSWERED}")
    assert told(page)["headline"] == "All 3 runtimes say 3"
    assert page.evaluate("document.getElementById('complaint').hidden")


def test_a_file_read_too_late_gives_way_to_what_came_after_it(
    page: Page, server: PageServer, tmp_path: Path
) -> None:
    """Neither its picture nor its complaint comes when a person draws by then."""
    (tmp_path / "notes.png").write_text("no image")
    (tmp_path / "band.png").write_bytes(png(band(3)))
    opened(page, server, RIGHT)
    page.evaluate(
        """void (window.read = createImageBitmap, window.waiting = [], window.createImageBitmap = async (...image) => {
            await new Promise((resolve) => waiting.push(resolve));
            return read(...image);
        })"""
    )
    left, top, width, height = page.box("#pad")
    for name in ("notes.png", "band.png"):
        page.choose("#file", tmp_path / name)
        page.wait("waiting.length > 0")
        page.stroke([(left + width * share, top + height * share) for share in (0.3, 0.5, 0.7)])
        page.wait(f"demoState().input?.kind === 'ink' && {ANSWERED}")
        drawn = told(page)["input"]
        # Each of the two steps of reading a file may wait here.
        for _ in range(3):
            page.evaluate("waiting.splice(0).forEach((go) => go()), new Promise((go) => setTimeout(go, 50))")
        assert told(page)["input"] == drawn, name
        assert page.evaluate("document.getElementById('complaint').hidden"), name


@pytest.mark.parametrize(
    ("secure", "why"),
    [(True, "does not send the headers COOP and COEP"), (False, "need https, or localhost")],
)
def test_one_thread_has_a_reason(page: Page, server: PageServer, secure: bool, why: str) -> None:
    """A page by http from another machine is not isolated whatever its host sends."""
    said = "document.getElementById('threads').textContent"
    opened(page, server, RIGHT)
    assert page.evaluate(said) == ""
    server.headers = {}
    source = f"Object.defineProperty(window, 'isSecureContext', {{ value: {json.dumps(secure)} }})"
    page.call("Page.addScriptToEvaluateOnNewDocument", source=source)
    opened(page, server, RIGHT)
    assert page.evaluate(said).startswith("Each runtime has one thread: ")
    assert why in page.evaluate(said)


def test_nothing_moves_when_results_arrive(page: Page, server: PageServer) -> None:
    """Not even by a long title beside the answer."""
    page.call("Emulation.setDeviceMetricsOverride", width=1280, height=900, deviceScaleFactor=1, mobile=False)
    opened(page, server, [RIGHT[0], entry("b", "ONNX Runtime Web"), RIGHT[3]])
    tops = "[...document.querySelectorAll('.card table')].map((table) => table.getBoundingClientRect().top)"
    before = page.evaluate(tops)
    page.evaluate(
        """void (window.moved = 0, new PerformanceObserver((list) => {
            window.moved = list.getEntries().reduce((sum, { value }) => sum + value, window.moved);
        }).observe({ type: 'layout-shift' }))"""
    )
    left, top, width, height = page.box("#pad")
    page.stroke([(left + width / 2, top + height * share) for share in np.linspace(0.1, 0.9, 30)])
    page.wait(f"demoState().input && {ANSWERED}")
    assert page.evaluate("window.moved") < 0.01
    assert page.evaluate(tops) == before


def test_a_site_that_is_not_whole_says_so(page: Page, server: PageServer) -> None:
    """Without a sample the rest works; without its description nothing can, and the page says which file that is."""
    opened(page, server, RIGHT, samples=[{"image": "samples/none.png", "label": None, "top1": 1, "y": []}])
    assert page.evaluate("document.querySelectorAll('#samples button').length") == 0
    del server.files["demo.json"]
    page.open(server.url)
    page.wait("document.documentElement.dataset.state === 'failed'")
    assert "This page cannot read its demo.json" in page.text()
    assert "/demo.json: 404" in page.text()


def pictures(folder: Path) -> dict[str, Path]:
    """One file of each kind that browsers and Pillow read alike."""
    random = np.random.default_rng(3)
    rgba = random.integers(0, 256, (12, 20, 4), np.uint8)
    rgba[:6, :, 3] = 0
    smooth = np.linspace(0, 255, 40 * 24).reshape(24, 40).astype(np.uint8)
    photo = Image.fromarray(np.stack([smooth, smooth[::-1], smooth[:, ::-1]], -1))
    made: dict[str, tuple[Image.Image, dict[str, Any]]] = {
        "rgb.png": (Image.fromarray(rgba[..., :3].copy()), {}),
        "rgba.png": (Image.fromarray(rgba), {}),
        "grey.png": (Image.fromarray(rgba[..., 0].copy()), {}),
        "la.png": (Image.fromarray(rgba[..., :2].copy(), "LA"), {}),
        "palette.png": (Image.fromarray(rgba[..., :3].copy()).quantize(16), {}),
        "photo.jpg": (photo, {"quality": 95}),
    }
    for turn in range(2, 9):
        exif = Image.Exif()
        exif[0x0112] = turn
        made[f"turned{turn}.jpg"] = (photo, {"exif": exif, "quality": 95})
    for name, (image, options) in made.items():
        image.save(folder / name, **options)
    return {name: folder / name for name in made}


def test_an_image_file_has_the_pixels_that_python_reads(
    page: Page, server: PageServer, tmp_path: Path
) -> None:
    """Turned by its EXIF data, with the colours below transparency: so that both make the same input of it."""
    files = pictures(tmp_path)
    server.files = {
        "index.html": b"<!doctype html>",
        "pictures.mjs": WEB / "demo" / "pictures.mjs",
        **{f"files/{name}": path for name, path in files.items()},
    }
    page.open(server.url)
    found = page.evaluate(
        f"""import('./pictures.mjs').then(({{ readPicture }}) => Promise.all({json.dumps(list(files))}.map(async (name) => {{
            const picture = await readPicture(await (await fetch('files/' + name)).blob());
            return {{ ...picture, data: [...picture.data] }};
        }})))"""
    )
    for (name, path), one in zip(files.items(), found, strict=True):
        wanted = read_image(path)
        pixels = np.array(one["data"]).reshape(one["height"], one["width"], 3)
        assert pixels.shape[:2] == wanted.shape[:2], name
        furthest = np.abs(pixels - wanted.astype(int)).max()
        assert furthest <= (2 if name.endswith("jpg") else 0), (name, furthest)
