"""What we write beside the plain export: ``make speed``, or ``python tests/benchmarks/artifact_speed.py [WORD...]``.

For the shipped CNN of both frameworks and larger networks, each artifact and what the framework's exporter gives without
more ado, on one thread, in turns in one process: ratios of latency, of the fastest of ten loads, of size and of operators, ours
over the plain one's. ONNX is also run with ONNX Runtime's own optimisations off. How artifacts are written is a fixed
choice; this defends it, since measuring during a build would make the file depend on the machine.

The plain exports: ``torch.jit.trace`` and ``torch.onnx.export`` of the source; of the ``.keras`` artifact ``model.export``,
TF Lite's converter, tf2onnx and a trace on PyTorch. TF.js has none: its own converter does not install beside this stack.
Exits with 1 when an artifact is slower than the plain one by more than 5 %, and the interval of the ratio agrees.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import artifact_speed_child as child
import numpy as np

from exporter.converters import ENVIRONMENT
from runtimes.base import Array
from runtimes.bundle import Bundle, open_bundle
from runtimes.client import Worker
from runtimes.machine import cores_allowed, versions_of
from runtimes.measuring.percentiles import interval, nearest_rank
from runtimes.pool import environment

HERE = Path(__file__).parent
NETS: dict[str, list[str]] = {
    "cnn_torch": ["train", "--epochs", "1"],
    "cnn_keras": ["train", "--framework", "keras", "--epochs", "1"],
    "mobilenet_v2": [f"{HERE}/peer_nets.py:mobilenet_v2", "--input", "3x96x96"],
    "resnet18": [f"{HERE}/peer_nets.py:resnet18", "--input", "3x96x96"],
    "MobileNetV2": ["keras", "96"],
    "DenseNet121": ["keras", "64"],
}
FORMATS = {
    "torchscript": "torchscript",
    "onnx": "onnxruntime",
    "tflite": "litert",
    "savedmodel": "savedmodel",
}
SLOWER = 1.05


@dataclass(frozen=True)
class Row:
    """Ours over the plain export's; ``low`` and ``high`` bound the ratio of latencies with 95 %."""

    name: str
    batch: int
    ours_s: float
    plain_s: float
    latency: float
    low: float
    high: float
    load: float
    size: float
    ours_ops: int
    plain_ops: int

    @property
    def slower(self) -> bool:
        return self.latency > SLOWER and self.low > 1


def main() -> None:
    options = _arguments()
    rows = []
    load = os.getloadavg()[0]
    _say(f"load {load:.1f} of {cores_allowed()} cores")
    for net, words in NETS.items():
        if not options.words or any(word in net for word in options.words):
            with tempfile.TemporaryDirectory() as folder:
                for row in rows_of(net, build(net, words, Path(folder)), Path(folder), options):
                    rows.append(row)
                    _say(_line(row))
    print(_table(rows))
    if options.json:
        report = {
            "created": datetime.now(UTC).isoformat(timespec="seconds"), "load": load, "cores": cores_allowed(),
            "versions": versions_of("torch", "tensorflow-cpu", "tensorflow", "keras", "onnxruntime", "ai-edge-litert"),
            "rows": [asdict(row) for row in rows],
        }  # fmt: skip
        options.json.write_text(json.dumps(report, indent=2))
    sys.exit(any(row.slower for row in rows))


def build(net: str, words: list[str], folder: Path) -> Bundle:
    """Our bundle of one network, its artifacts as ``fwexport export`` writes them."""
    _say(f"building {net}")
    source = words[:1]
    if words[0] == "train":
        _cli(*words, "-o", folder / "source")
        source = [str(folder / "source")]
    elif words[0] == "keras":
        with _child("tensorflow") as tensorflow:
            tensorflow.call(child.make_keras, net, int(words[1]), folder / "model.keras")
        source = [str(folder / "model.keras")]
    else:
        source = words
    _cli("export", *source, "-o", folder / "ours")
    return open_bundle(folder / "ours")


