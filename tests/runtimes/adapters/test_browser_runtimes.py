"""TF.js, ONNX Runtime Web and LiteRT.js in a real browser: their engines in one page, and each adapter on a real export."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_models
from small_models import KERNEL, ROW, SUM, more

from runtimes import base
from runtimes.adapters import litertjs, onnxruntime_web, tfjs_browser
from runtimes.base import Runtime, SessionOptions
from runtimes.browser import engines
from runtimes.browser.find import BROWSER
from runtimes.browser.process import BrowserProcess
from runtimes.bundle import open_bundle
from runtimes.errors import NotAModelError, UnavailableError
from runtimes.frameworks import node
from runtimes.frameworks.javascript import JavascriptSession
from runtimes.process import peak_rss_bytes
from runtimes.reference import REFERENCE, open_reference

ADAPTERS: dict[str, Any] = {
    "tfjs_browser": tfjs_browser,
    "onnxruntime_web": onnxruntime_web,
    "litertjs": litertjs,
}
MISSING = [reason for adapter in ADAPTERS.values() if (reason := adapter.check("cpu"))]
in_browser = [pytest.mark.browser, pytest.mark.skipif(bool(MISSING), reason=" ".join(MISSING))]

# Each backend on each device, and the type of the second input: the widest that it takes beside float32.
BACKENDS = [
    ("tfjs_browser", "wasm", "int32"),
    ("tfjs_browser", "js", "int32"),
    ("tfjs_browser", "webgl", "int32"),
    ("tfjs_browser", "webgpu", "int32"),
    ("onnxruntime_web", "wasm", "int64"),
    ("onnxruntime_web", "wasm", "float16"),
    ("onnxruntime_web", "webgl", "float32"),
    ("onnxruntime_web", "webgpu", "int32"),
    ("litertjs", "wasm", "int32"),
    ("litertjs", "webgpu", "float32"),
]

# Loads an engine where the browser has no GPU at all.
NO_GPU = """
export async function load(name, options) {
    const { getContext } = HTMLCanvasElement.prototype;
    HTMLCanvasElement.prototype.getContext = () => null;
    Object.defineProperty(navigator, 'gpu', { value: undefined, configurable: true });
    try {
        const [module, backend] = name.split('/');
        return await (await import(`./${module}`)).load(backend, options);
    } finally {
        delete navigator.gpu;
        HTMLCanvasElement.prototype.getContext = getContext;
    }
}
"""


def small(folder: Path, runtime: str, dtype: str = "float32", op: str = "Add") -> dict[str, Path]:
    """The small model for a runtime: its files by URL, the first of which is opened."""
    name = f"{runtime}-{dtype}-{op}"
    if runtime == "tfjs_browser":
        files = small_models.tfjs(folder / name, dtype, op)
        return {f"model/{name}/{key}": path for key, path in files.items()}
    write, ending = (
        (small_models.onnx, "onnx") if runtime == "onnxruntime_web" else (small_models.tflite, "tflite")
    )
    return {f"model/{name}.{ending}": write(folder / f"{name}.{ending}", dtype, op)}


class Page:
    """A browser with all the engines, and all the small models."""

    def __init__(self, folder: Path) -> None:
        self.folder, files = folder, {"no_gpu.mjs": folder / "no_gpu.mjs"}
        files["no_gpu.mjs"].write_text(NO_GPU)
        for adapter in ADAPTERS.values():
            files |= {name: node.SCRIPTS / name for name in engines.modules(adapter.MODULE)}
            for backend in (backend for backends in adapter.DEVICES.values() for backend in backends):
                files |= {
                    f"packages/{name}": node.modules_folder() / name for name in adapter.packages(backend)
                }
        for runtime, _, dtype in BACKENDS:
            files |= small(folder, runtime, dtype)
        for runtime in ADAPTERS:
            files |= small(folder, runtime) | small(folder, runtime, op="NoSuchOp")
        files |= small(folder, "onnxruntime_web", op="ReduceMean")
        self.process = BrowserProcess(files)

    def load(self, runtime: str, backend: str) -> None:
        if self.process.browser.family == "firefox" and backend in ADAPTERS[runtime].DEVICES["gpu"]:
            pytest.skip("Firefox plays no GPU where there is none")
        self.process.ask("load", module=ADAPTERS[runtime].MODULE, backend=backend, threads=1)

    def open(self, runtime: str, dtype: str = "float32", op: str = "Add") -> JavascriptSession:
        self.process.ask("open", model=next(iter(small(self.folder, runtime, dtype, op))))
        return JavascriptSession(self.process)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    opened = Page(tmp_path_factory.mktemp("page"))
    yield opened
    opened.process.close()


class TestEngine:
    pytestmark = in_browser

    @pytest.mark.parametrize(("runtime", "backend", "dtype"), BACKENDS)
    def test_inputs_and_outputs_go_by_name_on_the_backend_that_was_asked_for(
        self, page: Page, runtime: str, backend: str, dtype: str
    ) -> None:
        page.load(runtime, backend)
        opened = page.open(runtime, dtype)
        feeds = {"more": more(dtype), "row": ROW}
        found = opened.run(feeds)
        assert list(found) == ["sum", "double"]
        np.testing.assert_allclose(found["sum"], SUM, rtol=1e-6)
        np.testing.assert_array_equal(found["double"], more(dtype) * 2)
        assert found["double"].dtype == dtype
        calls = [opened.bind(feeds), opened.bind({**feeds, "row": ROW * 2})]
        times = opened.sample(calls, 0.0, 5, 5)
        assert times.shape == (5,)
        assert (times > 0).all()
        assert (opened.sample_from_host([feeds], 0.0, 2, 2) > 0).all()
        described, _ = page.process.ask("prove")
        proof = described["proof"].lower()
        played = next((name for name in ("SwiftShader", "llvmpipe") if name.lower() in proof), "")
        assert described["emulated"] == played
        assert not played or backend in ADAPTERS[runtime].DEVICES["gpu"]

    @pytest.mark.parametrize(
        ("runtime", "backend"),
        [
            ("tfjs_browser", "wasm"),
            ("onnxruntime_web", "wasm"),
            ("onnxruntime_web", "webgl"),
            ("litertjs", "wasm"),
            ("litertjs", "webgpu"),
        ],
    )
    def test_an_operator_that_it_lacks_is_an_error_with_its_name(
        self, page: Page, runtime: str, backend: str
    ) -> None:
        page.load(runtime, backend)
        with pytest.raises((NotAModelError, UnavailableError, RuntimeError), match="NoSuchOp"):
            page.open(runtime, op="NoSuchOp").run({"row": ROW, "more": more("float32")})
        well = page.open(runtime).run({"row": ROW, "more": more("float32")})
        np.testing.assert_allclose(well["sum"], SUM, rtol=1e-6)

    @pytest.mark.parametrize(
        ("runtime", "backend", "dtype", "message"),
        [
            (
                "tfjs_browser",
                "wasm",
                "float64",
                r"more has the type float64; TF\.js takes float32, int32, bool",
            ),
            (
                "onnxruntime_web",
                "webgl",
                "int32",
                "more has the type int32; ONNX Runtime Web's webgl takes float32",
            ),
            ("litertjs", "wasm", "int64", r"more has the type int64; LiteRT\.js takes float32, int32, uint8"),
        ],
    )
    def test_a_type_that_it_does_not_take_is_refused(
        self, page: Page, runtime: str, backend: str, dtype: str, message: str
    ) -> None:
        page.load(runtime, backend)
        with pytest.raises(RuntimeError, match=message):
            page.open(runtime).run({"row": ROW, "more": more(dtype)})

    @pytest.mark.parametrize("runtime", ADAPTERS)
    def test_after_a_wrong_input_the_session_lives(self, page: Page, runtime: str) -> None:
        page.load(runtime, "wasm")
        opened = page.open(runtime)
        feeds = {"row": ROW, "more": more("float32")}
        for wrong in ({**feeds, "row": ROW[:, :2]}, {"row": ROW}):
            with pytest.raises(RuntimeError):
                opened.run(wrong)
        np.testing.assert_allclose(opened.run(feeds)["sum"], SUM, rtol=1e-6)

    def test_webgpu_leaves_no_node_to_the_cpu(self, page: Page) -> None:
        page.load("onnxruntime_web", "webgpu")
        with pytest.raises(UnavailableError, match=r"lacks what Add \(double\) needs"):
            page.open("onnxruntime_web", "int64")

    def test_what_webgl_refuses_as_it_runs_is_unavailable(self, page: Page) -> None:
        page.load("onnxruntime_web", "webgl")
        opened = page.open("onnxruntime_web", op="ReduceMean")  # with its axes as an input
        with pytest.raises(UnavailableError, match="webgl cannot run this model: Reduce op requires 1 input"):
            opened.run({"row": ROW, "more": more("float32")})

    def test_tfjs_shows_every_node_that_computes(self, page: Page) -> None:
        page.load("tfjs_browser", "webgl")
        found = page.open("tfjs_browser", "int32").trace({"row": ROW, "more": more("int32")})
        assert list(found) == ["product", "shape", "sizes", "reshaped", "added", "doubled"]
        np.testing.assert_allclose(found["product"], ROW @ KERNEL, rtol=1e-6)

    def test_nothing_is_left_in_tfjs(self, page: Page) -> None:
        page.load("tfjs_browser", "webgl")
        opened = page.open("tfjs_browser", "int32")
        feeds = {"row": ROW, "more": more("int32")}
        opened.run(feeds)
        before = page.process.ask("memory")[0]
        for _ in range(3):
            calls = [opened.bind(feeds), opened.bind(feeds)]
            opened.sample(calls, 0.0, 4, 4)
            opened.sample_from_host([feeds, feeds], 0.0, 4, 4)
            with pytest.raises(RuntimeError):
                opened.run({"row": ROW})
            del calls
        last = opened.bind(feeds)
        assert page.process.ask("memory")[0]["tensors"] == before["tensors"] + len(feeds)
        del last

    @pytest.mark.parametrize(
        ("runtime", "backend", "lacks"),
        [
            ("tfjs_browser", "webgl", "WebGL"),
            ("tfjs_browser", "webgpu", "WebGPU"),
            ("onnxruntime_web", "webgl", "WebGL"),
            ("onnxruntime_web", "webgpu", "WebGPU"),
            ("litertjs", "webgpu", "WebGPU"),
        ],
    )
    def test_a_gpu_that_the_browser_lacks_is_unavailable(
        self, page: Page, runtime: str, backend: str, lacks: str
    ) -> None:
        name = f"{ADAPTERS[runtime].MODULE}/{backend}"
        with pytest.raises(UnavailableError, match=f"the browser has no {lacks}"):
            page.process.ask("load", module="no_gpu.mjs", backend=name, threads=1)


class TestSession:
    pytestmark = in_browser

    @pytest.mark.parametrize(
        ("runtime", "artifact", "backend", "threads"),
        [
            ("tfjs_browser", "tfjs", "wasm", None),
            ("tfjs_browser", "tfjs", "webgl", None),
            ("onnxruntime_web", "onnx", "wasm", 2),
            ("onnxruntime_web", "onnx-batch1", "webgl", None),
            ("litertjs", "tflite-batch1", "wasm", 2),
        ],
    )
    def test_a_real_export_predicts_as_its_source(
        self,
        runtime: str,
        artifact: str,
        backend: str,
        threads: int | None,
        browser_bundles: dict[str, Path],
    ) -> None:
        adapter = ADAPTERS[runtime]
        bundle = open_bundle(browser_bundles["keras"])
        described = bundle.manifest.artifact(artifact)
        assert described is not None
        reference = open_reference(bundle.folder / REFERENCE)
        device = "cpu" if backend == "wasm" else "gpu"
        opened = adapter.load(bundle.path(described), device, SessionOptions(backend, threads))
        try:
            specs = [(spec.name, spec.dtype, spec.shape) for spec in (*opened.inputs, *opened.outputs)]
            wanted = (*described.inputs, *described.outputs)
            assert specs == [(spec.name, spec.dtype, spec.shape) for spec in wanted]
            assert "fwexport" in opened.metadata
            assert opened.threads == threads or threads is None
            assert opened.settings["crossOriginIsolated"] == "true"
            assert 0 < opened.library_s < 60
            assert 0 < opened.load_s < 60
            assert peak_rss_bytes(*opened.pids) > opened.library_rss_bytes > 50e6
            model_bytes = described.size_bytes
            served = sum((node.modules_folder() / name).stat().st_size for name in adapter.packages(backend))
            assert model_bytes < opened.downloaded_bytes < model_bytes + served + 1e6
            (name, samples), wanted_y = (
                next(iter(reference.inputs.items())),
                next(iter(reference.y64.values())),
            )
            found = opened.run({name: samples[:1]})
            np.testing.assert_allclose(next(iter(found.values())), wanted_y[:1], rtol=1e-3, atol=1e-6)
            assert opened.process.browser.version in opened.prove()
            assert bool(opened.emulated) <= (device == "gpu")
        finally:
            opened.close()

    def test_threads_that_it_does_not_have_are_unavailable(self, tmp_path: Path) -> None:
        small_models.tfjs(tmp_path / "model")
        with pytest.raises(UnavailableError, match=r"2 threads were asked for, and TF\.js has 1 on js in"):
            tfjs_browser.load(tmp_path / "model", "cpu", SessionOptions("js", threads=2))

    def test_a_file_that_the_library_cannot_load_is_no_model(self, tmp_path: Path) -> None:
        path = tmp_path / "broken.tflite"
        path.write_bytes(small_models.tflite(tmp_path / "whole.tflite").read_bytes()[:200])
        with pytest.raises(NotAModelError, match=r"broken\.tflite is nothing that LiteRT\.js can load: "):
            litertjs.load(path, "cpu", SessionOptions())

    def test_weights_beside_the_file_and_names_that_a_url_quotes(self, tmp_path: Path) -> None:
        import onnx

        path = tmp_path / "net#1.onnx"
        model = onnx.load(small_models.onnx(tmp_path / "model.onnx"))
        onnx.save(model, path, save_as_external_data=True, location="its weights.bin", size_threshold=0)
        opened = onnxruntime_web.load(path, "cpu", SessionOptions())
        try:
            np.testing.assert_allclose(
                opened.run({"row": ROW, "more": more("float32")})["sum"], SUM, rtol=1e-6
            )
        finally:
            opened.close()

    def test_a_model_that_tfjs_keeps_from_the_gpu_is_unavailable_there(self, tmp_path: Path) -> None:
        small_models.tfjs(tmp_path / "model")
        document = json.loads((tmp_path / "model" / "model.json").read_text())
        added = next(node for node in document["modelTopology"]["node"] if node["name"] == "added")
        added["input"] = ["row", "row"]  # a product is never left to JavaScript
        (tmp_path / "model" / "model.json").write_text(json.dumps(document))
        opened = tfjs_browser.load(tmp_path / "model", "gpu", SessionOptions("webgl"))
        try:
            np.testing.assert_array_equal(opened.run({"row": ROW, "more": more("float32")})["sum"], ROW * 2)
            with pytest.raises(UnavailableError, match="computed all in JavaScript"):
                opened.prove()
        finally:
            opened.close()


class TestAdapter:
    @pytest.mark.usefixtures("no_start")
    def test_what_is_no_model_or_no_backend_starts_no_browser(self, tmp_path: Path) -> None:
        broken = tmp_path / "broken"
        broken.write_bytes(b"no model")
        with pytest.raises(NotAModelError, match="no ONNX file"):
            onnxruntime_web.load(broken, "cpu", SessionOptions())
        with pytest.raises(NotAModelError, match=r"no model\.json"):
            tfjs_browser.load(broken, "cpu", SessionOptions())
        for adapter in ADAPTERS.values():
            with pytest.raises(
                UnavailableError, match=f"{adapter.TITLE} has wasm on cpu.*, and no tpu on gpu"
            ):
                adapter.load(broken, "gpu", SessionOptions("tpu"))

    @pytest.mark.usefixtures("no_start")
    def test_a_dynamic_batch_is_refused_where_the_backend_has_none(self, tmp_path: Path) -> None:
        import onnx

        model = onnx.load(small_models.onnx(tmp_path / "model.onnx"))
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
        onnx.save(model, tmp_path / "model.onnx")
        with pytest.raises(UnavailableError, match=r"webgl takes no dynamic batch.* for one batch size"):
            onnxruntime_web.load(tmp_path / "model.onnx", "gpu", SessionOptions("webgl"))

    @pytest.mark.parametrize("name", ADAPTERS)
    def test_what_it_needs_and_what_is_missing_are_said(
        self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        adapter: Runtime = base.runtime(name)
        assert adapter.IN_BROWSER
        monkeypatch.setenv(node.WEB, str(tmp_path))
        monkeypatch.setattr(engines.find, "check", lambda: None)
        assert "npm" in (adapter.check("cpu") or "")
        assert f"ci --ignore-scripts --prefix {tmp_path}" in (adapter.check("cpu") or "")
        monkeypatch.setattr(engines.find, "check", lambda: f"no browser: name one in {BROWSER}")
        assert BROWSER in (adapter.check("gpu") or "")

    @pytest.mark.skipif(bool(MISSING), reason=" ".join(MISSING))
    @pytest.mark.parametrize("name", ADAPTERS)
    def test_its_files_are_there(self, name: str) -> None:
        adapter = ADAPTERS[name]
        for backends in adapter.DEVICES.values():
            for backend in backends:
                assert all((node.modules_folder() / each).is_file() for each in adapter.packages(backend))
        imported = engines.modules(adapter.MODULE)
        assert {adapter.MODULE, "engine.mjs", "gpu.mjs"} <= set(imported)
        assert all((node.SCRIPTS / each).is_file() for each in imported)
        main = {"tfjs_browser": "@tensorflow/tfjs-core", "litertjs": "@litertjs/core"}.get(
            name, "onnxruntime-web"
        )
        assert adapter.versions()[main] == node.package_version(main)


@pytest.fixture
def no_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: object) -> None:
        pytest.fail("a browser was started")

    monkeypatch.setattr("runtimes.browser.session.BrowserProcess", fail)
