"""Transposes and XNNPACK's parts in the TF Lite files of the zoo's PyTorch networks, beside litert-torch's.

``python tests/benchmarks/peer_transposes.py [NET...]`` needs ``pip install 'fwexport[peers]'``. A star marks a network in
which more transposes are left than in the peer's file.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import peers_child as child

from exporter.child import convert, warm
from exporter.conversions import onnx2keras
from exporter.converters import ENVIRONMENT
from runtimes.client import Worker
from runtimes.errors import FwexportError

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from tests.zoo.registry import MODELS, Model  # noqa: E402 - the root is not on the path of a script


def main() -> None:
    chosen = [MODELS[name] for name in sys.argv[1:]] or [m for m in MODELS.values() if m.framework == "torch"]
    path = f"{HERE}:{HERE.parents[1]}"
    with (
        Worker({**ENVIRONMENT["torch"], "PYTHONPATH": path}) as torch,
        Worker({**ENVIRONMENT["tensorflow"], "PYTHONPATH": path}) as tensorflow,
        Worker({**ENVIRONMENT["torch"], "PYTHONPATH": path}) as peer,
        Worker({"PYTHONPATH": path}) as litert,
        tempfile.TemporaryDirectory() as folder,
    ):
        torch.call(warm, "torch")
        tensorflow.call(warm, "tensorflow")
        peer.call(child.import_litert_torch)
        print(f"{'':24}{'transposes':>14}{'parts':>12}\n{'':24}{'ours   theirs':>14}{'ours theirs':>12}")
        for model in chosen:
            ours = _tried(_ours, model, Path(folder), torch, tensorflow, litert)
            theirs = _tried(_theirs, model, Path(folder), peer, litert)
            more = isinstance(ours, child.Graph) and isinstance(theirs, child.Graph) and (
                _transposes(ours) > _transposes(theirs)
            )  # fmt: skip
            left, right = (_cells(graph) for graph in (ours, theirs))
            print(f"{model.name:24}{left[0]:>5}{right[0]:>8}{'*' if more else ' '}{left[1]:>5}{right[1]:>7}", flush=True)  # fmt: skip


def _ours(model: Model, folder: Path, torch: Worker, tensorflow: Worker, litert: Worker) -> child.Graph:
    spec = torch.call(child.build_file, model.name, model.code, model.shape)
    scratch = Path(tempfile.mkdtemp(dir=folder))
    torch.call(child.export_onnx, model.name, scratch / "model.onnx", spec)
    tensorflow.call(convert, "onnx2keras", scratch / "model.onnx", scratch / "model.keras", spec)
    spec = onnx2keras.artifact_spec(spec)
    tensorflow.call(convert, "keras2savedmodel", scratch / "model.keras", scratch / "saved_model", spec)
    tensorflow.call(convert, "savedmodel2tflite", scratch / "saved_model", scratch / "ours.tflite", spec)
    return litert.call(child.inspect, scratch / "ours.tflite")


def _theirs(model: Model, folder: Path, peer: Worker, litert: Worker) -> child.Graph:
    peer.call(child.build_file, model.name, model.code, model.shape)
    out = folder / f"{model.name}.theirs.tflite"
    peer.call(child.convert_by_litert_torch, model.name, out, model.shape)
    return litert.call(child.inspect, out)


def _tried(function, *arguments):  # type: ignore[no-untyped-def]
    try:
        return function(*arguments)
    except FwexportError as error:
        return error


def _transposes(graph: child.Graph) -> int:
    return graph.ops.get("TRANSPOSE", 0)


def _cells(graph: child.Graph | FwexportError) -> tuple[str, str]:
    if isinstance(graph, FwexportError):
        print(str(graph).strip().splitlines()[-1][:150], file=sys.stderr)
        return "failed", ""
    return str(_transposes(graph)), str(graph.delegates)


if __name__ == "__main__":
    main()
