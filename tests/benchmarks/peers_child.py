"""What ``peers.py`` runs in its children: networks, conversions by a peer, latencies of TF Lite files."""

from __future__ import annotations

import gc
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from exporter.conversions import torch2onnx
from runtimes.base import Array
from runtimes.bundle import ModelSpec, TensorSpec

SHAPE = (3, 224, 224)
_nets: dict[str, Any] = {}


@dataclass(frozen=True)
class Graph:
    """What a TF Lite file holds: operators by name, and how many parts of it XNNPACK takes as one."""

    ops: dict[str, int]
    delegates: int


def spec(name: str) -> ModelSpec:
    """A network of ``peer_nets``, as PyTorch has it."""
    image = TensorSpec("image", "float32", (None, *SHAPE), "NCHW", "image")
    return ModelSpec(name, (image,), (TensorSpec("logits", "float32", (None, 1000), "NC", "logits"),))


def build(name: str) -> int:
    """Make a network and keep it. The size of its weights in bytes."""
    import peer_nets

    _nets[name] = peer_nets.build(name)
    return 4 * peer_nets.parameters(_nets[name])


def build_file(name: str, code: str, shape: tuple[int, ...]) -> ModelSpec:
    """Make and keep the network ``file.py:name``, whose input is ``shape`` without the batch. What it is."""
    import torch

    from exporter.sources import torch_code

    _nets[name] = torch_code.build(code, {}).eval()
    with torch.inference_mode():
        found = _nets[name](torch.rand(2, *shape))
    tensors = [found] if isinstance(found, torch.Tensor) else list(found)
    layout = "NCHW" if len(shape) == 3 else ""
    inputs = (TensorSpec("input", "float32", (None, *shape), layout),)
    outputs = tuple(
        TensorSpec(
            f"output{number}", "float32", (None, *tensor.shape[1:]), "NCHW" if tensor.ndim == 4 else ""
        )
        for number, tensor in enumerate(tensors)
    )
    return ModelSpec(name, inputs, outputs)


def predict(name: str, images: Array) -> Array:
    """What the network itself gives for NCHW images."""
    import torch

    with torch.inference_mode():
        found: Array = _nets[name](torch.from_numpy(images)).numpy()
    return found


def export_onnx(name: str, out: Path, spec: ModelSpec) -> None:
    """The first of our edges, from the module, as ``exporter.child.convert`` runs it from a source folder."""
    torch2onnx.export(_nets[name], out, spec)
    gc.collect()


def import_litert_torch() -> None:
    """Outside the clock."""
    import litert_torch  # noqa: F401 - importing is all there is to do


def convert_by_litert_torch(name: str, out: Path, shape: tuple[int, ...]) -> None:
    """From the module to a TF Lite file; images enter and leave channels last, as its guide says."""
    import litert_torch
    import torch

    net, example = _nets[name], torch.rand(1, *shape)
    if len(shape) == 3:
        image = net(example).ndim == 4
        net = litert_torch.to_channel_last_io(net, args=[0], outputs=[0] if image else None)
        example = example.permute(0, 2, 3, 1).contiguous()
    litert_torch.convert(net, (example,)).export(str(out))


def inspect(path: Path) -> Graph:
    """Operators without a delegate; delegates with XNNPACK."""
    from ai_edge_litert.interpreter import OpResolverType

    plain = _interpreter(path, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    ops = Counter(op["op_name"] for op in plain._get_ops_details())
    fast = _interpreter(path, OpResolverType.AUTO)._get_ops_details()
    return Graph(dict(ops), sum(op["op_name"] == "DELEGATE" for op in fast))


def run(path: Path, images: Array) -> Array:
    """What a TF Lite file gives for NHWC images, one at a time."""
    interpreter = _interpreter(path)
    at, result = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    found = []
    for image in images:
        interpreter.set_tensor(at, image[None])
        interpreter.invoke()
        found.append(interpreter.get_tensor(result)[0])
    return np.stack(found)


def race(paths: list[Path], image: Array, seconds: float) -> Array:
    """Seconds of single runs, shape (rounds, files, 2): in each round every file once, in an order drawn by lot.

    Last axis: the wall clock, and the thread's own time, which leaves out what others took of the core. Half of the
    rounds are run by interpreters that were opened in reverse: where in memory a file lies is worth a percent.
    """
    order = list(range(len(paths)))
    halves = [_half_a_race(paths, image, seconds / 2, order[::step]) for step in (1, -1)]
    return np.concatenate(halves)


def _half_a_race(paths: list[Path], image: Array, seconds: float, opening: list[int]) -> Array:
    random = np.random.default_rng(0)
    interpreters = {number: _interpreter(paths[number]) for number in opening}
    for interpreter in interpreters.values():
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None])
        for _ in range(10):
            interpreter.invoke()
    rounds = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(rounds) < 25:
        times = np.empty((len(paths), 2))
        for number in random.permutation(len(paths)):
            begin = time.perf_counter(), time.thread_time()
            interpreters[number].invoke()
            times[number] = time.perf_counter() - begin[0], time.thread_time() - begin[1]
        rounds.append(times)
    return np.stack(rounds)


def _interpreter(path: Path, resolver: Any = None) -> Any:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    found = Interpreter(
        str(path), num_threads=1, experimental_op_resolver_type=resolver or OpResolverType.AUTO
    )
    found.allocate_tensors()
    return found
