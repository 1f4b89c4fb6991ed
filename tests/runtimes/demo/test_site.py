"""The list of a demo's files, written as a site and served, without a browser."""

from __future__ import annotations

import json
import shutil
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runtimes.browser.server import PageServer
from runtimes.bundle import Artifact, Bundle, open_bundle
from runtimes.demo import licenses
from runtimes.demo.entries import entries, web_runtimes
from runtimes.demo.publish import HEADERS, address, export, serve
from runtimes.demo.site import DESCRIPTION, NOTICES, Site, choose, site
from runtimes.errors import ChecksumError, UnavailableError, UsageError
from runtimes.frameworks import node

NO_PACKAGES = node.check_packages("onnxruntime-web", "@litertjs/core", "@tensorflow/tfjs-core")
pytestmark = pytest.mark.skipif(NO_PACKAGES is not None, reason=str(NO_PACKAGES))


@pytest.fixture(scope="module")
def bundle(browser_bundles: dict[str, Path]) -> Bundle:
    return open_bundle(browser_bundles["torch"])


@pytest.fixture(scope="module")
def files(bundle: Bundle) -> Site:
    return site(bundle, ["wasm"])


def without(bundle: Bundle, *artifacts: str) -> Bundle:
    kept = tuple(one for one in bundle.manifest.artifacts if one.name not in artifacts)
    return replace(bundle, manifest=replace(bundle.manifest, artifacts=kept))


def test_everything_that_the_page_is_told_of_is_there(files: Site) -> None:
    assert [
        name for name, content in files.items() if isinstance(content, Path) and not content.is_file()
    ] == []
    told = json.loads(bytes(files[DESCRIPTION]))  # type: ignore[arg-type]
    assert [entry["runtime"] for entry in told["runtimes"]] == ["litertjs", "onnxruntime_web", "tfjs_browser"]
    for entry in told["runtimes"]:
        assert (entry["backend"], entry["reason"]) == ("wasm", "")
        assert {entry["url"], f"modules/{entry['module']}", "modules/engine.mjs"} <= set(files)
        assert {f"packages/{name}" for name in web_runtimes()[entry["runtime"]].packages("wasm")} <= set(
            files
        )
        assert entry["version"].count(".") == 2
        assert 1_000_000 < entry["bytes"] < 20_000_000
    assert {sample["image"] for sample in told["samples"]} == {f"samples/{n}.png" for n in range(10)}
    assert "modules/preprocess.mjs" in files
    assert told["hint"] and told["drawable"] and told["source"] == "torch"


def test_nothing_else_of_the_bundle_is_shipped(files: Site) -> None:
    models = {name for name in files if name.startswith("models/")}
    assert models == {
        "models/model.onnx",
        "models/model.batch1.tflite",
        "models/tfjs/model.json",
        "models/tfjs/group1-shard1of1.bin",
    }


def test_every_backend_is_there_unless_some_are_named(bundle: Bundle) -> None:
    found = {(entry.runtime, entry.backend) for entry in entries(bundle)}
    wanted = {
        (name, backend)
        for name, adapter in web_runtimes().items()
        for backends in adapter.DEVICES.values()
        for backend in backends
    }
    assert found == wanted
    assert {entry.backend for entry in entries(bundle, ["webgl", "webgpu"])} == {"webgl", "webgpu"}
    with pytest.raises(UsageError, match=r"no runtime in a browser has a backend 'metal'; there are wasm, "):
        entries(bundle, ["metal"])


def test_a_runtime_that_lacks_its_file_says_what_makes_it(bundle: Bundle) -> None:
    plain = without(bundle, "tflite-batch1", "onnx-batch1")
    reasons = {entry.title: entry.reason for entry in entries(plain, ["wasm"])}
    assert reasons["TF.js"] == reasons["ONNX Runtime Web"] == ""
    assert reasons["LiteRT.js"].endswith("model.tflite takes any. Build the bundle with --browser.")
    less = without(plain, "tflite", "onnx")
    reasons = {entry.title: entry.reason for entry in entries(less, ["wasm"])}
    assert reasons["ONNX Runtime Web"].startswith(
        "There is no onnx in this bundle: build it with --format onnx"
    )
    with pytest.raises(UsageError, match=r"no runtime in a browser can run .* LiteRT\.js: .*--browser"):
        site(without(less, "tfjs"))


def test_a_model_that_takes_no_picture_is_refused(bundle: Bundle) -> None:
    model = bundle.manifest.model
    image = model.inputs[0]
    for changed, why in (
        (replace(model, inputs=(replace(image, kind="tensor"),)), "takes no single one"),
        (replace(model, inputs=(image, image)), "takes no single one"),
        (replace(model, inputs=(replace(image, shape=(None, 1, None, None)),)), "needs one size of image"),
        (replace(model, preprocessing=()), "--preprocess"),
    ):
        with pytest.raises(UsageError, match=why):
            site(replace(bundle, manifest=replace(bundle.manifest, model=changed)))


