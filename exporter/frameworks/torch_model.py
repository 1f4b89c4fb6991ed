"""What the kinds of PyTorch sources share: describe a module, trace it, open it as a Session.

Everything here runs in a torch child.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from exporter import describe
from exporter.source_folder import open_source
from exporter.source_kind import Given, missing
from runtimes.base import Array, Feeds, Session
from runtimes.bundle import ModelSpec, TensorSpec
from runtimes.errors import ConversionError, NotAModelError
from runtimes.reference import Variant


def check() -> str | None:
    """None, or how to get PyTorch."""
    return missing("torch", "torch")


def load(folder: Path) -> Any:
    """The ``torch.nn.Module`` of a source folder, in evaluation mode, on the CPU.

    Raises NotAModelError when the weights do not fit the code.
    """
    kind: Any = open_source(folder).loader
    return kind.load(folder)


def model_spec(
    model: Any, given: Given, found: Sequence[TensorSpec] = (), names: Sequence[str] = ()
) -> ModelSpec:
    """Describe ``model`` by running it on seeded inputs.

    ``found`` are the inputs that its file names, ``names`` its outputs'. Raises NotAModelError, with PyTorch's words,
    when it cannot run on them.
    """
    inputs = describe.inputs(given, found, "NCHW")
    fixed = inputs[0].shape[0]
    runs, found_outputs = [], None
    for batch in (fixed,) if fixed else describe.PROBE_BATCHES:
        try:
            found_outputs = run(model, describe.probe(inputs, batch))
            runs.append([value.numpy() for value in flatten(found_outputs)])
        except Exception as error:
            shapes = ", ".join(str([n or batch for n in spec.shape]) for spec in inputs)
            hint = (
                f" It runs on {len(runs[0][0])} samples: is its batch fixed? Then say --fixed-batch."
                if runs
                else ""
            )
            raise NotAModelError(
                f"{given.source} does not run on inputs of shape {shapes}: {type(error).__name__}: {error}.{hint}"
            ) from error
    outputs = describe.outputs(names or output_names(found_outputs), runs, inputs, given.output_kind)
    return ModelSpec(given.name, inputs, outputs, given.labels, given.preprocessing or ())


def run(model: Any, arrays: Sequence[Array]) -> Any:
    """What the module gives for these arrays, without gradients."""
    import torch

    with torch.inference_mode():
        return model(*(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays))


def flatten(value: Any) -> list[Any]:
    """The tensors in what a module gave, in order: of a tensor, a tuple, a dictionary, or any nesting of these."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (tuple, list)):
        return [tensor for item in value for tensor in flatten(item)]
    return [] if value is None else [value]


def output_names(value: Any) -> list[str]:
    """A name for each tensor: its key in a dictionary, else ``output``, numbered where there are several."""
    if isinstance(value, Mapping) and all(
        not isinstance(item, (Mapping, tuple, list)) for item in value.values()
    ):
        return [str(key) for key, item in value.items() if item is not None]
    count = len(flatten(value))
    return ["output"] if count == 1 else [f"output_{number}" for number in range(count)]


def example_inputs(spec: ModelSpec) -> tuple[Any, ...]:
    """Seeded inputs in the shapes of the spec, with 2 where an axis is dynamic (1 would be specialised)."""
    import torch

    return tuple(torch.from_numpy(array) for array in describe.probe(spec.inputs, 2))


def trace(model: Any, examples: tuple[Any, ...]) -> Any:
    """``torch.jit.trace``, which works on for years after its deprecation notice.

    What is traced gives a tensor or a tuple, also where the module gives a dictionary. Raises ConversionError.
    """
    import torch

    if isinstance(model, torch.jit.ScriptModule):
        return model
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        try:
            return torch.jit.trace(_flat(model, examples), examples, check_trace=False)
        except Exception as error:
            raise ConversionError(f"torch.jit cannot trace the model: {error}") from error


def _flat(model: Any, examples: tuple[Any, ...]) -> Any:
    """``model``, or a module around it that gives a tuple where it gives a dictionary or a nesting."""
    import torch

    value = model(*examples)
    if isinstance(value, torch.Tensor):
        return model
    if type(value) in (tuple, list) and all(isinstance(item, torch.Tensor) for item in value):
        return model

    class Flat(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *tensors: Any) -> Any:
            return tuple(flatten(self.model(*tensors)))

    return Flat().eval()


def parameters(model: Any) -> int:
    """How many numbers the module learns."""
    return sum(parameter.numel() for parameter in model.parameters())


@contextlib.contextmanager
def _computing_in_double() -> Iterator[None]:
    """Code that asks for float32, or makes a tensor of the default type, gets float64."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    class InDouble(TorchDispatchMode):  # type: ignore[misc]
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            def wide(value: Any) -> Any:
                return torch.float64 if value is torch.float32 else value

            return function(*map(wide, args), **{key: wide(value) for key, value in (kwargs or {}).items()})

    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with InDouble():
            yield
    finally:
        torch.set_default_dtype(usual)


class TorchSession(Session):
    """The source module itself, as the reference runs it: on the CPU, in one precision."""

    def __init__(self, folder: Path, variant: Variant, as_double: Callable[[Any], Any] | None = None) -> None:
        import torch

        torch.set_num_threads(variant.threads)
        self.threads = variant.threads
        source = open_source(folder)
        self.inputs, self.outputs = source.model.inputs, source.model.outputs
        self._double = variant.precision == "float64"
        self._format = torch.channels_last if variant.channels_last else torch.contiguous_format
        model = load(folder)
        if self._double:
            model = as_double(model) if as_double else model.double()
        if variant.channels_last:
            model = model.to(memory_format=torch.channels_last)
        self.model = model

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Outputs by name, in the session's precision."""
        import torch

        tensors = self.tensors(feeds)
        with torch.inference_mode(), _computing_in_double() if self._double else contextlib.nullcontext():
            values = flatten(self.model(*tensors))
        return {spec.name: value.numpy() for spec, value in zip(self.outputs, values, strict=True)}

    def bind(self, feeds: Feeds) -> Callable[[], None]:
        """One run per call."""

        def call() -> None:
            self.run(feeds)

        return call

    def tensors(self, feeds: Feeds) -> list[Any]:
        """The inputs in their order, in the session's precision and memory format."""
        return [self._tensor(feeds[spec.name]) for spec in self.inputs]

    def _tensor(self, array: Array) -> Any:
        import torch

        tensor = torch.from_numpy(np.ascontiguousarray(array))
        if self._double and tensor.is_floating_point():
            tensor = tensor.double()
        return tensor.to(memory_format=self._format) if tensor.ndim == 4 else tensor