def rows_of(net: str, bundle: Bundle, folder: Path, options: argparse.Namespace) -> Iterator[Row]:
    plain = plain_exports(bundle, folder / "plain")
    model = bundle.manifest.model.inputs[0]
    for artifact in bundle.manifest.artifacts:
        name, ours = FORMATS.get(artifact.format), bundle.path(artifact)
        if name is None:
            continue
        theirs = plain / artifact.path
        random = np.random.default_rng(0)
        images = random.random((max(options.batch), *artifact.inputs[0].shape[1:]), dtype=np.float32)
        assert model.dtype == "float32"
        with Worker({**environment(name, "cpu"), "PYTHONPATH": str(HERE)}) as worker:
            ops = [worker.call(child.operators, name, path) for path in (ours, theirs)]
        for kind in (name, child.UNOPTIMISED) if name == "onnxruntime" else (name,):
            for batch in options.batch:
                with Worker({**environment(name, "cpu"), "PYTHONPATH": str(HERE)}) as worker:
                    race = worker.call(child.race, kind, [ours, theirs], images[:batch], options.seconds)
                yield _row(f"{net}/{kind}", batch, race, [child.size_bytes(p) for p in (ours, theirs)], ops)


def plain_exports(bundle: Bundle, folder: Path) -> Path:
    """What the frameworks' exporters make of the same network, under the names that ours have."""
    child.forget(folder)
    manifest = bundle.manifest
    keras_file = bundle.path(next(one for one in manifest.artifacts if one.format == "keras"))
    from_torch = manifest.source.framework == "torch"
    if from_torch:
        with _child("torch") as torch:
            torch.call(child.plain_torch, bundle.folder / "source", folder, manifest.model)
    else:
        with _child("keras-torch") as torch:
            torch.call(child.plain_keras_on_torch, keras_file, folder, manifest.model)
    with _child("tensorflow") as tensorflow:
        tensorflow.call(child.plain_keras, keras_file, folder, not from_torch)
    return folder


def _row(name: str, batch: int, race: child.Race, sizes: list[int], ops: list[int]) -> Row:
    ours, plain = race.runs_s
    ratios: Array = np.sort(ours / plain)
    low, high = interval(ratios, 0.5) or (ratios[0], ratios[-1])
    return Row(
        name, batch, float(np.median(ours)), float(np.median(plain)), float(nearest_rank(ratios, 0.5)),
        float(low), float(high), float(race.loads_s[0].min() / race.loads_s[1].min()),
        sizes[0] / sizes[1], *ops,
    )  # fmt: skip


def _child(kind: str) -> Worker:
    return Worker({**ENVIRONMENT[kind], "PYTHONPATH": str(HERE)})


def _cli(*words: object) -> None:
    command = [sys.executable, "-P", "-m", "exporter.cli", *map(str, words)]
    subprocess.run(command, check=True, capture_output=True)


def _line(row: Row) -> str:
    return (
        f"{row.name + f'/batch {row.batch}':52}{row.ours_s * 1e3:10.3f}{row.plain_s * 1e3:10.3f}"
        f"{row.latency:8.3f}  [{row.low:.3f}, {row.high:.3f}]{row.load:7.2f}{row.size:7.3f}"
        f"{f'{row.ours_ops} : {row.plain_ops}':>12}{'  slower' if row.slower else ''}"
    )


def _table(rows: list[Row]) -> str:
    head = (
        f"{'':52}{'ours, ms':>10}{'plain, ms':>10}{'ours / plain':>24}{'load':>7}{'size':>7}{'operators':>12}"
    )
    return "\n".join([head, *map(_line, rows)])


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument(
        "words", nargs="*", metavar="WORD", help=f"networks whose names contain one: {', '.join(NETS)}"
    )
    parser.add_argument("--batch", action="append", type=int, help="repeatable (1, 8)")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each race (6)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything")
    options = parser.parse_args()
    options.batch = options.batch or [1, 8]
    return options


if __name__ == "__main__":
    main()
