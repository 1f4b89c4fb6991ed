"""Both formats: the same content, nothing hostile, nothing left open, and a page that stands alone."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
import report_sample as sample

from runtimes.report import report

VOID = {"meta", "link", "br", "wbr", "hr", "img", "input", "path", "line", "polyline", "use"}


class Page(HTMLParser):
    """Its text, its tags and attributes, and whether they nest."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("th", "td", "li"):
            self.cells.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert tag not in VOID
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            return
        self.words.append(data)
        if {"th", "td", "li"} & set(self.open):
            self.cells[-1] += data

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


@pytest.fixture(scope="module", params=["good", "ugly"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("report") / request.param
    {"good": sample.write_all, "ugly": sample.write_ugly}[request.param](made)
    report(made)
    return made


@pytest.fixture
def markdown(folder: Path) -> str:
    return (folder / "report.md").read_text()


@pytest.fixture
def html(folder: Path) -> str:
    return (folder / "report.html").read_text()


def rows(folder: Path, name: str) -> list[dict[str, object]]:
    files = sorted(folder.glob(f"*/{name}.json"))
    return [row for file in files for row in msgspec.json.decode(file.read_bytes())["rows"]]


def name_of(row: dict[str, object]) -> str:
    return "/".join(str(row[key]) for key in ("source", "artifact", "runtime", "device", "backend"))


def table_lines(markdown: str, after: str) -> list[str]:
    """The body of the first table after these words."""
    lines = markdown[markdown.index(after) :].split("\n\n")[1].splitlines()
    return lines[2:]


def test_every_verdict_is_in_both(folder: Path, markdown: str, html: str) -> None:
    lines = table_lines(markdown, "**Verdict on each row**")
    judged = rows(folder, "verify")
    assert len(lines) == len(judged)
    cells = Page(html).cells
    for row in judged:
        assert [line for line in lines if name_of(row) in line and f" {row['outcome']} " in line]
        assert name_of(row) in cells


def test_classes_come_with_their_intervals(folder: Path, markdown: str, html: str) -> None:
    lines = table_lines(markdown, "**Classes on the held-out samples**")
    named = [row for row in rows(folder, "verify") if row["top1_agreement"] is not None]
    assert len(lines) == len(named)
    cells = Page(html).cells
    for row in named:
        right = row["outcome"] == "passed"
        said = ["98.98 to 100 %", "0.00", "-1.06 to +1.06", "1.00"]
        said = said if right else ["88.64 to 94.54 %", "-6.67", "-9.89 to -4.14", "3.0e-06"]
        (line,) = [line for line in lines if name_of(row) in line]
        assert all(f" {text} " in line for text in said)
        assert set(said) <= set(cells)


def test_every_timing_is_in_both(folder: Path, markdown: str, html: str) -> None:
    cells = Page(html).cells
    for batch in (1, 32):
        lines = table_lines(markdown, f"**Batch {batch}**")
        timed = [row for row in rows(folder, "bench") if row["batch"] == batch]
        assert len(lines) == len(timed)
        for row in timed:
            assert any(name_of(row) in line for line in lines)
            assert name_of(row) in cells


def test_every_artifact_is_in_both(folder: Path, markdown: str, html: str) -> None:
    cells = Page(html).cells
    for file in folder.glob("*/manifest.json"):
        manifest = msgspec.json.decode(file.read_bytes())
        for artifact in manifest["artifacts"]:
            assert artifact["sha256"][:12] in markdown
            assert artifact["sha256"][:12] in cells
            assert f"{manifest['source']['framework']}/{artifact['format']}" in cells


def test_the_sections_come_in_their_order(markdown: str, html: str) -> None:
    titles = ["PyTorch and Keras, side by side", "Artifacts", "Verdicts", "Which to deploy", "Latency"]
    titles += ["Cold start and memory", "Agreement", "Failures, notes and running it again"]
    if "flatten order" in markdown:
        titles.insert(3, "Explanations")
    assert re.findall(r"^## (.*)$", markdown, re.M) == titles
    assert re.findall(r"<h2[^>]*>(.*)</h2>", html) == titles


def test_every_reason_is_in_both(folder: Path, markdown: str, html: str) -> None:
    page = Page(html).text
    for row in rows(folder, "verify"):
        if "<" not in str(row["reason"]):
            assert str(row["reason"]) in markdown
            assert str(row["reason"]).replace("`", "") in page.replace("`", "")


def test_what_people_wrote_does_nothing(markdown: str, html: str) -> None:
    for text in (markdown, html):
        assert "<script" not in text
        assert "\x1b" not in text
        assert not [c for c in text if c != "\n" and not c.isprintable()]
    assert "](" not in markdown.replace(r"\](", "")
    assert "javascript" not in html
    for tag, attributes in Page(html).tags:
        assert tag not in {"script", "img", "iframe", "object", "form", "base"}
        assert not [key for key in attributes if key.startswith("on")]


def test_each_line_of_a_markdown_table_has_its_cells(markdown: str) -> None:
    for block in markdown.split("\n\n"):
        if block.startswith("|"):
            counts = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
            assert len(counts) == 1, block


def test_the_page_needs_nothing_else(html: str) -> None:
    page = Page(html)
    for _, attributes in page.tags:
        for key in ("src", "href", "srcset", "action", "data", "poster"):
            assert (attributes.get(key) or "#").startswith(("#", "data:"))
    styles = re.findall(r"<style>.*?</style>", html, re.S)
    assert len(styles) == 1
    assert "url(" not in styles[0]
    assert "@import" not in styles[0]
    assert len(html.encode()) < 300_000


def test_the_page_can_be_read_by_anyone(html: str) -> None:
    page = Page(html)
    assert page.tags[0][0] == "html"
    assert page.tags[0][1]["lang"] == "en"
    assert all(attributes.get("scope") in ("col", "row") for tag, attributes in page.tags if tag == "th")
    shown = [a for tag, a in page.tags if tag == "svg" and a.get("aria-hidden") != "true"]
    assert all(attributes.get("aria-label") for attributes in shown)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {str(a["href"])[1:] for tag, a in page.tags if tag == "a"}
    assert links <= set(ids)
    assert next(tag for tag, _ in page.tags if tag in ("h1", "h2", "h3")) == "h1"


def test_the_page_suits_a_phone_and_a_printer(html: str) -> None:
    assert 'name="viewport" content="width=device-width' in html
    assert "@media screen and (prefers-color-scheme: dark)" in html
    assert "@media print" in html


def test_the_head_of_each(folder: Path, markdown: str, html: str) -> None:
    page = Page(html).text
    if folder.name == "ugly":
        assert "**✗ failed: 11 of 14 rows passed**" in markdown
        for text in (markdown, page):
            assert (
                "1 crashed, 1 mismatch, 1 unavailable, 1 of 12 exports failed, 1 of 14 timings failed" in text
            )
            assert "2026-03-04 10:21 UTC" in text
        assert "fwexport bench ugly/torch" in page
    else:
        assert "**✓ passed: 14 of 14 rows passed**" in markdown
        assert "14 of 14 rows passed" in page
        for text in (markdown, page):
            assert "AMD EPYC 7B13, 2 cores of 4, 8.34 GB, no NVIDIA GPU, virtual machine" in text
            assert "tensorflow 2.21.0, torch 2.13.0" in text
            assert "other programs were running: load 3.1 on 2 cores" in text
            assert "the host took 4 % of the CPU time for others. What helps: measure on a dedicated" in text
            assert "The machine was set up with turbo off, SMT on, OMP_NUM_THREADS=2." in text
            assert "the machine (load, steal) and 4 of 28 timings: see Latency" in text
            assert "The least agreement is 98.6 % of 360 held-out samples" in text


def test_a_fault_is_never_called_the_fastest(folder: Path, markdown: str) -> None:
    sentence = next(line for line in markdown.splitlines() if line.startswith("The fastest: "))
    wrong = {name_of(row) for row in rows(folder, "verify") if row["outcome"] != "passed"}
    assert not [name for name in wrong if name in sentence]
    assert "at batch 1 `" in sentence
    assert "at batch 32 `" in sentence


def test_every_cold_start_and_memory_is_in_both(folder: Path, markdown: str, html: str) -> None:
    cells = Page(html).cells
    for table in ("**Cold start**", "**Memory and file size**"):
        names = {name_of(row) for row in rows(folder, "bench") if row["compute"]}
        lines = table_lines(markdown, table)
        assert len(lines) == len(names)
        for name in names:
            assert any(name in line for line in lines)
            assert name in cells
