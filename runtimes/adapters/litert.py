"""TF Lite in LiteRT: the interpreter with XNNPACK on the CPU, and the package's GPU accelerator where it loads."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from runtimes.base import Array, Feeds, Inspection, Session, SessionOptions
from runtimes.bundle import Quantization, TensorSpec
from runtimes.errors import NotAModelError, UnavailableError
from runtimes.frameworks import tflite_file
from runtimes.machine import cores_allowed, versions_of

FORMATS = ("tflite",)
DEVICES = {"cpu": ("xnnpack",), "gpu": ("webgpu",)}
PRECISIONS = ("float32",)
THREADS: Literal["session", "process"] = "session"
IN_BROWSER = False
FIXED_BATCH: tuple[str, ...] = ()


def check(device: str) -> str | None:
    """None, or what is missing. Whether a GPU that is there answers is known only by loading a model on it."""
    if importlib.util.find_spec("ai_edge_litert") is None:
        return "LiteRT is missing: pip install 'fwexport[litert]'"
    if device != "cpu" and sys.platform == "linux" and not any(map(Path.exists, _gpu_nodes())):
        return (
            "LiteRT's GPU accelerator needs a GPU with a Vulkan driver, and this machine shows none "
            "(/dev/dri/renderD*, /dev/nvidia0)"
        )
    return None


def _gpu_nodes() -> list[Path]:
    return [*Path("/dev/dri").glob("renderD*"), Path("/dev/nvidia0")]


def versions() -> dict[str, str]:
    """LiteRT's."""
    import ai_edge_litert.interpreter  # noqa: F401 - importing is part of what is timed

    return versions_of("ai-edge-litert")


def inspect(path: Path) -> Inspection:
    """Tensors of the signature, operators of the main subgraph, and the zip that may follow the model."""
    interpreter = _read(path, None, delegates=False)
    ops = Counter(op["op_name"] for op in interpreter._get_ops_details())
    ops.pop("DELEGATE", None)
    return Inspection(
        *_specs(interpreter), dict(sorted(ops.items())), tflite_file.metadata(path), _quantized(interpreter)
    )


def load(path: Path, device: str, options: SessionOptions) -> Session:
    """The model on exactly this device."""
    return _CpuSession(path, options) if device == "cpu" else _GpuSession(path)


def trace(path: Path, device: str, options: SessionOptions, feeds: Feeds) -> dict[str, Array]:
    """Every tensor that an operator of the main subgraph writes, by the interpreter's own kernels without a delegate."""
    del device
    interpreter = _read(path, options.threads or cores_allowed(), delegates=False, keep=True)
    inputs, _ = _specs(interpreter)
    index = dict(zip([spec.name for spec in inputs], _indices(interpreter, "inputs"), strict=True))
    for name, array in feeds.items():
        interpreter.resize_tensor_input(index[name], array.shape, strict=True)
    interpreter.allocate_tensors()
    for name, array in feeds.items():
        interpreter.set_tensor(index[name], array)
    interpreter.invoke()
    found: dict[str, Array] = {}
    for op in interpreter._get_ops_details():
        for number in op["outputs"]:
            name = interpreter._get_tensor_details(number, 0)["name"]
            with contextlib.suppress(
                ValueError
            ):  # a tensor without data, such as an operator's unused output
                value = interpreter.get_tensor(number)  # a NumPy scalar where it has no axes
                found[name if name not in found else f"{name}#{number}"] = np.asarray(value)
    return found


class _CpuSession(Session):
    """The interpreter keeps one batch size at a time and is resized only when it changes."""

    def __init__(self, path: Path, options: SessionOptions) -> None:
        self.threads = options.threads or cores_allowed()
        self._interpreter = _read(path, self.threads, delegates=True)
        self.settings = {"num_threads": str(self.threads), "delegate": "XNNPACK"}
        self.inputs, self.outputs = _specs(self._interpreter)
        self.metadata = tflite_file.metadata(path)
        self._index = dict(
            zip([s.name for s in self.inputs], _indices(self._interpreter, "inputs"), strict=True)
        )
        self._outputs = dict(
            zip([s.name for s in self.outputs], _indices(self._interpreter, "outputs"), strict=True)
        )
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._resize({s.name: tuple(1 if n is None else n for n in s.shape) for s in self.inputs})

    def run(self, feeds: Feeds) -> dict[str, Array]:
        self._set(feeds)
        self._interpreter.invoke()
        return {name: self._interpreter.get_tensor(index) for name, index in self._outputs.items()}

    def bind(self, feeds: Feeds) -> Callable[[], None]:
        """Inputs are written into the arena before each run: it keeps only one set of them."""
        arrays = [(self._index[name], np.ascontiguousarray(array)) for name, array in feeds.items()]
        shapes = {name: array.shape for name, array in feeds.items()}
        set_tensor, invoke = self._interpreter.set_tensor, self._interpreter.invoke

        def call() -> None:
            if self._shapes != shapes:
                self._resize(shapes)
            for index, array in arrays:
                set_tensor(index, array)
            invoke()

        return call

    def _set(self, feeds: Feeds) -> None:
        shapes = {name: array.shape for name, array in feeds.items()}
        if shapes != self._shapes:
            self._resize(shapes)
        for name, array in feeds.items():
            self._interpreter.set_tensor(self._index[name], array)

    def _resize(self, shapes: dict[str, tuple[int, ...]]) -> None:
        for name, shape in shapes.items():
            self._interpreter.resize_tensor_input(self._index[name], shape, strict=True)
        self._interpreter.allocate_tensors()
        self._shapes = shapes

    def prove(self) -> str:
        """The execution plan after loading names its delegates."""
        ops = [op["op_name"] for op in self._interpreter._get_ops_details()]
        delegated = ops.count("DELEGATE")
        return f"CPU interpreter, {delegated} XNNPACK delegate node(s) over {len(ops) - delegated} operators"


