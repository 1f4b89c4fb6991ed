"""The demo page without a browser: what it says of answers, how ink becomes an image, what its HTML allows."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from javascript import run_javascript

from runtimes.base import Array
from runtimes.frameworks import node

PAGE = node.SCRIPTS / "demo"
CONCLUDE = """
import { conclude } from './demo/answer.mjs';
const main = (cases) => cases.map(({ answers, failed, absent, classifies }) => conclude(answers, { failed, absent }, classifies));
"""
A, B, C = "TensorFlow.js", "ONNX Runtime Web", "LiteRT.js"


def classes(labels: dict[str, str], *failed: str, absent: Sequence[str] = ()) -> dict[str, Any]:
    answers = [{"title": title, "label": label, "values": [0.0]} for title, label in labels.items()]
    return {"answers": answers, "failed": failed, "absent": absent, "classifies": True}


def numbers(*values: list[float]) -> dict[str, Any]:
    answers = [
        {"title": title, "label": "", "values": v} for title, v in zip((A, B, C), values, strict=False)
    ]
    return {"answers": answers, "failed": [], "absent": [], "classifies": False}


SENTENCES: list[tuple[dict[str, Any], str, str, bool | None, list[str]]] = [
    (classes({A: "3", B: "3", C: "3"}), "All 3 runtimes say 3", "", True, []),
    (classes({A: "3", B: "3"}), "Both runtimes say 3", "", True, []),
    (classes({A: "3"}), f"{A} says 3", "", True, []),
    (classes({A: "3", B: "8", C: "3"}), "2 of 3 runtimes say 3", f"{B} says 8.", False, [B]),
    (classes({A: "3", B: "3"}, C), "2 of 3 runtimes say 3", f"{C} did not run.", True, []),
    (classes({A: "3", B: "3"}, absent=[C]), "Both runtimes say 3", "", True, []),
    (classes({A: "3"}, B, absent=[C]), f"{A} says 3", f"{B} did not run.", True, []),
    (classes({A: "3"}, B, C), f"{A} says 3", f"{B} and {C} did not run.", True, []),
    (classes({A: "3", B: "8"}), "The two runtimes disagree", f"{A} says 3. {B} says 8.", False, [A, B]),
    (classes({A: "3", B: "8", C: "1"}), "The runtimes disagree", f"{A} says 3. {B} says 8. {C} says 1.", False, [A, B, C]),
    (classes({A: "3", B: "8"}, C), "The two runtimes disagree", f"{A} says 3. {B} says 8. {C} did not run.", False, [A, B]),
    (classes({}, A, B, C), "", f"{A}, {B} and {C} did not run.", None, []),
    (numbers([1.0, -200.0], [1.0, -200.1], [1.1, -200.0]), "All 3 runtimes agree", "", True, []),
    (numbers([1.0, -200.0], [1.0, -201.0]), "The runtimes disagree", "", False, []),
]  # fmt: skip


def test_one_sentence_says_who_agrees() -> None:
    found = run_javascript(CONCLUDE, [case for case, *_ in SENTENCES])
    for (case, headline, rest, agree, odd), one in zip(SENTENCES, found, strict=True):
        assert (one["headline"], one["rest"], one["agree"], one["odd"]) == (headline, rest, agree, odd)
        assert one["aside"] == (f"{C} cannot run here." if case["absent"] else "")


def test_numbers_are_told_as_exactly_as_they_are_known() -> None:
    main = """
    import { distances, duration, percent, shownValues, small } from './demo/answer.mjs';
    const main = ({ numbers, shares, times, logits }) => ({
        small: numbers.map(small), percent: shares.map(percent), duration: times.map(duration),
        softmax: [...shownValues(logits, { kind: 'logits', shape: [null, 3] })],
        kept: [...shownValues(logits, { kind: 'logits', shape: [null, 3, 1, 1] })],
        apart: [distances([[0.5, 0.5], [0.25, 0.75]], [0.5, 0.4], 'PyTorch', 'Probabilities'), distances([[1]], null, 'PyTorch', 'Numbers'), distances([[1], [1]], null, '', 'Numbers')],
    });
    """
    given = {
        "numbers": [0, 2.14e-7, 9.96e-8, 0.0123, 0.5, 3.21e-10],
        "shares": [1, 0.99999, 0.999, 0.5, 0.0004, 0],
        "times": [0.3149, 12.44, 123.4, 1240],
        "logits": [1000.0, 999.0, 0.0],
    }
    found = run_javascript(main, given)
    assert found["small"] == ["0", "2.1 × 10⁻⁷", "1.0 × 10⁻⁷", "0.012", "0.5", "3.2 × 10⁻¹⁰"]
    assert found["percent"] == ["100.0 %", "> 99.9 %", "99.9 %", "50.0 %", "0.0 %", "0.0 %"]
    assert found["duration"] == ["0.31 ms", "12.4 ms", "123 ms", "1.24 s"]
    np.testing.assert_allclose(found["softmax"], np.exp([0, -1, -1000]) / (1 + np.exp(-1)), rtol=1e-15)
    assert found["kept"] == [1000, 999, 0]
    assert found["apart"] == [
        "Probabilities within 0.25 of each other and within 0.35 of PyTorch in float64.",
        "",
        "Numbers equal to each other.",
    ]


def bar(thickness: int) -> dict[str, Any]:
    """An image of an upright bar, 20 of 28 pixels high."""
    image = np.zeros((28, 28), np.uint8)
    image[4:24, 14 - thickness // 2 : 14 - thickness // 2 + thickness] = 255
    return {"height": 28, "width": 28, "data": image}


INK = """
import { inkImage, inkStyle } from './demo/ink.mjs';
const main = ({ drawings, images }) => {
    const style = inkStyle(images);
    return { style, made: drawings.map((strokes) => inkImage(strokes, { height: 28, width: 28 }, style)) };
};
"""


def stroke(*points: tuple[float, float]) -> list[dict[str, float]]:
    return [{"x": x, "y": y} for x, y in points]


def drawn(
    drawings: list[list[list[dict[str, float]]]], images: list[dict[str, Any]]
) -> tuple[Any, list[Array]]:
    found = run_javascript(INK, {"drawings": drawings, "images": images})
    return found["style"], [one and one["data"].reshape(28, 28) for one in found["made"]]


def test_ink_takes_the_size_and_the_thickness_that_the_data_have() -> None:
    """A long bar is measured as it was made, and the same bar drawn in a corner becomes that image again."""
    style, (small_one, large_one) = drawn(
        [[stroke((0.1, 0.05), (0.1, 0.2))], [stroke((0.9, 0.0), (0.9, 0.5), (0.9, 1.0))]], [bar(4)] * 3
    )
    assert style["box"] == pytest.approx(20 / 28)
    assert style["pen"] == pytest.approx(4 / 28, rel=0.2)
    assert style["soft"] == pytest.approx(1 / 28, rel=0.1)
    np.testing.assert_array_equal(small_one, large_one)
    middle = bar(4)["data"][6:22]
    assert np.abs(small_one[6:22].astype(int) - middle).max() <= 128, "more than the bar's edges differ"
    assert np.flatnonzero(small_one.max(1) > 64).tolist() == list(range(4, 24))
    np.testing.assert_array_equal(small_one, small_one[:, ::-1])


def test_soft_data_make_soft_ink() -> None:
    sharp = bar(4)
    blurred = sharp | {"data": sharp["data"].copy()}
    for column, value in ((10, 64), (11, 128), (12, 191), (15, 191), (16, 128), (17, 64)):
        blurred["data"][4:24, column] = value
    drawing = [[stroke((0.5, 0.0), (0.5, 1.0))]]
    (hard_style, (hard,)), (soft_style, (soft,)) = drawn(drawing, [sharp]), drawn(drawing, [blurred])
    assert soft_style["soft"] > 2 * hard_style["soft"]
    assert np.abs(np.diff(soft[14].astype(int))).max() < np.abs(np.diff(hard[14].astype(int))).max()


def test_a_dot_is_ink_and_an_empty_pad_is_none() -> None:
    _, (nothing, dot) = drawn([[], [stroke((0.2, 0.7))]], [])
    assert nothing is None
    assert dot[13:15, 13:15].min() > 200
    assert np.count_nonzero(dot) <= 16


TURNS = """
import { Turns } from './demo/turns.mjs';

