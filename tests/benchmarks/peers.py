"""PyTorch to TF Lite by fwexport and by its peers: ``python tests/benchmarks/peers.py [-o FILE] [NET...]``.

For each network of ``peer_nets``: seconds of a conversion (imports and a first conversion stay outside the clock), the
most memory that its processes held at once, the file's size and operators, and latency on one thread at batch 1.
Conversions and runs alternate; a ratio is the median over the pairs, ours over theirs, so that less is better.

litert-torch comes with ``pip install 'fwexport[peers]'``. onnx2tf cannot be installed beside this stack: with
``--onnx2tf PYTHON``, the interpreter of an environment that has it, its file joins the latencies and the sizes.
Exits with 1 when two files predict differently.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import peers_child as child
import psutil

from exporter.child import convert, warm
from exporter.conversions import onnx2keras
from exporter.converters import ENVIRONMENT
from runtimes.client import Worker
from runtimes.machine import versions_of

NETS = (
    "mobilenet_v2", "resnet18", "mobilenet_v3_small", "efficientnet_b0", "shufflenet_v2_x0_5", "squeezenet1_1"
)  # fmt: skip
OURS, LITERT_TORCH, ONNX2TF = "fwexport", "litert-torch", "onnx2tf"
TARGETS = {"latency": 1.0, "size": 1.02, "convert": 0.75, "memory": 1.0, "transposes": 1.0}
MEMORY_BYTES, MEMORY_WEIGHTS = 1.5e9, 3
# Of the largest output: what float32 leaves of agreement after a hundred layers.
SAME = 1e-4
IMAGES = 4


@dataclass(frozen=True)
class Conversion:
    """What one conversion took; ``cpu_s`` is its processes' own time."""

    wall_s: float
    cpu_s: float
    peak_rss_bytes: int


def main() -> None:
    arguments = _arguments()
    rows = []
    for name in arguments.nets:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(one_net(name, Path(folder), arguments))
        print(_line(rows[-1]), flush=True)
    print(_summary(rows))
    if arguments.output:
        report = {
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "cores": os.cpu_count(),
            "versions": versions_of("torch", "tensorflow-cpu", "tensorflow", "keras", "ai-edge-litert", "litert-torch"),
            "targets": TARGETS,
            "nets": rows,
        }  # fmt: skip
        arguments.output.write_text(json.dumps(report, indent=2))
    sys.exit(any(error > SAME for row in rows for error in row["errors"].values()))


