"""ONNX in ONNX Runtime: the CPU, CUDA and TensorRT execution providers, one at a time and never another."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from runtimes.base import Array, Feeds, Inspection, Session, SessionOptions, zero_feeds
from runtimes.bundle import TensorSpec
from runtimes.environment import gpu
from runtimes.errors import NotAModelError, UnavailableError
from runtimes.frameworks import onnx_file
from runtimes.frameworks.onnxruntime_profile import in_words, moved, placed
from runtimes.machine import cores_allowed, versions_of

FORMATS = ("onnx",)
DEVICES = {"cpu": ("cpu",), "cuda": ("cuda", "tensorrt")}
PRECISIONS = ("float32", "tf32")
THREADS: Literal["session", "process"] = "session"
IN_BROWSER = False
FIXED_BATCH: tuple[str, ...] = ()

_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
# Threads that wait for the next run spin for 20 ms: ONNX Runtime's own choice, and so what a program of one's own has.
_SPINNING = "session.intra_op.allow_spinning"
# What is told of a provider's options: where it computes, and what its speed and numbers depend on.
_PROVIDER_OPTIONS = (
    *("device_id", "use_tf32", "cudnn_conv_algo_search", "prefer_nhwc", "enable_cuda_graph"),
    *("trt_fp16_enable", "trt_bf16_enable", "trt_int8_enable", "trt_engine_cache_enable"),
)
# A file of one protobuf is at most 2 GiB: weights of more than this lie beside it.
_EXTERNAL_FROM = 1 << 30
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(bool)": "bool",
}


def check(device: str) -> str | None:
    """None, or what is missing."""
    if importlib.util.find_spec("onnxruntime") is None:
        return "ONNX Runtime is missing: pip install 'fwexport[ort]' (or [ort-gpu] for CUDA; never both)"
    if device == "cpu":
        return None
    import onnxruntime

    available = onnxruntime.get_available_providers()
    if _PROVIDERS["cuda"] not in available:
        return (
            f"this ONNX Runtime {onnxruntime.__version__} has no CUDA provider (it has {', '.join(available)}): "
            "pip uninstall onnxruntime, then pip install 'fwexport[ort-gpu]'"
        )
    return None


def versions() -> dict[str, str]:
    """ONNX Runtime's."""
    import onnxruntime  # noqa: F401 - importing is part of what is timed

    return versions_of("onnxruntime", "onnxruntime-gpu")


def inspect(path: Path) -> Inspection:
    """Tensors and metadata by ONNX Runtime; operators, and what is quantised, by the file."""
    session = _open(path, "cpu", SessionOptions(), {})
    tensors = _specs(session.get_inputs()), _specs(session.get_outputs())
    metadata = dict(session.get_modelmeta().custom_metadata_map)
    found = onnx_file.inspect(path)
    return Inspection(*tensors, found.ops, metadata, found.quantized)


def load(path: Path, device: str, options: SessionOptions) -> Session:
    """A session of exactly one provider."""
    return _Session(path, device, options)


def trace(path: Path, device: str, options: SessionOptions, feeds: Feeds) -> dict[str, Array]:
    """Every value of the graph, as an output of it: what ONNX Runtime would fuse, it then computes node by node.

    A value is called after the module that it came from too, where the exporter wrote that down: ``conv2/conv2d_1``.
    """
    if importlib.util.find_spec("onnx") is None:
        raise UnavailableError("onnx is missing, which adds the outputs: pip install onnx")
    import onnx

    model = onnx.load(str(path))
    known = {value.name for value in model.graph.output}
    paths = {name: _module(node) for node in model.graph.node for name in node.output if name}
    names = list(paths)
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in known)
    with tempfile.TemporaryDirectory() as folder:
        shown = Path(folder) / path.name
        onnx.save(model, str(shown), save_as_external_data=model.ByteSize() > _EXTERNAL_FROM)
        session = _open(shown, options.backend or DEVICES[device.partition(":")[0]][0], options, {})
        values = session.run(names, {key: np.ascontiguousarray(array) for key, array in feeds.items()})
    return {
        f"{paths[name]}/{name}" if paths[name] else name: value
        for name, value in zip(names, values, strict=True)
        if isinstance(value, np.ndarray)
    }


def _module(node: Any) -> str:
    """The path of the module that torch.onnx made the node from, "" where it does not say."""
    scopes = next((p.value for p in node.metadata_props if p.key == "pkg.torch.onnx.name_scopes"), "[]")
    try:
        found = ast.literal_eval(scopes)
    except (ValueError, SyntaxError):
        return ""
    return str(found[-2]) if isinstance(found, list) and len(found) > 1 else ""