// Three runtimes that only note what is asked of them, and how many are at work at once.
const log = [];
let busy = 0;
async function work(what) {
    log.push([what, ++busy]);
    await new Promise((resolve) => setTimeout(resolve, 5));
    busy -= 1;
}
class Noted {
    state = 'waiting';
    answered = 0;
    measured = 0;
    constructor(name) { this.name = name; }
    get isLive() { return this.state === 'ready'; }
    get isSettled() { return this.state !== 'waiting'; }
    async load() {
        await work(`load ${this.name}`);
        this.state = this.name === 'b' ? 'failed' : 'ready';
    }
    async answer(image, serial) {
        await work(`${this.name} ${image}`);
        this.answered = serial;
    }
    async measure(image, serial, isWanted) {
        await work(`time ${this.name} ${image}`);
        this.measured = isWanted() ? serial : this.measured;
    }
}
const until = async (turns, state) => {
    while (turns.state !== state) {
        await new Promise((resolve) => setTimeout(resolve, 5));
    }
};
const main = async () => {
    let isDrawing = false;
    const turns = new Turns(['a', 'b', 'c'].map((name) => new Noted(name)), { isDrawing: () => isDrawing, changed() {} });
    const states = [turns.state];
    await turns.load();
    states.push(turns.state);
    isDrawing = true;
    globalThis.requestAnimationFrame = setImmediate;
    turns.ask('one');
    states.push(turns.state);
    await new Promise((resolve) => setTimeout(resolve, 500));
    isDrawing = false;
    turns.ask('two');
    await until(turns, 'answered');
    return { states, log: log.map(([what]) => what), most: Math.max(...log.map(([, busy]) => busy)) };
};
"""


def test_one_runtime_works_at_a_time_and_none_is_timed_while_somebody_draws() -> None:
    found = run_javascript(TURNS, None)
    assert found["states"] == ["loading", "ready", "running"]
    assert found["log"] == [
        *("load a", "load b", "load c"),
        *("a one", "c one"),
        *("a two", "c two", "time a two", "time c two"),
    ]
    assert found["most"] == 1


class Page(HTMLParser):
    """The ids, links and inline scripts of index.html."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.inline: list[str] = []
        self.policy = ""
        self.is_script = False
        self.feed((PAGE / "index.html").read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given[name] for name in ("src", "href") if name in given]
        self.is_script = tag == "script" and "src" not in given
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"]
        assert tag != "style", "an inline style would need a hash"
        assert not any(name == "style" or name.startswith("on") for name in given), given

    def handle_data(self, data: str) -> None:
        if self.is_script and data.strip():
            self.inline.append(data)


def test_the_page_allows_itself_nothing_from_elsewhere() -> None:
    page = Page()
    assert all(re.match(r"modules/demo/[\w.]+$", link) for link in page.links), page.links
    hashes = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in page.inline]
    assert re.findall(r"'sha256-([^']+)'", page.policy) == hashes
    rules = dict(rule.split(maxsplit=1) for rule in page.policy.split(";"))
    assert rules["default-src"] == "'self'"
    assert "unsafe-inline" not in page.policy
    assert "'unsafe-eval'" not in page.policy
    outside = r"""(?<!xmlns=")https?://"""
    written = {path.name: path.read_text() for path in PAGE.iterdir()}
    assert not [name for name, text in written.items() if re.search(outside, text)]


def test_every_part_that_the_script_asks_for_is_in_the_page() -> None:
    page = Page()
    asked = re.findall(r"part\('(\w+)'\)", (PAGE / "demo.mjs").read_text())
    assert set() < set(asked) <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
