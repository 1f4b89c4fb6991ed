"""Every file in ``samples/`` is run as a person runs it: by the command in its README, in a process of its own."""

from __future__ import annotations

import ast
import functools
import html.parser
import http.server
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from browser import Page
from PIL import Image
from serving import serving

from runtimes.frameworks import node

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "samples"
SOURCES = ("torch", "keras")
RUNTIMES = ("torchscript", "onnx", "savedmodel", "tflite", "keras")
PACKAGES = ("@tensorflow/tfjs-core", "@tensorflow/tfjs-converter", "@tensorflow/tfjs-backend-wasm")
PAGES = ("web/litertjs.html", "web/onnxruntime.html", "web/tfjs.html")

NO_NODE = node.check(*PACKAGES)
NO_PACKAGES = node.check_packages(*PACKAGES, "onnxruntime-web", "@litertjs/core", "@litertjs/wasm-utils")


def readme() -> dict[str, str]:
    """The command of each sample, from the table in the README."""
    rows = re.findall(
        r"^\| \[(\S+)\]\(\1\) \| .* \| `([^`]+)` \|$", (SAMPLES / "README.md").read_text(), re.M
    )
    return dict(rows)


def run(sample: str, cwd: Path, bundle: Path | None = None) -> str:
    """What the README's command for this sample prints, when it ends well."""
    printed = ""
    for command in readme()[sample].split(" && "):
        words = [_replaced(word, bundle) for word in shlex.split(command)]
        if sample.endswith(".mjs") and words[0] != sys.executable and node.web_folder() != node.SCRIPTS:
            words.append(str(node.web_folder()))
        done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
        printed += done.stdout
    return printed


def _replaced(word: str, bundle: Path | None) -> str:
    if word == "node":
        found = node.find_node()
        assert found is not None
        return str(found.path)
    if word.startswith("samples/"):
        return str(ROOT / word)
    return {"python": sys.executable, "BUNDLE": str(bundle)}.get(word, word)


def accuracy(printed: str) -> float:
    found = re.search(r"^accuracy (\S+) on \d+ ", printed, re.M)
    assert found is not None, printed
    return float(found[1])


def assert_predicted(printed: str) -> None:
    """Ten classes beside ten labels, most of them the same, and the accuracy on all."""
    classes = re.search(r"^predicted((?: \d)+)$", printed, re.M)
    labels = re.search(r"^label    ((?: \d)+)$", printed, re.M)
    assert classes is not None, printed
    assert labels is not None, printed
    pairs = list(zip(classes[1].split(), labels[1].split(), strict=True))
    assert len(pairs) == 10
    assert sum(a == b for a, b in pairs) >= 6, printed
    assert accuracy(printed) > 0.8


TESTED = {
    "check_golden.c",
    "read_bundle.py",
    "tensor_operations.py",
    "train_keras.py",
    "train_torch.py",
    "use_tfjs.mjs",
    *(f"use_{runtime}.py" for runtime in RUNTIMES),
    *PAGES,
}


def test_every_sample_is_in_the_readme_and_has_a_test() -> None:
    files = {path.relative_to(SAMPLES).as_posix() for path in SAMPLES.rglob("*") if path.is_file()} - {
        "README.md"
    }
    assert files == set(readme()) == TESTED


@pytest.mark.parametrize("name", sorted(name for name in TESTED if name.endswith(".py")))
def test_a_sample_says_how_to_run_it_and_imports_nothing_of_ours(name: str) -> None:
    tree = ast.parse((SAMPLES / name).read_text())
    assert readme()[name] in (ast.get_docstring(tree) or "")
    imported = set()
    for statement in ast.walk(tree):
        if isinstance(statement, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in statement.names}
        elif isinstance(statement, ast.ImportFrom):
            imported.add((statement.module or "").partition(".")[0])
    assert not imported & {"exporter", "runtimes", ""}


def test_tensor_operations_agree(tmp_path: Path) -> None:
    printed = run("tensor_operations.py", tmp_path)
    assert re.search(r"^torch: (a GPU is here|no GPU here)", printed, re.M)
    assert re.search(r"^tensorflow: (a GPU is here|no GPU here)", printed, re.M)
    table = printed[printed.index("operation ") :].splitlines()[1:]
    names = [line[:16].strip() for line in table]
    wanted = {"create", "matmul", "multiply", "add", "transpose", "reshape", "GPU and back", "shape", "dtype"}
    assert wanted <= set(names)
    assert [line.split()[-1] for line in table] == ["yes"] * len(names), printed


def test_tensor_operations_see_a_difference(capsys: pytest.CaptureFixture[str]) -> None:
    print_row = runpy.run_path(str(SAMPLES / "tensor_operations.py"))["print_row"]
    ones = np.ones((2, 3), np.float32)
    assert print_row("same", ones, ones.copy())
    for other in (ones * 1.00001, ones.T, ones.astype(np.float64)):
        assert not print_row("other", ones, other)
    assert "NO" in capsys.readouterr().out


@pytest.mark.parametrize(("sample", "saved"), [("train_torch.py", ".pt"), ("train_keras.py", ".keras")])
def test_training_learns_and_saves(sample: str, saved: str, tmp_path: Path) -> None:
    printed = run(sample, tmp_path)
    assert accuracy(printed) > 0.8
    assert (tmp_path / f"digits_cnn{saved}").stat().st_size > 1_000_000


