"""Networks with one fault each, planted in PyTorch's own modules, and what is found of it. Runs in a torch child."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from exporter.explain.source_faults import source_causes
from exporter.source_folder import SCHEMA, SourceFile, save_source
from exporter.source_kind import Given
from exporter.sources import torch_code
from runtimes.bundle import TensorSpec
from runtimes.reference import build, variants

SAMPLES = 24


class Net(nn.Module):
    """(n, 3, 18, 18) to (n, 5) logits through one of every operator in which a fault can sit."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.bn1 = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.pool1 = nn.AvgPool2d(2, 2, padding=1, count_include_pad=False)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(8)
        self.up = nn.Upsample(scale_factor=2, mode="bilinear")
        self.pool2 = nn.MaxPool2d(3, 2)
        self.conv3 = nn.Conv2d(16, 8, 3, padding=1)
        self.gelu = nn.GELU(approximate="tanh")
        self.conv4 = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=2)
        self.dense1 = nn.Linear(128, 16)
        self.norm = nn.LayerNorm(16)
        self.swish = nn.Hardswish()
        self.dense2 = nn.Linear(16, 16)
        self.dropout = nn.Dropout(0.3)
        self.dense3 = nn.Linear(16, 5)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.pool1(self.relu(self.bn1(self.conv1(image))))
        y = functional.leaky_relu(self.bn2(self.conv2(x)), 0.2) + x
        x = self.gelu(self.conv3(self.up(torch.cat([x, y], 1))))
        x = self.pool2(self.conv4(x)).flatten(1)
        x = self.swish(self.norm(self.dense1(x)))
        return self.dense3(self.dropout(torch.relu(self.dense2(x))))


class Plain(nn.Module):
    """Two convolutions with their batch norms, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv2d(3, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU()),
            *(nn.Conv2d(6, 6, 3), nn.BatchNorm2d(6), nn.ReLU()),
        )
        self.head = nn.Linear(6, 4)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(image).mean((2, 3)))


def trained(kind: Callable[[], nn.Module]) -> nn.Module:
    """Seeded, with statistics and biases as training leaves them."""
    torch.manual_seed(5)
    model = kind()
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.LayerNorm)):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.3)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.3)
            nn.init.uniform_(module.running_var, 0.02, 1.5)
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.weight.data *= 1.5
    return model.eval()


def net() -> nn.Module:
    model = trained(Net)
    model.bn1.weight.data *= 6  # beyond what relu6 lets through
    return model


def alike() -> nn.Module:
    """Two convolutions of one shape."""
    model = plain()
    model.body[0] = nn.Conv2d(3, 3, 3, bias=False)
    model.body[1] = nn.BatchNorm2d(3)
    model.body[3] = nn.Conv2d(3, 3, 3, bias=False)
    model.body[4] = nn.BatchNorm2d(3)
    model.head = nn.Linear(3, 4)
    return trained(lambda: model)


def plain() -> nn.Module:
    return trained(Plain)


def edit(**attributes: Any) -> Callable[[Any], None]:
    """Set attributes; ``bn1__eps`` is of the module bn1."""

    def change(model: Any) -> None:
        for path, value in attributes.items():
            module, _, name = path.rpartition("__")
            setattr(getattr(model, module) if module else model, name, value)

    return change


def each(kind: type, change: Callable[[Any], None]) -> Callable[[Any], None]:
    """A change of every module of this kind."""

    def every(model: Any) -> None:
        for module in model.modules():
            if isinstance(module, kind):
                change(module)

    return every


def weight(path: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Any], None]:
    def set_weight(model: Any) -> None:
        module = model.get_submodule(path)
        module.weight.data = change(module.weight.data).contiguous()

    return set_weight


def flatten_last(model: Any) -> None:
    class Last(nn.Module):
        def __init__(self, before: nn.Module) -> None:
            super().__init__()
            self.before = before

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (
                self.before(x).permute(0, 2, 3, 1).contiguous().permute(0, 1, 2, 3).reshape(len(x), 8, 4, 4)
            )

    model.pool2 = Last(model.pool2)


class ShiftedPadding(nn.Module):
    """A convolution padded as TensorFlow's SAME pads: nothing before, two after."""

    def __init__(self, before: nn.Conv2d) -> None:
        super().__init__()
        self.before = before

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        given = functional.pad(x, (0, 2, 0, 2))
        return functional.conv2d(given, self.before.weight, self.before.bias, self.before.stride)