def test_a_file_of_several_images_is_not_loaded(bundle: Bundle) -> None:
    def of_four(artifact: Artifact) -> Artifact:
        return replace(
            artifact, inputs=(replace(artifact.inputs[0], shape=(4, *artifact.inputs[0].shape[1:])),)
        )

    four = tuple(map(of_four, bundle.manifest.artifacts))
    found = entries(replace(bundle, manifest=replace(bundle.manifest, artifacts=four)), ["wasm"])
    assert found
    assert all("takes 4 images at a time" in entry.reason for entry in found)


def test_a_changed_artifact_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    folder = shutil.copytree(bundle.folder, tmp_path / "bundle")
    with (folder / "model.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(ChecksumError, match=r"model\.onnx was changed"):
        site(open_bundle(folder), ["wasm"])


def test_missing_packages_are_named_with_their_command(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(node.WEB, str(tmp_path))
    with pytest.raises(UnavailableError, match=r"@litertjs/core.* not in .*: .*npm.* ci "):
        site(bundle, ["wasm"])


def test_the_first_bundle_is_shown_or_the_one_that_is_named(browser_bundles: dict[str, Path]) -> None:
    both = [open_bundle(browser_bundles[name]) for name in ("keras", "torch")]
    assert choose(both, None) is both[0]
    assert choose(both, "torch") is both[1]
    with pytest.raises(UsageError, match="no bundle here comes from 'onnx'; what there is: keras, torch"):
        choose(both, "onnx")


def test_licences_go_with_the_packages(files: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = bytes(files[NOTICES]).decode()  # type: ignore[arg-type]
    for name in {
        licenses.package_of(url.removeprefix("packages/")) for url in files if url.startswith("packages/")
    }:
        assert name == "LICENSES.txt" or f"\n{name} {node.package_version(name)}, " in text
    assert "Permission is hereby granted" in text
    assert "TERMS AND CONDITIONS" in text
    package = tmp_path / "node_modules" / "closed"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"name": "closed", "version": "1.0.0", "license": "UNLICENSED"}')
    monkeypatch.setenv(node.WEB, str(tmp_path))
    with pytest.raises(UsageError, match=r"'UNLICENSED'.*cannot be passed on"):
        licenses.notices(["closed/index.js"])


def test_a_site_replaces_an_earlier_one_and_nothing_else(files: Site, tmp_path: Path) -> None:
    target = tmp_path / "site"
    written = export(files, target)
    (target / "leftover").touch()
    assert export({**files, "more.txt": b"more"}, target).files == written.files + 1
    assert not (target / "leftover").exists()
    on_disk = {path.relative_to(target).as_posix(): path for path in target.rglob("*") if path.is_file()}
    assert set(files) <= set(on_disk)
    assert written.size_bytes + len(b"more") == sum(path.stat().st_size for path in on_disk.values())
    assert written.largest_bytes == max(path.stat().st_size for path in on_disk.values())
    assert on_disk[HEADERS].read_text().splitlines()[:2] == [
        "/*",
        "  Cross-Origin-Opener-Policy: same-origin",
    ]
    for name, content in files.items():
        assert on_disk[name].read_bytes() == (content if isinstance(content, bytes) else content.read_bytes())
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds other files"):
        export(files, tmp_path / "own")
    assert (tmp_path / "own" / "thesis.txt").read_text() == "mine"


@pytest.fixture
def server(files: Site) -> Iterator[PageServer]:
    serving = serve(files)
    yield serving
    serving.close()


def fetched(url: str, **headers: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, b""


def test_the_list_is_served_and_nothing_else(server: PageServer, files: Site) -> None:
    assert server.url == address(server) == f"http://127.0.0.1:{server.port}/"
    page = fetched(server.url)
    assert page == fetched(f"{server.url}index.html")
    assert b"<canvas" in page[1]
    assert fetched(f"{server.url}models/model.onnx")[0] == 200
    for path in (
        "models/manifest.json",
        "models/../manifest.json",
        "..%2f..%2fetc/passwd",
        "modules/",
        "violation",
    ):
        assert fetched(server.url + path)[0] == 404, path
    assert fetched(server.url, Host="localhost:8000")[0] == 200  # the other end of a tunnel
    assert fetched(server.url, Host=f"elsewhere.example:{server.port}")[0] == 403


def test_other_machines_reach_it_where_a_person_says_so(files: Site) -> None:
    serving = serve(files, "0.0.0.0")
    try:
        assert address(serving).startswith("http://")
        assert "0.0.0.0" not in address(serving)
        assert fetched(f"http://127.0.0.1:{serving.port}/", Host="my-laptop.local")[0] == 200
    finally:
        serving.close()


def test_a_port_that_is_taken_is_said(files: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"127\.0\.0\.1:{port} cannot be listened on: .*--port"):
            serve(files, port=port)


def test_a_host_that_is_no_address_of_this_machine_is_said(files: Site) -> None:
    with pytest.raises(UsageError, match=r"192\.0\.2\.1:0 cannot be listened on: .*--host is an address"):
        serve(files, host="192.0.2.1")