@pytest.mark.parametrize("source", SOURCES)
def test_read_bundle_names_the_artifacts(source: str, bundles: dict[str, Path], tmp_path: Path) -> None:
    printed = run("read_bundle.py", tmp_path, bundles[source])
    assert f"trained in {source}" in printed
    listed = {line.split()[0] for line in printed.splitlines()[1:]}
    assert listed == {"torchscript", "onnx", "savedmodel", "tflite", "tfjs", "keras"}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_use_in_python(runtime: str, source: str, bundles: dict[str, Path], tmp_path: Path) -> None:
    assert_predicted(run(f"use_{runtime}.py", tmp_path, bundles[source]))


@pytest.mark.skipif(NO_NODE is not None, reason=str(NO_NODE))
@pytest.mark.parametrize("source", SOURCES)
def test_use_in_node(source: str, bundles: dict[str, Path], tmp_path: Path) -> None:
    printed = run("use_tfjs.mjs", tmp_path, bundles[source])
    assert_predicted(printed)
    assert "backend wasm" in printed


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler: install one that is called cc")
@pytest.mark.parametrize("source", SOURCES)
def test_golden_samples_are_judged_in_c(source: str, bundles: dict[str, Path], tmp_path: Path) -> None:
    """By the README's command, on the outputs of a device that rounds once, and of one that is off in one of them."""
    golden = bundles[source] / "golden"
    (expected,) = golden.glob("output0.*")
    outputs = np.fromfile(expected, "<f8").astype("<f4")
    off, short = outputs.copy(), outputs[1:]
    off[25] += np.float32(0.001)
    build, judge = (shlex.split(command) for command in readme()["check_golden.c"].split(" && "))
    subprocess.run(
        [_replaced(word, None) for word in build] + ["-std=c99", "-Wall", "-Werror"], cwd=tmp_path, check=True
    )
    for given, words in ((outputs, (0, "passed")), (off, (1, "mismatch")), (short, (1, "mismatch"))):
        given.tofile(tmp_path / "outputs.bin")
        command = [
            word.replace("BUNDLE", str(bundles[source])).replace("EXPECTED", str(expected)) for word in judge
        ]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout.splitlines()[-1].partition(":")[0]) == words, done


class Links(html.parser.HTMLParser):
    """What the tags of a page refer to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_refers_only_to_its_own_server(name: str) -> None:
    page = (SAMPLES / name).read_text()
    assert readme()[name] in page
    outside = set(re.findall(r"\b\w+://[^\s?]+", page)) - {f"http://127.0.0.1:8000/samples/{name}"}
    assert not outside
    links = Links()
    links.feed(page)
    assert [link for link in links.found if link.startswith(("//", "/"))] == []


class Server(http.server.SimpleHTTPRequestHandler):
    """The repository's root as the README serves it, with a bundle in it."""

    def __init__(self, *args: Any, bundle: Path, **kwargs: Any) -> None:
        self.bundle = bundle
        super().__init__(*args, directory=str(ROOT), **kwargs)

    def translate_path(self, path: str) -> str:
        asked = urlsplit(path).path
        for prefix, folder in (
            ("/bundle", self.bundle),
            ("/runtimes/web/node_modules", node.modules_folder()),
        ):
            if asked.startswith(f"{prefix}/"):
                return str(folder / asked.removeprefix(f"{prefix}/"))
        return super().translate_path(path)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.mark.skipif(NO_PACKAGES is not None, reason=str(NO_PACKAGES))
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_predicts(
    name: str, source: str, browser_bundles: dict[str, Path], page: Page, tmp_path: Path
) -> None:
    """In a browser that can reach nothing but the server: the source's own probabilities of held-out images."""
    with np.load(browser_bundles[source] / "reference.npz") as reference:
        images = np.rint(255 * reference["held:image"][:3].reshape(3, 28, 28)).astype(np.uint8)
        expected = reference["held64:logits" if source == "torch" else "held64:probabilities"][:3]
    if source == "torch":
        powers = np.exp(expected - expected.max(axis=1, keepdims=True))
        expected = powers / powers.sum(axis=1, keepdims=True)
    with serving(functools.partial(Server, bundle=browser_bundles[source])) as address:
        page.open(f"{address}/samples/{name}?bundle=/bundle")
        page.wait("document.querySelector('output').value.startsWith('Ready: ')")
        for i, (image, probabilities) in enumerate(zip(images, expected, strict=True)):
            Image.fromarray(image).save(tmp_path / f"{i}.png")
            page.evaluate("document.querySelector('output').value = ''")
            page.choose("input", tmp_path / f"{i}.png")
            label, _, percent = page.wait("document.querySelector('output').value").partition(": ")
            assert label == str(probabilities.argmax())
            assert float(percent.removesuffix(" %")) == pytest.approx(100 * probabilities.max(), abs=1e-3)
        assert page.problems == []
        (tmp_path / "notes.png").write_text("no image")
        page.choose("input", tmp_path / "notes.png")
        page.wait("document.querySelector('output').value.includes('could not be decoded')")
    assert f"{address}/bundle/manifest.json" in page.requests
    assert [url for url in page.requests if not url.startswith((f"{address}/", "data:", "blob:"))] == []


@pytest.mark.skipif(NO_PACKAGES is not None, reason=str(NO_PACKAGES))
@pytest.mark.parametrize("name", PAGES)
def test_a_page_without_a_bundle_says_so(name: str, page: Page, tmp_path: Path) -> None:
    with serving(functools.partial(Server, bundle=tmp_path)) as address:
        page.open(f"{address}/samples/{name}")
        page.wait("document.querySelector('output').value.startsWith('Error: no bundle at ?bundle=null')")