def exchanged(model: Any) -> None:
    one, other = model.body[0], model.body[3]
    one.weight, other.weight = other.weight, one.weight


def mirrored(model: Any) -> None:
    weight, bias = model.conv3.weight, model.conv3.bias
    model.conv3 = nn.Conv2d(16, 8, 3, padding=1, padding_mode="reflect")
    model.conv3.weight, model.conv3.bias = weight, bias


def folded_bf16(model: Any) -> None:
    """Batch norms folded into their convolutions, whose weights then are bfloat16."""
    body = model.body
    for at in (0, 3):
        fused = torch.nn.utils.fusion.fuse_conv_bn_eval(body[at], body[at + 1])
        fused.weight.data = fused.weight.data.bfloat16().float()
        body[at], body[at + 1] = fused, nn.Identity()


class Clipped(nn.Module):
    def __init__(self, before: nn.Module) -> None:
        super().__init__()
        self.before = before

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.before(x).clamp(-65504, 65504)


class ClippedLarge(nn.Module):
    """A convolution whose numbers leave the range of float16 for some samples."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)
        self.head = nn.Linear(6, 4)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.conv(image)).mean((2, 3)) / 1e5)


def large() -> nn.Module:
    model = trained(ClippedLarge)
    model.conv.weight.data *= 1e5
    return model


def clip(model: Any) -> None:
    model.conv = Clipped(model.conv)


def bump(model: Any) -> None:
    """One weight of no meaning."""
    model.conv2.weight.data[3, 2, 1, 1] += 0.05


@dataclass(frozen=True)
class Planted:
    """A fault in a network, the layers that the search is told of, and what it must say first."""

    change: Callable[[Any], None]
    name: str
    detail: str
    layers: tuple[str, ...] = ()
    network: Callable[[], nn.Module] = net


def _train_mode(module: Any) -> None:
    module.train()
    module.momentum = 0.0


PLANTED = {
    "flatten": Planted(flatten_last, "flatten order", "flatten: flattened in the other order", ("flatten",)),
    "bn-training": Planted(each(nn.BatchNorm2d, _train_mode), "batch norm in training mode", "2 layers", ("bn1",)),
    "bn1-training": Planted(lambda m: _train_mode(m.bn1), "batch norm in training mode", "bn1:", ("bn1",)),
    "bn-statistics": Planted(
        each(nn.BatchNorm2d, lambda m: m.reset_running_stats()), "batch norm statistics missing", "2 layers"
    ),
    "gamma": Planted(
        lambda m: nn.init.ones_(m.bn2.weight), "norm scale missing", "bn2: the factor", ("bn2",)
    ),
    "epsilon": Planted(edit(bn2__eps=1e-3), "another epsilon", "bn2: epsilon is 0.001"),
    "epsilon-odd": Planted(edit(bn2__eps=0.0042), "another epsilon", "bn2: epsilon is 0.0042", ("bn2",)),
    "epsilon-everywhere": Planted(each(nn.BatchNorm2d, edit(eps=1e-3)), "another epsilon", "every batch norm", ("bn1",)),
    "epsilon-layer-norm": Planted(edit(norm__eps=1e-2), "another epsilon", "norm: epsilon is 0.01", ("norm",)),
    "padding": Planted(
        lambda m: setattr(m, "conv1", ShiftedPadding(m.conv1)), "padding off by one", "conv1: one pixel", ("conv1",)
    ),
    "padding-mirrored": Planted(mirrored, "another padding", "conv3: the padding mirrors", ("conv3",)),
    "dilation": Planted(edit(conv4__dilation=1, conv4__padding=1), "dilation dropped", "conv4", ("conv4",)),
    "groups": Planted(
        lambda m: setattr(m, "gelu", nn.Sequential(m.gelu, nn.ChannelShuffle(2))),
        *("groups interleaved", "conv4: the channels", ("conv4",)),
    ),
    "align-corners": Planted(edit(up__align_corners=True), "align corners", "up: resized with aligned corners", ("up",)),
    "nearest": Planted(edit(up__mode="nearest"), "another resize", "up: nearest", ("up",)),
    "count-pads": Planted(edit(pool1__count_include_pad=True), "pooling counts padding", "pool1", ("pool1",)),
    "max-for-average": Planted(
        lambda m: setattr(m, "pool1", nn.MaxPool2d(2, 2, padding=1)), "another pooling", "pool1", ("pool1",)
    ),
    "gelu": Planted(edit(gelu__approximate="none"), "activation changed", "gelu: gelu by tanh has become gelu", ("gelu",)),
    "silu": Planted(
        lambda m: setattr(m, "swish", nn.SiLU()), "activation changed", "swish: hard swish has become silu", ("swish",)
    ),
    "relu6": Planted(lambda m: setattr(m, "relu", nn.ReLU6()), "activation changed", "relu: relu has become relu6"),
    "no-activation": Planted(
        lambda m: setattr(m, "gelu", nn.Identity()), "activation changed", "has become nothing", ("gelu",)
    ),
    "leaky": Planted(
        lambda m: setattr(m, "relu", nn.LeakyReLU(0.037)), "activation changed", "leaky relu with 0.037", ("relu",)
    ),
    "bias": Planted(edit(dense1__bias=None), "bias dropped", "dense1", ("dense1",)),
    "layer": Planted(lambda m: setattr(m, "norm", nn.Identity()), "layer missing", "norm", ("norm",)),
    "transposed": Planted(weight("dense2", lambda w: w.T), "weight transposed", "dense2", ("dense2",)),
    "kernel-turned": Planted(weight("conv2", lambda w: w.flip(2, 3)), "kernel flipped", "conv2", ("conv2",)),
    "kernel-transposed": Planted(
        weight("conv3", lambda w: w.transpose(2, 3)), "weight transposed", "conv3: height", ("conv3",)
    ),
    "exchanged": Planted(exchanged, "another layer's weights", "have each other's weights", ("body.0",), alike),
    "fp16": Planted(lambda m: m.half().float() and None, "truncated weights", "all parameters and statistics are float16", ("conv1",)),
    "bf16-one": Planted(
        weight("dense1", lambda w: w.bfloat16().float()),
        *("truncated weights", "dense1: the weights are bfloat16", ("dense1",)),
    ),
    "decimals": Planted(
        weight("conv3", lambda w: torch.round(w, decimals=4)), "truncated weights", "to 4 decimals", ("conv3",)
    ),
    "folded": Planted(folded_bf16, "truncated weights", "folded into them, are bfloat16", network=plain),
    "saturation": Planted(clip, "fp16 saturation", "conv: what exceeds 65504 is 65504", ("conv",), large),
}  # fmt: skip


def found(folder: Path, names: list[str]) -> dict[str, list[str]]:
    """``name: detail`` of each cause of each planted fault; ``bump`` is one changed weight, ``clean`` nothing."""
    torch.set_num_threads(1)
    answers, references = {}, {}
    for name in names:
        case = PLANTED.get(name, Planted(bump if name == "bump" else lambda m: None, "", ""))
        kind = case.network.__name__
        if kind not in references:
            references[kind] = (folder / kind, _reference(folder / kind, case.network))
        place, reference = references[kind]
        model = case.network()
        case.change(model)
        with torch.no_grad():
            y = {"logits": model(torch.from_numpy(reference.inputs["image"])).numpy()}
        causes = source_causes(
            place, reference.inputs, y, reference.y64, reference.noise, case.layers, seconds=300
        )
        answers[name] = [f"{cause.name}: {cause.detail}" for cause in causes.causes]
    return answers


def _reference(folder: Path, network: Callable[[], nn.Module]) -> Any:
    """Bring the network as a person would, and compute its reference."""
    folder.mkdir(parents=True)
    shape = (None, 3, 18, 18)
    code = f"{Path(__file__).resolve()}:{network.__name__}"
    given = Given(code, inputs=(TensorSpec("image", "float32", shape, "NCHW"),))
    brought = torch_code.bring(given, folder)
    model = brought.model
    renamed = TensorSpec("logits", "float32", (None, model.outputs[0].shape[1]), "NC", "logits")
    spec = type(model)(model.name, model.inputs, (renamed,))
    save_source(folder, SourceFile(SCHEMA, "torch", brought.weights, spec, "torch_code", code=brought.code))
    rng = np.random.default_rng(2)
    images = rng.uniform(0, 1, (SAMPLES, 3, 18, 18)).astype("float32")
    images *= rng.uniform(0.2, 1.5, (SAMPLES, 1, 1, 1)).astype("float32")
    labels = np.full(SAMPLES, -1)
    return build(
        lambda variant: torch_code.open_session(folder, variant),
        {"image": images},
        labels,
        variants(2, channels_last=True),
        spec.outputs,
    )
