"""The replayers of a bundle's golden folder, as they are run on a machine that has no fwexport."""

from __future__ import annotations

import ast
import functools
import http.server
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import onnx
import pytest
from browser import Page
from conftest import FORMATS
from onnx import numpy_helper
from serving import serving

from runtimes.bundle import Kind
from runtimes.frameworks import node
from runtimes.golden import replay
from runtimes.verdict import parity

PYTHON_FORMATS = sorted(replay.RUNTIMES)
PACKAGES = ("@tensorflow/tfjs-core", "@tensorflow/tfjs-converter", "@tensorflow/tfjs-backend-wasm")
NO_NODE = node.check(*PACKAGES)
NO_PACKAGES = [name for name in PACKAGES if node.package_version(name) is None]
PAGE = Path(replay.__file__).with_suffix(".html")


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """An environment whose Python finds no fwexport, nor what is added to ``PYTHONPATH`` as a broken module."""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    for name in ("exporter", "runtimes"):
        (hidden / f"{name}.py").write_text(f"raise ImportError('No module named {name!r}')\n")
    return {**os.environ, "PYTHONPATH": str(hidden)}


@pytest.fixture(scope="module")
def damaged(bundles: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle in whose artifacts one weight is another: a bias of the last layer, by 0.001."""
    folder = tmp_path_factory.mktemp("damaged") / "bundle"
    shutil.copytree(bundles["torch"], folder)
    weights = onnx.load(folder / "model.onnx").graph.initializer
    bias = numpy_helper.to_array(next(w for w in weights if list(w.dims) == [10]))
    other = bias.copy()
    other[3] += np.float32(0.001)
    change = functools.partial(_replaced, old=bias.tobytes(), new=other.tobytes())
    for name in ("model.onnx", "model.tflite", "tfjs/group1-shard1of1.bin"):
        (folder / name).write_bytes(change((folder / name).read_bytes()))
    (variables,) = (folder / "saved_model").glob("1/variables/*.data-*")
    variables.write_bytes(change(variables.read_bytes()))
    for name in ("model.keras", "model.torchscript"):
        with zipfile.ZipFile(folder / name) as archive:
            entries = {entry: archive.read(entry) for entry in archive.namelist()}
        with zipfile.ZipFile(folder / name, "w") as archive:
            for entry, content in entries.items():
                archive.writestr(entry, change(content) if bias.tobytes() in content else content)
    return folder


def _replaced(content: bytes, old: bytes, new: bytes) -> bytes:
    assert content.count(old) == 1
    return content.replace(old, new)


def python(
    bundle: Path, env: dict[str, str], *arguments: object
) -> tuple[int, dict[str, tuple[str, str]], str]:
    """``(exit code, word and reason of each format, stderr)`` of replay.py."""
    command = [sys.executable, str(bundle / "golden" / "replay.py"), *map(str, arguments)]
    done = subprocess.run(
        command, cwd=env["PYTHONPATH"], env=env, capture_output=True, text=True, check=False, timeout=300
    )
    return done.returncode, lines(done.stdout), done.stderr


def javascript(bundle: Path, cwd: Path, *arguments: str) -> tuple[int, dict[str, tuple[str, str]]]:
    """The same of replay.mjs."""
    found = node.find_node()
    assert found is not None
    command = [str(found.path), str(bundle / "golden" / "replay.mjs"), *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=300)
    return done.returncode, lines(done.stdout)


def lines(printed: str) -> dict[str, tuple[str, str]]:
    words = [line.split(maxsplit=2) for line in printed.splitlines()]
    return {format: (word, reason) for format, word, reason in words}


def test_the_replayer_imports_nothing_of_ours() -> None:
    tree = ast.parse(Path(replay.__file__).read_text())
    names = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not {name.partition(".")[0] for name in names} & {"exporter", "runtimes", ""}


def test_every_artifact_passes_in_python(bundles: dict[str, Path], bare: dict[str, str]) -> None:
    code, found, stderr = python(bundles["torch"], bare)
    assert set(found) == set(FORMATS), stderr
    assert {format: word for format, (word, _) in found.items() if word != "passed"} == {
        "tfjs": "unavailable"
    }
    assert "replay.mjs" in found["tfjs"][1]
    assert (code, stderr) == (0, "")


def test_probabilities_pass_in_python(bundles: dict[str, Path], bare: dict[str, str]) -> None:
    code, found, _ = python(bundles["keras"], bare, "onnx", "tflite")
    assert (code, found["onnx"][0], found["tflite"][0]) == (0, "passed", "passed")
    assert found["onnx"][1].startswith("probabilities ")


def test_one_changed_weight_is_a_mismatch_in_python(damaged: Path, bare: dict[str, str]) -> None:
    """A SavedModel has checksums of its own: TensorFlow does not load it."""
    code, found, _ = python(damaged, bare, *PYTHON_FORMATS)
    words = {format: word for format, (word, _) in found.items()}
    assert words == {format: "failed" if format == "savedmodel" else "mismatch" for format in PYTHON_FORMATS}
    assert "limit 24" in found["onnx"][1]
    assert code == 1


def test_the_file_may_lie_elsewhere(damaged: Path, bundles: dict[str, Path], bare: dict[str, str]) -> None:
    """The golden samples of one bundle, and the files of another."""
    code, found, _ = python(bundles["torch"], bare, damaged / "model.tflite")
    assert (code, found["tflite"][0]) == (1, "mismatch")
    code, found, _ = python(damaged, bare, bundles["torch"] / "model.tflite")
    assert (code, found["tflite"][0]) == (0, "passed")


def test_what_cannot_be_run_is_never_passed(
    bundles: dict[str, Path], own_bundle: Path, bare: dict[str, str]
) -> None:
    (Path(bare["PYTHONPATH"]) / "onnxruntime.py").write_text(
        "raise ImportError('No module named onnxruntime')"
    )
    code, found, _ = python(bundles["torch"], bare, "model.onnx")
    assert (code, found["onnx"][0]) == (6, "unavailable")
    assert "pip install onnxruntime" in found["onnx"][1]
    code, found, stderr = python(bundles["torch"], bare, "model.pt2")
    assert (code, found) == (2, {})
    assert "model.onnx" in stderr
    (own_bundle / "model.tflite").write_bytes(b"no model")
    code, found, _ = python(own_bundle, bare, "tflite")
    assert (code, found["tflite"][0]) == (1, "failed")


@pytest.mark.skipif(NO_NODE is not None, reason=str(NO_NODE))
@pytest.mark.parametrize("source", ["torch", "keras"])
def test_tfjs_passes_in_node(source: str, bundles: dict[str, Path]) -> None:
    code, found = javascript(bundles[source], node.web_folder())
    assert (code, found["tfjs"][0]) == (0, "passed")
    assert {word for format, (word, _) in found.items() if format not in ("tfjs", "onnx")} == {"unavailable"}


@pytest.mark.skipif(NO_NODE is not None, reason=str(NO_NODE))
def test_one_changed_weight_is_a_mismatch_in_node(damaged: Path) -> None:
    assert javascript(damaged, node.web_folder(), "tfjs")[1]["tfjs"][0] == "mismatch"
    assert javascript(damaged, node.web_folder())[0] == 1


@pytest.mark.skipif(NO_NODE is not None, reason=str(NO_NODE))
def test_node_says_what_to_install(bundles: dict[str, Path], tmp_path: Path) -> None:
    code, found = javascript(bundles["torch"], tmp_path, "tfjs")
    assert (code, found["tfjs"][0]) == (6, "unavailable")
    assert "npm install @tensorflow/tfjs-core" in found["tfjs"][1]


@pytest.mark.skipif(NO_NODE is not None, reason=str(NO_NODE))
def test_both_replayers_find_what_verify_finds(bundles: dict[str, Path], tmp_path: Path) -> None:
    """The rule in JavaScript and the one in Python, on outputs that are near, far, infinite and negligible."""
    want = np.array([[0.5, 0.5 - 1e-9, 1e-31], [0.9, 0.1, 1e-32], [0.2, 0.3, 0.5], [1.0, 1e-25, 1e-29]])
    got = want * np.array([[1 + 1e-6], [1.0], [1.1], [1.0]])
    got[0, 2], got[1, 2], got[3, 1] = 1e-21, 1e-19, 0.0
    kinds: dict[str, Kind] = {"values": "logits", "log": "probabilities"}
    for compare, kind in kinds.items():
        script = (
            f"import {str(bundles['torch'] / 'golden' / 'golden.js')!r};\n"
            f"const [got, want] = {[got.tolist(), want.tolist()]};\n"
            f"console.log(got.map((y, i) => globalThis.golden.distance(y, want[i], {compare!r})).join(' '))"
        )
        (tmp_path / "rule.mjs").write_text(script)
        found = node.find_node()
        assert found is not None
        told = subprocess.run([found.path, tmp_path / "rule.mjs"], capture_output=True, text=True, check=True)
        theirs = [float(word.replace("Infinity", "inf")) for word in told.stdout.split()]
        wanted = parity.distances(got, want, kind)
        np.testing.assert_allclose(theirs, wanted, rtol=1e-12)
        np.testing.assert_allclose(replay.distances(got, want, compare), wanted, rtol=1e-12)


class Server(http.server.SimpleHTTPRequestHandler):
    """Bundles and the npm packages, as ``python -m http.server`` serves a folder that holds them."""

    def __init__(self, *args: Any, folders: dict[str, Path], **kwargs: Any) -> None:
        self.folders = {**folders, "node_modules": node.modules_folder()}
        super().__init__(*args, **kwargs)

    def translate_path(self, path: str) -> str:
        first, _, rest = urlsplit(path).path.lstrip("/").partition("/")
        return str(self.folders.get(first, Path("/nowhere")) / rest)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def verdicts(page: Page, url: str) -> tuple[str, list[str], str]:
    """``(verdict, that of each sample, why)`` of the page at ``url``."""
    page.open(url)
    why = page.wait("document.getElementById('why').textContent")
    samples = page.evaluate(
        "[...document.querySelectorAll('tr[data-verdict]')].map((row) => row.dataset.verdict)"
    )
    return page.evaluate("document.body.dataset.verdict"), samples, why


@pytest.fixture
def served(bundles: dict[str, Path], damaged: Path) -> Any:
    return functools.partial(Server, folders={**bundles, "damaged": damaged})


@pytest.mark.parametrize(
    ("bundle", "backend", "wanted"),
    [("torch", "wasm", "passed"), ("keras", "cpu", "passed"), ("damaged", "wasm", "mismatch")],
    ids=str,
)
@pytest.mark.skipif(bool(NO_PACKAGES), reason=f"{', '.join(NO_PACKAGES)} not in {node.modules_folder()}")
def test_the_page_judges_every_sample(
    bundle: str, backend: str, wanted: str, served: Any, page: Page
) -> None:
    with serving(served) as address:
        url = f"{address}/{bundle}/golden/replay.html?tfjs=/node_modules/@tensorflow&backend={backend}"
        verdict, samples, why = verdicts(page, url)
    assert verdict == wanted, why
    assert len(samples) == 8
    assert wanted in samples
    assert f", {backend}." in why


def test_the_page_runs_no_script_of_another_server(served: Any, page: Page) -> None:
    """Nor does it look for one where none is named."""
    asked: list[str] = []

    class Other(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

    with serving(served) as address, serving(Other) as other:
        url = f"{address}/torch/golden/replay.html"
        told = verdicts(page, f"{url}?tfjs={other}/tf.min.js")
        assert told[:2] == ("failed", [])
        assert other.removeprefix("http://") in told[2]
        assert verdicts(page, url)[0] == "waiting"
    assert asked == []


def test_the_page_names_no_other_server() -> None:
    page = PAGE.read_text()
    assert {urlsplit(url).hostname for url in re.findall(r"\w+://[^\s`]+", page)} == {"127.0.0.1"}
    assert re.findall(r'(?:src|href)="([^"]*)"', page) == ["data:,", "golden.js"]