class _GpuSession(Session):
    def __init__(self, path: Path) -> None:
        from ai_edge_litert import compiled_model, hardware_accelerator

        interpreter = _read(path, 1, delegates=False)
        self.inputs, self.outputs = _specs(interpreter)
        self.metadata = tflite_file.metadata(path)
        try:
            self._model = compiled_model.CompiledModel.from_file(
                str(path), hardware_accel=hardware_accelerator.HardwareAccelerator.GPU
            )
        except Exception as error:
            raise UnavailableError(
                f"LiteRT's GPU accelerator cannot run {path.name} here: {error}"
            ) from error
        self.threads = 1
        self.settings = {"hardware_accel": "GPU"}
        self._in = self._model.create_input_buffers(0)
        self._out = self._model.create_output_buffers(0)

    def run(self, feeds: Feeds) -> dict[str, Array]:
        self._set(feeds)
        self._model.run_by_index(0, self._in, self._out)
        results: dict[str, Array] = {}
        for buffer, spec in zip(self._out, self.outputs, strict=True):
            shape = [len(feeds[self.inputs[0].name]) if n is None else n for n in spec.shape]
            results[spec.name] = buffer.read(int(np.prod(shape)), np.dtype(spec.dtype)).reshape(shape)
        return results

    def prove(self) -> str:
        return "compiled for the GPU accelerator alone; it does not load without one"

    def bind(self, feeds: Feeds) -> Callable[[], None]:
        """Inputs in the device's buffers; the first output is read, because that waits."""
        self._set(feeds)
        spec = self.outputs[0]
        count = int(np.prod([len(feeds[self.inputs[0].name]) if n is None else n for n in spec.shape]))

        def call() -> None:
            self._model.run_by_index(0, self._in, self._out)
            self._out[0].read(count, np.dtype(spec.dtype))

        return call

    def _set(self, feeds: Feeds) -> None:
        for buffer, spec in zip(self._in, self.inputs, strict=True):
            buffer.write(np.ascontiguousarray(feeds[spec.name]))


def _read(path: Path, threads: int | None, delegates: bool, keep: bool = False) -> Any:
    """The interpreter; ``keep`` leaves every tensor its own memory."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolver = OpResolverType.AUTO if delegates else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        interpreter = Interpreter(
            str(path),
            num_threads=threads,
            experimental_op_resolver_type=resolver,
            experimental_preserve_all_tensors=keep,
        )
        if not delegates:
            interpreter.allocate_tensors()
        return interpreter
    except (ValueError, RuntimeError) as error:
        raise NotAModelError(f"{path} is no TF Lite file that LiteRT can load: {error}") from error


def _details(interpreter: Any, side: str) -> list[tuple[str, dict[str, Any]]]:
    """``(name, tensor details)`` in the signature's order where there is one, else in the graph's."""
    given = interpreter.get_input_details() if side == "inputs" else interpreter.get_output_details()
    for runner in interpreter.get_signature_list():
        signature = interpreter.get_signature_runner(runner)
        found = signature.get_input_details() if side == "inputs" else signature.get_output_details()
        return list(found.items())
    return [(detail["name"], detail) for detail in given]


def _indices(interpreter: Any, side: str) -> list[int]:
    return [detail["index"] for _, detail in _details(interpreter, side)]


def _specs(interpreter: Any) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    def specs(side: str) -> tuple[TensorSpec, ...]:
        return tuple(
            TensorSpec(
                name,
                np.dtype(detail["dtype"]).name,
                tuple(None if size < 0 else int(size) for size in detail["shape_signature"]),
                quantization=_quantization(detail),
            )
            for name, detail in _details(interpreter, side)
        )

    return specs("inputs"), specs("outputs")


def _quantization(detail: dict[str, Any]) -> Quantization | None:
    """A tensor's own parameters. LiteRT says scale 0 where there are none."""
    scale, zero_point = detail["quantization"]
    is_integer = np.dtype(detail["dtype"]).kind in "iu"
    return Quantization(float(scale), int(zero_point)) if scale and is_integer else None


def _quantized(interpreter: Any) -> str:
    """The types of quantised tensors, and float16. The int32 of a bias comes with the int8 of its weights."""
    found = set()
    for detail in interpreter.get_tensor_details():
        dtype = np.dtype(detail["dtype"])
        scales = detail["quantization_parameters"]["scales"]
        if dtype == np.float16 or (dtype.kind in "iu" and dtype.itemsize < 4 and len(scales)):
            found.add(dtype.name)
    return ", ".join(sorted(found))
