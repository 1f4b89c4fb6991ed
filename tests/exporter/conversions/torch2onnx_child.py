"""What the tests of torch2onnx run in their PyTorch child: small nets, each exported and compared."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from exporter.conversions import torch2onnx
from runtimes.bundle import ModelSpec, TensorSpec


class Function(nn.Module):
    """A convolution with normalisation, then what a case adds."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        nn.init.normal_(self.norm.running_mean)
        nn.init.uniform_(self.norm.running_var, 0.5, 2)
        self.function = function

    def forward(self, image: Tensor) -> Tensor:
        return self.function(self.norm(self.conv(image)))


def _pooled_and_dropped(x: Tensor) -> Tensor:
    return nn.functional.dropout(nn.functional.adaptive_avg_pool2d(x, 1), 0.5, training=False)


def _cast_permuted_and_pooled(x: Tensor) -> Tensor:
    """Pooling of permuted axes, of which PyTorch's own decomposition makes ``as_strided``."""
    tokens = nn.functional.softmax(x.flatten(2).transpose(1, 2), -1, dtype=torch.float32).to(x.dtype)
    return nn.functional.adaptive_avg_pool1d(tokens.transpose(1, 2), 1).flatten(1)


def _written_part(x: Tensor) -> Tensor:
    x[:, :4].relu_()
    return x


def _read_after(x: Tensor) -> Tensor:
    y = torch.relu_(x)
    return x + y


def _through_a_dropout(x: Tensor) -> Tensor:
    y = nn.functional.dropout(x, 0.5, training=False)
    y.sigmoid_()
    return x - 2 * y


# Whether PyTorch traces each network once more, for operators that torch.onnx does not know.
CASES: dict[str, tuple[Callable[[Tensor], Tensor], bool]] = {
    "relu in place": (nn.ReLU(inplace=True), False),
    "sum in place": (lambda x: torch.tanh(x).add_(x), False),
    "pooled and dropped": (_pooled_and_dropped, False),
    "cast": (lambda x: (x > 0).to(torch.float32) * x, False),
    "cast, permuted and pooled": (_cast_permuted_and_pooled, False),
    "pooled to a grid": (lambda x: nn.functional.adaptive_avg_pool2d(x, (3, 5)), True),
    "a part is written": (_written_part, True),
    "read after it was written": (_read_after, False),
    "written through a dropout": (_through_a_dropout, True),
    "without gradients": (torch.no_grad()(torch.relu), True),
}


@dataclass(frozen=True)
class Export:
    """The largest difference from the module over its largest output, and whether PyTorch traced again."""

    error: float
    traced_again: bool


def export(name: str) -> Export:
    """Export one case, run the file by ONNX's reference implementation, and compare."""
    from onnx.reference import ReferenceEvaluator

    torch.manual_seed(0)
    net = Function(CASES[name][0]).eval()
    image = TensorSpec("image", "float32", (None, 3, 6, 5), "NCHW", "image")
    spec = ModelSpec(name, (image,), (TensorSpec("y", "float32", ()),))
    images = torch.rand(3, 3, 6, 5) - 0.5
    traced: list[Any] = []
    whole = torch.export.ExportedProgram.run_decompositions
    torch.export.ExportedProgram.run_decompositions = lambda *args: traced.append(args) or whole(*args)  # type: ignore
    try:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "net.onnx"
            torch2onnx.export(net, file, spec)
            [found] = ReferenceEvaluator(str(file)).run(None, {"image": images.numpy()})
    finally:
        torch.export.ExportedProgram.run_decompositions = whole  # type: ignore[method-assign]
    with torch.no_grad():
        expected = net(images).numpy()
    return Export(float(np.abs(found - expected).max() / np.abs(expected).max()), bool(traced))


def depends_on_the_data(planted: bool) -> None:
    """A network that no exporter can capture: its way depends on the numbers. ``planted``: the first way fails before."""
    spec = TensorSpec("image", "float32", (None, 3, 8, 8), "NCHW", "image")
    model = Function(lambda x: torch.relu(x) if x.sum() > 0 else x).eval()
    whole = torch.export.export
    if planted:
        torch.export.export = _fail_once(whole)
    try:
        torch2onnx.export(model, Path("never.onnx"), ModelSpec("forked", (spec,), (spec,)))
    finally:
        torch.export.export = whole


def _fail_once(function: Callable[..., Any]) -> Callable[..., Any]:
    def failing(*args: Any, **kwargs: Any) -> Any:
        torch.export.export = function
        raise KeyError("planted")

    return failing