def one_net(name: str, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Everything that is measured of one network."""
    files = {way: folder / f"{way}.tflite" for way in (OURS, LITERT_TORCH)}
    with _children() as (torch, tensorflow, peer, litert):
        weights_bytes = torch.call(child.build, name)
        peer.call(child.build, name)

        def ours() -> None:
            scratch = Path(tempfile.mkdtemp(dir=folder))
            spec = child.spec(name)
            torch.call(child.export_onnx, name, scratch / "model.onnx", spec)
            tensorflow.call(convert, "onnx2keras", scratch / "model.onnx", scratch / "model.keras", spec)
            spec = onnx2keras.artifact_spec(spec)
            tensorflow.call(
                convert, "keras2savedmodel", scratch / "model.keras", scratch / "saved_model", spec
            )
            tensorflow.call(convert, "savedmodel2tflite", scratch / "saved_model", files[OURS], spec)

        def theirs() -> None:
            peer.call(child.convert_by_litert_torch, name, files[LITERT_TORCH], child.SHAPE)

        ways = {OURS: (ours, [torch, tensorflow]), LITERT_TORCH: (theirs, [peer])}
        taken: dict[str, list[Conversion]] = {way: [] for way in ways}
        for _ in range(1 + arguments.repeat):
            for way, (run, workers) in ways.items():
                taken[way].append(_measured(run, workers))
        if arguments.onnx2tf:
            torch.call(child.export_onnx, name, folder / "model.onnx", child.spec(name))
            files[ONNX2TF] = _by_onnx2tf(arguments.onnx2tf, folder)

        graphs = {way: litert.call(child.inspect, path) for way, path in files.items()}
        images = np.random.default_rng(0).random((IMAGES, 3, 224, 224), dtype=np.float32)
        expected = torch.call(child.predict, name, images)
        images = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
        errors = {
            way: float(abs(litert.call(child.run, path, images) - expected).max() / abs(expected).max())
            for way, path in files.items()
        }
    with Worker({"PYTHONPATH": _HERE}) as alone:
        raced = alone.call(child.race, list(files.values()), images[0], arguments.seconds)
    wall, own = ({way: raced[:, i, clock] for i, way in enumerate(files)} for clock in (0, 1))
    sizes = {way: path.stat().st_size for way, path in files.items()}
    transposes = {way: graph.ops.get("TRANSPOSE", 0) for way, graph in graphs.items()}
    peers = [way for way in files if way != OURS]
    pairs = list(zip(taken[OURS][1:], taken[LITERT_TORCH][1:], strict=True))
    memory = max(conversion.peak_rss_bytes for conversion in taken[OURS])
    return {
        "net": name,
        "latency": max(float(np.median(wall[OURS] / wall[way])) for way in peers),
        "latency_cpu": max(float(np.median(own[OURS] / own[way])) for way in peers),
        "size": max(sizes[OURS] / sizes[way] for way in peers),
        "convert": float(np.median([a.wall_s / b.wall_s for a, b in pairs])),
        "convert_cpu": float(np.median([a.cpu_s / b.cpu_s for a, b in pairs])),
        "memory": memory / (MEMORY_BYTES + MEMORY_WEIGHTS * weights_bytes),
        "transposes": transposes[OURS] / max(min(transposes[way] for way in peers), 1),
        "errors": errors,
        "files": {
            way: {
                "latency_ms": float(np.median(wall[way]) * 1e3),
                "latency_cpu_ms": float(np.median(own[way]) * 1e3),
                "size_bytes": sizes[way],
                "transposes": transposes[way],
                "delegates": graphs[way].delegates,
                "ops": graphs[way].ops,
                "convert_s": [conversion.wall_s for conversion in taken.get(way, [])],
                "convert_cpu_s": [conversion.cpu_s for conversion in taken.get(way, [])],
                "peak_rss_bytes": max([c.peak_rss_bytes for c in taken.get(way, [])], default=None),
            }
            for way in files
        },
    }


_HERE = str(Path(__file__).parent)


@contextlib.contextmanager
def _children() -> Iterator[list[Worker]]:
    """Fresh processes with their imports done: PyTorch and TensorFlow as ``build`` has them, the peer, a LiteRT."""
    kinds = {"torch": warm, "tensorflow": warm, "peer": child.import_litert_torch, "litert": None}
    with contextlib.ExitStack() as stack:
        workers = []
        for kind, first in kinds.items():
            environment = {**ENVIRONMENT.get(kind, ENVIRONMENT["torch"]), "PYTHONPATH": _HERE}
            workers.append(stack.enter_context(Worker(environment)))
            if first is warm:
                workers[-1].call(warm, kind)
            elif first:
                workers[-1].call(first)
        yield workers


def _measured(run: Callable[[], None], workers: list[Worker]) -> Conversion:
    """Run a conversion and watch its processes."""
    processes = [psutil.Process(worker.pid) for worker in workers]
    done, peaks = threading.Event(), [0]

    def watch() -> None:
        while not done.wait(0.01):
            peaks.append(sum(process.memory_info().rss for process in processes))

    def cpu_s() -> float:
        return sum(sum(process.cpu_times()[:2]) for process in processes)

    watcher = threading.Thread(target=watch)
    cpu, begin = cpu_s(), perf_counter()
    watcher.start()
    run()
    wall = perf_counter() - begin
    done.set()
    watcher.join()
    return Conversion(wall, cpu_s() - cpu, max(peaks))


def _by_onnx2tf(python: str, folder: Path) -> Path:
    """Its float32 file. It wants to download images to calibrate with; they are here when it starts."""
    images = np.random.default_rng(0).random((20, 128, 128, 3), dtype=np.float32)
    np.save(folder / "calibration_image_sample_data_20x128x128x3_float32.npy", images)
    subprocess.run(
        [python, "-m", "onnx2tf", "-i", "model.onnx", "-o", "onnx2tf", "-n"],
        cwd=folder,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "PYTHONPATH": ""},
        check=True,
        capture_output=True,
    )
    return folder / "onnx2tf" / "model_float32.tflite"


def _line(row: dict[str, Any]) -> str:
    lines = [f"{row['net']}: largest difference {max(row['errors'].values()):.1e} of the largest output"]
    for way, file in row["files"].items():
        took = f"{np.median(file['convert_s'][1:]):6.2f} s" if file["convert_s"] else "       -"
        cpu = f"{np.median(file['convert_cpu_s'][1:]):6.2f} s" if file["convert_s"] else "       -"
        held = f"{file['peak_rss_bytes'] / 1e6:5.0f} MB" if file["convert_s"] else "       -"
        lines.append(
            f"  {way:13}{file['latency_ms']:8.3f} ms {file['size_bytes'] / 1e6:7.2f} MB  convert{took} (CPU{cpu})"
            f"  peak {held}  {sum(file['ops'].values()):4} operators, {file['transposes']} transposes,"
            f" {file['delegates']} delegates"
        )
    return "\n".join(lines)


def _summary(rows: list[dict[str, Any]]) -> str:
    """The ratios; a star marks one above its target."""
    heads = ("latency", "latency_cpu", "size", "convert", "convert_cpu", "memory", "transposes")
    lines = [f"\n{'ours / best peer':20}" + "".join(f"{head:>13}" for head in heads)]
    for row in rows:
        cells = [
            f"{row[head]:.3f}" + ("*" if row[head] > TARGETS.get(head, np.inf) else " ") for head in heads
        ]
        lines.append(f"{row['net']:20}" + "".join(f"{cell:>13}" for cell in cells))
    limits = [f"{TARGETS[head]:.2f} " if head in TARGETS else "" for head in heads]
    lines.append(f"{'target':20}" + "".join(f"{limit:>13}" for limit in limits))
    lines.append(
        f"memory: of {MEMORY_BYTES / 1e9:g} GB + {MEMORY_WEIGHTS} x the weights; convert: litert-torch"
    )
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("nets", nargs="*", metavar="NET", help=f"of {', '.join(NETS)}; all by default")
    parser.add_argument("--repeat", type=int, default=3, help="pairs of conversions (3)")
    parser.add_argument("--seconds", type=float, default=20.0, help="of runs for each network (20)")
    parser.add_argument("--onnx2tf", metavar="PYTHON", help="an interpreter that has onnx2tf")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write everything as JSON")
    arguments = parser.parse_args()
    if unknown := set(arguments.nets) - set(NETS):
        parser.error(f"there is no network {', '.join(sorted(unknown))}; there are {', '.join(NETS)}")
    arguments.nets = arguments.nets or list(NETS)
    return arguments


if __name__ == "__main__":
    main()
