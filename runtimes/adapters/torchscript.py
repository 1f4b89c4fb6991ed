"""TorchScript in PyTorch, on the CPU or a CUDA device."""

from __future__ import annotations

import importlib.util
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from runtimes.base import Array, Feeds, Inspection, Session, SessionOptions, zero_feeds
from runtimes.bundle import METADATA, ModelSpec, TensorSpec
from runtimes.environment import gpu
from runtimes.errors import NotAModelError, UnavailableError
from runtimes.frameworks.torchscript_graph import computed
from runtimes.machine import cores_allowed, versions_of

FORMATS = ("torchscript",)
DEVICES = {"cpu": ("torch",), "cuda": ("torch",)}
PRECISIONS = ("float32", "tf32")
THREADS: Literal["session", "process"] = "session"
IN_BROWSER = False
FIXED_BATCH: tuple[str, ...] = ()


def check(device: str) -> str | None:
    """None, or what is missing."""
    if importlib.util.find_spec("torch") is None:
        return "PyTorch is missing: pip install 'fwexport[torch]'"
    if device == "cpu":
        return None
    import torch

    if not torch.cuda.is_available():
        return f"PyTorch {torch.__version__} sees no CUDA device. Install a CUDA build of torch and NVIDIA's driver."
    wanted = torch.device(device).index or 0
    if wanted >= torch.cuda.device_count():
        return f"there is no {device}: PyTorch sees {torch.cuda.device_count()} CUDA device(s)."
    return None


def versions() -> dict[str, str]:
    """PyTorch's."""
    import torch  # noqa: F401 - importing is part of what is timed

    return versions_of("torch")


def inspect(path: Path) -> Inspection:
    """Tensors by the embedded metadata where there is some, else by the graph's names."""
    module, extra = _read(path, "cpu")
    graph = module.inlined_graph
    ops = Counter(
        node.kind().removeprefix("aten::") for node in graph.nodes() if node.kind().startswith("aten::")
    )
    inputs, outputs = _specs(module, extra)
    metadata = {k: v for k, v in extra.items() if v}
    return Inspection(inputs, outputs, dict(sorted(ops.items())), metadata, _quantized(module))


def load(path: Path, device: str, options: SessionOptions) -> Session:
    """The module on exactly this device."""
    return _Session(path, device, options)


def trace(path: Path, device: str, options: SessionOptions, feeds: Feeds) -> dict[str, Array]:
    """Every tensor of the graph, by the name of its value."""
    session = _Session(path, device, options)
    found = computed(session.module, session.tensors(feeds))
    return {value.name: value.tensor.cpu().numpy() for value in found}


