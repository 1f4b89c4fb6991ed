"""Which artifact goes into which runtime, on which device, by which backend."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runtimes.adapters import fake
from runtimes.bundle import Artifact, Bundle, Failure, format_of, open_bundle
from runtimes.errors import UnavailableError, UsageError
from runtimes.pool import Live, Pool, cells
from runtimes.variants import lacks_batch
from runtimes.verify import VerifyOptions, verify
from tests.fake_bundle import IMAGE, LOGITS, fake_bundle, fake_runtime

__all__ = ["fake_runtime"]

ONE = replace(IMAGE, shape=(1, *IMAGE.shape[1:]))


@pytest.fixture
def in_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake runtime stands for one in a browser, whose GPU takes no dynamic batch."""
    monkeypatch.setattr(fake, "IN_BROWSER", True)
    monkeypatch.setattr(fake, "DEVICES", {"cpu": ("wasm",), "gpu": ("webgl", "webgpu")})
    monkeypatch.setattr(fake, "FIXED_BATCH", ("webgl",))
    monkeypatch.setattr(
        "runtimes.pool.for_format", lambda format: {"fake": ["fake"], "onnx": ["onnxruntime"]}[format]
    )


def bundle(folder: Path, *artifacts: Artifact) -> Bundle:
    """A bundle in memory."""
    opened = open_bundle(fake_bundle(folder / "bundle"))
    return replace(opened, manifest=replace(opened.manifest, artifacts=artifacts))


def artifact(format: str, batch: int | None = None, variant: str = "") -> Artifact:
    return Artifact(
        format, "", "", 0, (replace(IMAGE, shape=(batch, *IMAGE.shape[1:])),), (LOGITS,), variant=variant
    )


PLAIN, BATCH1, ONNX = artifact("fake"), artifact("fake", 1, "batch1"), artifact("onnx")


def names(found: Bundle, **asked: object) -> list[str]:
    return [cell.name.partition("/")[2] for cell in cells(found, **asked)]  # type: ignore[arg-type]


@pytest.mark.usefixtures("in_browser")
def test_a_browser_is_started_only_where_it_is_asked_for(tmp_path: Path) -> None:
    found = bundle(tmp_path, ONNX, PLAIN, BATCH1)
    native = ["onnx/onnxruntime/cpu/cpu"]
    inside = ["fake/fake/cpu/wasm", "fake/fake/gpu/webgpu", "fake-batch1/fake/gpu/webgl"]
    assert names(found, devices=("cpu",)) == native
    assert names(found, browser=True)[-3:] == names(found, runtimes=("fake",)) == inside
    assert names(found, browser=True, devices=("cpu",)) == native + inside[:1]
    for runtimes in (("onnxruntime",), ("fake", "onnxruntime")):
        assert names(found, browser=True, runtimes=runtimes, devices=("cpu",)) == native + inside[:1]
    assert names(found, browser=True, runtimes=("fake",)) == inside
    with pytest.raises(UsageError, match="nothing in"):
        names(bundle(tmp_path / "other", PLAIN))


@pytest.mark.usefixtures("in_browser")
def test_a_browser_in_which_nothing_runs_is_never_dropped(tmp_path: Path) -> None:
    found = bundle(tmp_path, ONNX, PLAIN)
    with pytest.raises(
        UsageError, match=r"^onnx of .* runs in no browser; what does is onnx, tfjs, tflite\."
    ):
        names(found, browser=True, formats=("onnx",))  # no adapter of this test runs it there
    with pytest.raises(UsageError, match=r"^onnx of .* runs in no browser"):
        names(bundle(tmp_path / "other", ONNX), browser=True)


@pytest.mark.usefixtures("in_browser")
def test_a_backend_of_a_fixed_batch_gets_the_file_that_has_one(tmp_path: Path) -> None:
    def of_webgl(*artifacts: Artifact) -> list[str]:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        return [name for name in names(bundle(folder, *artifacts), browser=True) if "webgl" in name]

    assert of_webgl(PLAIN, BATCH1) == ["fake-batch1/fake/gpu/webgl"]
    assert of_webgl(artifact("fake", 4), BATCH1) == ["fake/fake/gpu/webgl"]
    assert of_webgl(BATCH1) == ["fake-batch1/fake/gpu/webgl"]
    assert of_webgl(PLAIN) == ["fake/fake/gpu/webgl"]  # which is refused


@pytest.mark.usefixtures("in_browser")
def test_a_backend_that_lacks_its_batch_says_what_helps(tmp_path: Path) -> None:
    found = bundle(tmp_path, replace(PLAIN, path="model.fake"))
    failed = replace(found.manifest, failures=(Failure("fake-batch1", "torch2fake", "a loop has no size"),))
    foreign = replace(found.manifest, source=replace(found.manifest.source, path=""))
    said = {
        "Build the bundle with --browser.": found.manifest,
        "fake-batch1 could not be written: a loop has no size": failed,
        "Write it for one batch size.": foreign,
    }
    with Pool() as pool:
        for advice, manifest in said.items():
            (cell,) = (
                cell
                for cell in cells(replace(found, manifest=manifest), browser=True)
                if cell.backend == "webgl"
            )
            with pytest.raises(UnavailableError) as caught:
                _ = Live(cell, worker=pool.one_thread(cell)).opened
            assert (
                str(caught.value)
                == f"webgl takes a file of one batch size, and model.fake takes any. {advice}"
            )
    assert lacks_batch(found.manifest, PLAIN, fake, "webgpu") is None
    wide = replace(BATCH1, inputs=(replace(BATCH1.inputs[0], shape=(1, None)),))
    assert lacks_batch(found.manifest, wide, fake, "webgl") == (
        f"webgl takes a file of fixed sizes, and {BATCH1.path} leaves some of its inputs' open."
    )
    assert lacks_batch(found.manifest, BATCH1, fake, "webgl") is None


def test_an_artifact_is_found_by_its_name(tmp_path: Path) -> None:
    manifest = bundle(tmp_path, BATCH1, PLAIN).manifest
    assert manifest.artifact("fake") is PLAIN
    assert manifest.artifact("fake-batch1") is BATCH1
    assert list(manifest.checksums) == ["fake-batch1", "fake"]
    assert [format_of(name) for name in manifest.checksums] == ["fake", "fake"]


@pytest.mark.usefixtures("fake_runtime")
def test_a_child_serves_bundle_after_bundle_until_it_dies(tmp_path: Path) -> None:
    folders = {does: fake_bundle(tmp_path / f"bundle-{does}", does=does) for does in ("", "batch", "crash")}
    seen = []
    with Pool() as pool:
        for does in ("", "batch", "crash", ""):
            [row] = verify(folders[does], VerifyOptions(), pool).rows
            worker = pool.session(cells(open_bundle(folders[does]))[0]).worker
            seen.append((row.outcome, worker.pid))
            pool.next_bundle()
            assert worker.alive == (does != "crash")
    assert [outcome for outcome, _ in seen] == ["passed", "mismatch", "crashed", "passed"]
    first, second, third, last = (pid for _, pid in seen)
    assert first == second == third != last
    assert not worker.alive
