"""A source folder that holds PyTorch code's name and its state_dict: rebuild the module, open it as a Session.

Everything here runs in a torch child.
"""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from exporter.sources.folder import SOURCE, open_source
from runtimes.base import Array, Feeds, Session
from runtimes.bundle import ModelSpec
from runtimes.errors import NotAModelError, UsageError
from runtimes.reference import Variant


def check() -> str | None:
    """None, or how to get PyTorch."""
    return None if importlib.util.find_spec("torch") else "PyTorch is missing: pip install 'fwexport[torch]'"


def load(folder: Path) -> Any:
    """The ``torch.nn.Module`` of a source folder, in evaluation mode, on the CPU.

    Raises NotAModelError when the weights do not fit the code. Weights are read with ``weights_only=True``.
    """
    import torch

    source = open_source(folder)
    module, _, name = source.code.partition(":")
    if not module.startswith("exporter.training."):
        raise UsageError(
            f"{folder / SOURCE} names the code {source.code!r}, which is not fwexport's own, so it is not run."
        )
    model = getattr(importlib.import_module(module), name)(**source.arguments)
    path = folder / source.weights
    try:
        model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:
        raise NotAModelError(f"{path} does not hold the weights of {source.code}: {error}") from error
    return model.eval()


def example_inputs(spec: ModelSpec) -> tuple[Any, ...]:
    """Seeded noise in the shapes of the inputs, with 2 where an axis is dynamic (1 would be specialised)."""
    import torch

    generator = torch.Generator().manual_seed(0)
    shapes = [[2 if size is None else size for size in tensor.shape] for tensor in spec.inputs]
    return tuple(torch.rand(shape, generator=generator) for shape in shapes)


def trace(model: Any, examples: tuple[Any, ...]) -> Any:
    """``torch.jit.trace``, which works on for years after its deprecation notice."""
    import torch

    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        return torch.jit.trace(model, examples)


class TorchSession(Session):
    """The source module itself, as the reference runs it: on the CPU, in one precision."""

    def __init__(self, folder: Path, variant: Variant) -> None:
        import torch

        torch.set_num_threads(variant.threads)
        self.device_proof, self.threads = "cpu", variant.threads
        source = open_source(folder)
        self.inputs, self.outputs = source.model.inputs, source.model.outputs
        self._dtype = torch.float64 if variant.precision == "float64" else torch.float32
        self._format = torch.channels_last if variant.channels_last else torch.contiguous_format
        self._model = load(folder).to(self._dtype)
        if variant.channels_last:
            self._model = self._model.to(memory_format=torch.channels_last)

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Outputs by name, in the session's precision."""
        import torch

        with torch.inference_mode():
            tensors = [self._tensor(feeds[spec.name]) for spec in self.inputs]
            out = self._model(*tensors)
        values = out if isinstance(out, (tuple, list)) else (out,)
        return {spec.name: value.numpy() for spec, value in zip(self.outputs, values, strict=True)}

    def bind(self, feeds: Feeds) -> Callable[[], None]:
        """One run per call."""

        def call() -> None:
            self.run(feeds)

        return call

    def _tensor(self, array: Array) -> Any:
        import torch

        tensor = torch.from_numpy(np.ascontiguousarray(array))
        if tensor.is_floating_point():
            tensor = tensor.to(self._dtype)
        return tensor.to(memory_format=self._format) if tensor.ndim == 4 else tensor