class _Session(Session):
    def __init__(self, path: Path, device: str, options: SessionOptions) -> None:
        import torch

        self.threads = options.threads or cores_allowed()
        torch.set_num_threads(self.threads)
        torch.backends.cuda.matmul.allow_tf32 = options.precision == "tf32"
        torch.backends.cudnn.allow_tf32 = options.precision == "tf32"
        self._device, self._lay_on = torch.device(device), None
        self.module, self.metadata = _read(path, device)
        self.inputs, self.outputs = _specs(self.module, self.metadata)
        self.settings = _settings(self._device.type)

    def run(self, feeds: Feeds) -> dict[str, Array]:
        import torch

        torch.set_num_threads(self.threads)
        with torch.inference_mode():
            values = _as_tuple(self.module(*self.tensors(feeds)))
        self._lay_on = self._lay_on or values[0].device
        return {spec.name: value.cpu().numpy() for spec, value in zip(self.outputs, values, strict=True)}

    def bind(self, feeds: Feeds) -> Callable[[], None]:
        import torch

        torch.set_num_threads(self.threads)
        tensors, module = self.tensors(feeds), self.module
        on_gpu, device = self._device.type == "cuda", self._device

        def call() -> None:
            module(*tensors)
            if on_gpu:
                torch.cuda.synchronize(device)

        return call

    def sample(
        self, calls: Sequence[Callable[[], object]], seconds: float, at_least: int, at_most: int
    ) -> Array:
        """In one inference mode: to enter it takes a microsecond."""
        import torch

        with torch.inference_mode():
            return super().sample(calls, seconds, at_least, at_most)

    def gpu_memory_bytes(self) -> int | None:
        import torch

        if self._device.type != "cuda":
            return None
        return gpu.memory_of(os.getpid()) or int(torch.cuda.max_memory_reserved(self._device))

    def tensors(self, feeds: Feeds) -> list[Any]:
        import torch

        arrays = [np.ascontiguousarray(feeds[spec.name]) for spec in self.inputs]
        return [torch.from_numpy(array).to(self._device) for array in arrays]

    def prove(self) -> str:
        """Ask a result where it lies: one of zeros, where nothing has run yet.

        A file that does not say its sizes is asked for its weights; a frozen one has none.
        """
        import torch

        if self._lay_on is None and all(spec.shape for spec in self.inputs):
            self.run(zero_feeds(self.inputs))
        weights = [each.device for each in self.module.parameters()]
        found: torch.device | None = self._lay_on or next(iter(weights), None)
        if found is None:
            return f"loaded onto {self._device}; it has not run yet, and has no weights to ask"
        if (found.type, found.index or 0) != (self._device.type, self._device.index or 0):
            raise UnavailableError(f"asked for {self._device}, and PyTorch computed on {found}")
        return f"{'output' if self._lay_on else 'weights'} on {found}"


def _settings(kind: str) -> dict[str, str]:
    """PyTorch's switches, as it answers for them; those of GPUs where one computes."""
    import torch

    found = {
        "num_threads": torch.get_num_threads(),
        "num_interop_threads": torch.get_num_interop_threads(),
        "mkldnn.enabled": torch.backends.mkldnn.enabled,
        **{name: os.environ[name] for name in ("GOMP_SPINCOUNT", "KMP_BLOCKTIME") if name in os.environ},
    }
    if kind == "cuda":
        found |= {
            "cuda.matmul.allow_tf32": torch.backends.cuda.matmul.allow_tf32,
            "cudnn.allow_tf32": torch.backends.cudnn.allow_tf32,
            "cudnn.benchmark": torch.backends.cudnn.benchmark,
        }
    return {name: str(value) for name, value in found.items()}


def _read(path: Path, device: str) -> tuple[Any, dict[str, str]]:
    import torch

    extra = {METADATA: ""}
    try:
        module = torch.jit.load(str(path), map_location=device, _extra_files=extra)
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise NotAModelError(f"{path} is no TorchScript file that PyTorch can load: {reason}") from error
    texts = {k: v.decode() if isinstance(v, bytes) else v for k, v in extra.items()}
    return module.eval(), texts


def _specs(module: Any, extra: Mapping[str, str]) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """TorchScript stores no shapes and no output names: they come from the metadata, or stay unknown."""
    if extra.get(METADATA):
        spec = msgspec.json.decode(extra[METADATA], type=ModelSpec)
        return spec.inputs, spec.outputs
    given = list(module.graph.inputs())[1:]
    inputs = tuple(TensorSpec(value.debugName().split(".")[0], "float32", ()) for value in given)
    given_back = next(module.graph.outputs()).type()
    count = len(given_back.elements()) if given_back.kind() == "TupleType" else 1
    return inputs, tuple(TensorSpec(f"output_{number}", "float32", ()) for number in range(count))


def _quantized(module: Any) -> str:
    """The types of half-precision weights, and of what is computed with quantised tensors."""
    types = {str(tensor.dtype).removeprefix("torch.") for tensor in module.state_dict().values()}
    found = types & {"float16", "bfloat16"}
    if any(node.kind().startswith("quantized::") for node in module.inlined_graph.nodes()):
        found.add("int8")
    return ", ".join(sorted(found))


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)
