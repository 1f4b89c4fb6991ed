"""``fwexport compare`` as a gate, on a real artifact: ``python tests/benchmarks/gate.py [BUNDLE] [compare's options]``.

The ONNX file of the bundle (build/torch by default) is compared with a copy of itself and with one whose graph does its
work twice, and so are files of ``bench`` about the three. Prints each command, what it says and its exit code; fails
unless the copy passes and the slower one does not.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import onnx
from onnx import compose, helper

from runtimes.bundle import describe_artifact, open_bundle, save_manifest


def do_twice(path: Path) -> None:
    """Add the whole graph once more, on an input a little different so that no optimiser drops it; its result counts 0."""
    model = onnx.load(path)
    image, answer = model.graph.input[0].name, model.graph.output[0].name
    first, second = (compose.add_prefix(model, prefix) for prefix in ("first_", "second_"))
    constants = [
        helper.make_tensor(name, 1, [], [value]) for name, value in (("moved", 1.001), ("none", 0.0))
    ]
    nodes = [
        helper.make_node("Identity", [image], [f"first_{image}"]),
        *first.graph.node,
        helper.make_node("Mul", [image, "moved"], [f"second_{image}"]),
        *second.graph.node,
        helper.make_node("Mul", [f"second_{answer}", "none"], ["nothing"]),
        helper.make_node("Add", [f"first_{answer}", "nothing"], [answer]),
    ]
    weights = [*first.graph.initializer, *second.graph.initializer, *constants]
    graph = helper.make_graph(nodes, "twice", model.graph.input, model.graph.output, weights)
    twice = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    twice.metadata_props.extend(model.metadata_props)
    onnx.save(twice, path)


def slower_copy(bundle: Path, target: Path) -> Path:
    """The bundle with the ONNX file that does its work twice, and a manifest that describes it."""
    shutil.copytree(bundle, target)
    opened = open_bundle(target)
    given = opened.manifest.artifact("onnx")
    if given is None:
        sys.exit(f"{bundle} has no ONNX file")
    do_twice(opened.path(given))
    _, sha256, size_bytes = describe_artifact(target, opened.path(given))
    artifacts = tuple(
        replace(each, sha256=sha256, size_bytes=size_bytes) if each == given else each
        for each in opened.manifest.artifacts
    )
    save_manifest(target, replace(opened.manifest, artifacts=artifacts))
    return target


def fwexport(*arguments: object) -> int:
    """Run a command and say what it was and how it ended."""
    print("$ fwexport", *arguments, flush=True)
    done = subprocess.run([sys.executable, "-P", "-m", "exporter.cli", *map(str, arguments)], check=False)
    print(f"exit code {done.returncode}\n", flush=True)
    return done.returncode


def main() -> None:
    bundle = Path(sys.argv[1] if len(sys.argv) > 1 else "build/torch")
    chosen = ["--format", "onnx", "--batch", "1"]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        same = Path(shutil.copytree(bundle, place / "same"))
        slower = slower_copy(bundle, place / "slower")
        fwexport("verify", slower, "--format", "onnx")
        codes = [fwexport("compare", bundle, new, *chosen, *sys.argv[2:]) for new in (same, slower)]
        for name, each in (("old", bundle), ("same", same), ("slower", slower)):
            fwexport("bench", each, *chosen, "--processes", 5, "-o", place / "bench" / name)
        files = {name: place / "bench" / name / "bench.json" for name in ("old", "same", "slower")}
        codes += [fwexport("compare", files["old"], files[name]) for name in ("same", "slower")]
    print("exit codes:", *codes, "expected: 0 1 0 1 (3: the machine is too noisy to tell)")
    sys.exit(codes != [0, 1, 0, 1])


if __name__ == "__main__":
    main()