class _Session(Session):
    def __init__(self, path: Path, device: str, options: SessionOptions) -> None:
        kind, _, index = device.partition(":")
        backend = options.backend or DEVICES[kind][0]
        provider_options = {"device_id": index or "0"} if kind == "cuda" else {}
        if backend == "cuda":
            provider_options["use_tf32"] = str(int(options.precision == "tf32"))
        self._folder = None if kind == "cpu" else tempfile.TemporaryDirectory(prefix="fwexport-profile-")
        self._session = _open(
            path, backend, options, provider_options, self._folder.name if self._folder else None
        )
        self.threads = self._session.get_session_options().intra_op_num_threads
        self._provider, self._ran = _PROVIDERS[backend], False
        self.settings = _settings(self._session, self._provider)
        self.inputs = _specs(self._session.get_inputs())
        self.outputs = _specs(self._session.get_outputs())
        self.metadata = dict(self._session.get_modelmeta().custom_metadata_map)
        self._names = [spec.name for spec in self.outputs]
        self._where = (kind, int(index or 0))

    def run(self, feeds: Feeds) -> dict[str, Array]:
        values = self._session.run(self._names, {k: np.ascontiguousarray(v) for k, v in feeds.items()})
        self._ran = True
        return dict(zip(self._names, values, strict=True))

    def bind(self, feeds: Feeds) -> Callable[[], None]:
        """Inputs on the device, outputs left there; on a GPU each call waits for the device."""
        import onnxruntime

        kind, index = self._where
        binding = self._session.io_binding()
        for name, array in feeds.items():
            value = onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array), kind, index)
            binding.bind_ortvalue_input(name, value)
        for name in self._names:
            binding.bind_output(name, kind, index)
        run = self._session.run_with_iobinding
        if kind == "cpu":
            return lambda: run(binding)

        def call() -> None:
            run(binding)
            binding.synchronize_outputs()

        return call

    def prove(self) -> str:
        """The providers that the session itself reports and, on a GPU, the provider of each node that has run."""
        providers = self._session.get_providers()
        if not providers or providers[0] != self._provider:
            raise UnavailableError(_not_loaded(self._provider, providers))
        proof = f"providers {', '.join(providers)}"
        if self._folder is None:
            return proof
        if not self._ran:
            with contextlib.suppress(Exception):  # zeros of the least sizes are no input for every model
                self.run(zero_feeds(self.inputs))
        nodes = placed(Path(self._session.end_profiling()).read_bytes())
        self._folder.cleanup()
        others = moved(nodes, self._provider)
        if others:
            raise UnavailableError(in_words(nodes, others, self._provider))
        seen = (
            f"it computed all {len(nodes)} nodes by its own profile" if nodes else "no node may run elsewhere"
        )
        return f"{proof}; {seen}"

    def gpu_memory_bytes(self) -> int | None:
        return None if self._folder is None else gpu.memory_of(os.getpid())


def _open(
    path: Path,
    backend: str,
    options: SessionOptions,
    provider_options: dict[str, str],
    profile: str | None = None,
) -> Any:
    """A session of one provider, that neither loads nor runs on another; it writes a profile into ``profile``."""
    try:
        return _create(path, backend, options, provider_options, profile, strict=True)
    except Exception as error:
        if backend == "cpu":
            raise NotAModelError(f"{path} is no ONNX file that ONNX Runtime can load: {error}") from error
        why = _why_refused(path, backend, options, provider_options) or str(error)
        raise UnavailableError(f"{_PROVIDERS[backend]} cannot run {path.name}: {why}") from error


def _why_refused(
    path: Path, backend: str, options: SessionOptions, provider_options: dict[str, str]
) -> str | None:
    """Which nodes the provider leaves to others where it may, by the profile of a run; None where that does not tell."""
    provider = _PROVIDERS[backend]
    with tempfile.TemporaryDirectory(prefix="fwexport-profile-") as folder, contextlib.suppress(Exception):
        session = _create(path, backend, options, provider_options, folder, strict=False)
        if provider not in session.get_providers():
            return _not_loaded(provider, session.get_providers())
        session.run(None, zero_feeds(_specs(session.get_inputs())))
        nodes = placed(Path(session.end_profiling()).read_bytes())
        others = moved(nodes, provider)
        return in_words(nodes, others, provider) if others else None
    return None


def _not_loaded(provider: str, providers: Sequence[str]) -> str:
    return (
        f"asked ONNX Runtime for {provider}, and it loaded {', '.join(providers) or 'none'}. "
        "Its log says which library was missing; CUDA and cuDNN must fit this build."
    )


def _create(
    path: Path,
    backend: str,
    options: SessionOptions,
    provider_options: dict[str, str],
    profile: str | None,
    strict: bool,
) -> Any:
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads or cores_allowed()
    settings.add_session_config_entry(_SPINNING, "1")
    if profile:
        settings.enable_profiling = True
        settings.profile_file_prefix = str(Path(profile) / "profile")
    if strict and backend != "cpu":  # a node that the provider cannot run must fail, not move to the CPU
        settings.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    # ONNX Runtime's Python would otherwise open the session again on the CPU, also in the middle of a run.
    return onnxruntime.InferenceSession(
        str(path), settings, providers=[(_PROVIDERS[backend], provider_options)], enable_fallback=0
    )


def _settings(session: Any, provider: str) -> dict[str, str]:
    """The options of a session and of its provider that shape its speed, as the session has them."""
    options, own = session.get_session_options(), session.get_provider_options().get(provider, {})
    return {
        "intra_op_num_threads": str(options.intra_op_num_threads),
        "execution_mode": options.execution_mode.name,
        "graph_optimization_level": options.graph_optimization_level.name,
        _SPINNING: options.get_session_config_entry(_SPINNING),
        **{name: str(own[name]) for name in _PROVIDER_OPTIONS if name in own},
    }


def _specs(nodes: Any) -> tuple[TensorSpec, ...]:
    def dtype(name: str) -> str:
        return _DTYPES.get(name, name.removeprefix("tensor(").removesuffix(")"))

    return tuple(
        TensorSpec(n.name, dtype(n.type), tuple(s if isinstance(s, int) else None for s in n.shape))
        for n in nodes
    )
