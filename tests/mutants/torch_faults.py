"""Faults in the PyTorch network: each function changes its modules or its weights, as a careless export would.

They are written on the network's own modules, apart from the hypotheses that ``fwexport verify --explain`` tries.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

Fault = Callable[[Any], None]

FAULTS: dict[str, Fault] = {}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FLOAT16_MAX = 65504.0


def fault(name: str) -> Callable[[Fault], Fault]:
    """Register a function under the name of its kind."""

    def register(function: Fault) -> Fault:
        FAULTS[name] = function
        return function

    return register


class Apply(nn.Module):
    """A function as a module, after or in place of another."""

    def __init__(self, function: Callable[..., Any], before: nn.Module | None = None) -> None:
        super().__init__()
        self.before = before
        self.function = function

    def forward(self, *tensors: torch.Tensor) -> Any:
        return self.function(*(tensors if self.before is None else (self.before(*tensors),)))


class BatchStatistics(nn.Module):
    """A batch norm that normalises by the batch before it, as in training."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        norm: Any = self.norm
        mean = x.mean((0, 2, 3), keepdim=True)
        variance = ((x - mean) ** 2).mean((0, 2, 3), keepdim=True)
        scale, shift = norm.weight.reshape(1, -1, 1, 1), norm.bias.reshape(1, -1, 1, 1)
        return (x - mean) / torch.sqrt(variance + norm.eps) * scale + shift


def _per_channel(values: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(values).reshape(1, 3, 1, 1)


# What goes in.


@fault("height and width transposed")
def _(net: Any) -> None:
    net.image = Apply(lambda x: x.transpose(2, 3))


@fault("layout reinterpreted")
def _(net: Any) -> None:
    net.image = Apply(lambda x: x.reshape(-1, 24, 24, 3).permute(0, 3, 1, 2))


@fault("channels reversed")
def _(net: Any) -> None:
    net.image = Apply(lambda x: torch.cat([x[:, 2:3], x[:, 1:2], x[:, 0:1]], 1))


@fault("image flipped")
def _(net: Any) -> None:
    net.image = Apply(lambda x: x.flip(3))


@fault("scale doubled")
def _(net: Any) -> None:
    """The graph scales by 1/255 what the caller has scaled and normalised."""
    net.image = Apply(
        lambda x: (
            ((x * _per_channel(STD) + _per_channel(MEAN)) / 255 - _per_channel(MEAN)) / _per_channel(STD)
        )
    )


@fault("scale missing")
def _(net: Any) -> None:
    """After the normalisation: before it, the shift would take the digits that undo it."""
    net.image = Apply(lambda x: x * 255)


@fault("mean and std missing")
def _(net: Any) -> None:
    net.image = Apply(lambda x: x * _per_channel(STD) + _per_channel(MEAN))


@fault("mean and std doubled")
def _(net: Any) -> None:
    net.image = Apply(lambda x: (x - _per_channel(MEAN)) / _per_channel(STD))


@fault("type of the input")
def _(net: Any) -> None:
    """It takes whole numbers: see ``spec_faults``."""
    net.image = Apply(lambda x: x.float())


# What comes out.


@fault("softmax missing")
def _(net: Any) -> None:
    net.scores = nn.Identity()


@fault("softmax doubled")
def _(net: Any) -> None:
    net.scores = nn.Sequential(nn.Softmax(1), nn.Softmax(1))


@fault("softmax added")
def _(net: Any) -> None:
    net.scores = nn.Softmax(1)


@fault("labels permuted")
def _(net: Any) -> None:
    """The classes sorted by name: 0, 1, 10, 2 and so on, as folders are listed."""
    order = torch.tensor([0, 9, 1, 2, 3, 4, 5, 6, 7, 8])
    net.scores = Apply(lambda x: x[:, order], net.scores)


@fault("outputs swapped")
def _(net: Any) -> None:
    net.outputs = Apply(lambda scores, auxiliary: {"scores": auxiliary, "auxiliary": scores})


@fault("sign flipped")
def _(net: Any) -> None:
    net.head.weight.neg_()
    net.head.bias.neg_()


@fault("scale of 1.01")
def _(net: Any) -> None:
    net.scores = Apply(lambda x: x * 1.01)


@fault("log softmax for logits")
def _(net: Any) -> None:
    net.scores = nn.LogSoftmax(1)


# What lies between: layers with other settings.


@fault("batch norm in training mode")
def _(net: Any) -> None:
    net.depthwise_norm = BatchStatistics(net.depthwise_norm)


@fault("dropout active")
def _(net: Any) -> None:
    """A mask at every run. As a layer in training mode it would not come through to ONNX."""
    net.dropout = Apply(lambda x: x * (torch.rand_like(x) > 0.3) / 0.7)


@fault("dropout traced")
def _(net: Any) -> None:
    """One mask, drawn while the graph was traced."""
    mask = (
        torch.rand(1, *(net.mix.out_channels, 4, 4), generator=torch.Generator().manual_seed(0)) > 0.3
    ) / 0.7
    net.dropout = Apply(lambda x: x * mask)


@fault("another epsilon")
def _(net: Any) -> None:
    net.norm.eps = 1e-5


@fault("epsilon below the noise")
def _(net: Any) -> None:
    net.norm.eps = 1e-3 * (1 + 1e-6)


@fault("padding off by one")
def _(net: Any) -> None:
    net.pad = nn.ZeroPad2d((1, 0, 1, 0))


@fault("padding reflected")
def _(net: Any) -> None:
    net.pad = nn.ReflectionPad2d((0, 1, 0, 1))


@fault("stride's phase")
def _(net: Any) -> None:
    """Every second pixel, from the second on."""
    net.resize = Apply(lambda x: functional.pad(x[:, :, 1:, 1:], (0, 1, 0, 1)), net.resize)


@fault("dilation dropped")
def _(net: Any) -> None:
    net.grouped.dilation, net.grouped.padding = (1, 1), (1, 1)


@fault("groups interleaved")
def _(net: Any) -> None:
    """The channels of the groups are dealt out in turn rather than in halves."""
    width = net.grouped.in_channels
    order = torch.arange(width).reshape(2, -1).T.reshape(-1)
    net.max_pool = Apply(lambda x: x[:, order], net.max_pool)


@fault("clip at 6")
def _(net: Any) -> None:
    net.hidden_activation = nn.ReLU6()


@fault("activation changed")
def _(net: Any) -> None:
    net.swish = nn.SiLU()


@fault("activation's slope")
def _(net: Any) -> None:
    net.second_activation = nn.LeakyReLU(0.01)


@fault("slope changed in the file")
def _(net: Any) -> None:
    """What ``file_faults`` does to the artifact."""
    net.second_activation = nn.LeakyReLU(0.2)


@fault("gelu by tanh")
def _(net: Any) -> None:
    net.gelu = nn.GELU(approximate="tanh")


@fault("residual dropped")
def _(net: Any) -> None:
    net.residual = Apply(lambda x, shortcut: x)


@fault("pooling kind")
def _(net: Any) -> None:
    net.max_pool = nn.AvgPool2d(2)


@fault("pads counted")
def _(net: Any) -> None:
    net.average_pool.count_include_pad = True


@fault("resize by nearest")
def _(net: Any) -> None:
    net.resize = nn.Upsample((9, 9), mode="nearest")


@fault("align corners")
def _(net: Any) -> None:
    net.resize.align_corners = True


@fault("flatten order")
def _(net: Any) -> None:
    net.flatten = Apply(lambda x: x.permute(0, 2, 3, 1).flatten(1))


@fault("fp16 saturation")
def _(net: Any) -> None:
    net.depthwise = Apply(lambda x: x.clamp(-FLOAT16_MAX, FLOAT16_MAX), net.depthwise)


@fault("first of the batch")
def _(net: Any) -> None:
    """A little of a batch's first sample is in the others."""
    net.hidden_activation = Apply(lambda x: x + 0.01 * (x[:1] - x), net.hidden_activation)


@fault("batch folded into one")
def _(net: Any) -> None:
    """A little of the batch's mean is in every sample; alone, a sample is right."""
    net.hidden_activation = Apply(lambda x: x + 0.01 * (x.mean(0, keepdim=True) - x), net.hidden_activation)


# Weights.


@fault("weight changed")
def _(net: Any) -> None:
    net.third.weight[3, 5] *= 1 + 1e-3


@fault("dead weight changed")
def _(net: Any) -> None:
    """The bias of a neuron that no input wakes: see ``bury``."""
    net.hidden.bias[0] *= 1 + 1e-3


@fault("bias dropped")
def _(net: Any) -> None:
    net.mix.bias.zero_()


@fault("channel swapped")
def _(net: Any) -> None:
    net.stem.weight[:2] = net.stem.weight[:2].flip(0)


@fault("kernel flipped")
def _(net: Any) -> None:
    net.mix.weight.copy_(net.mix.weight.flip((2, 3)))


@fault("kernel transposed")
def _(net: Any) -> None:
    net.mix.weight.copy_(net.mix.weight.transpose(2, 3).clone())


@fault("weights transposed")
def _(net: Any) -> None:
    net.second.weight.copy_(net.second.weight.T.clone())


@fault("layers exchanged")
def _(net: Any) -> None:
    for one, other in zip(net.second.parameters(), net.third.parameters(), strict=True):
        kept = one.clone()
        one.copy_(other)
        other.copy_(kept)


@fault("stale weights")
def _(net: Any) -> None:
    """Those of an epoch before: a small step away, in every layer."""
    generator = torch.Generator().manual_seed(1)
    for tensor in net.parameters():
        tensor *= 1 + 1e-3 * torch.randn(tensor.shape, generator=generator)


@fault("stale statistics")
def _(net: Any) -> None:
    net.norm.running_mean *= 1.01


@fault("statistics missing")
def _(net: Any) -> None:
    net.norm.running_mean.zero_()
    net.norm.running_var.fill_(1)


@fault("gamma dropped")
def _(net: Any) -> None:
    net.norm.weight.fill_(1)


@fault("truncated weights")
def _(net: Any) -> None:
    for tensor in net.parameters():
        tensor.copy_(tensor.bfloat16().float())


@fault("weights through float16")
def _(net: Any) -> None:
    for tensor in net.parameters():
        tensor.copy_(tensor.clamp(-FLOAT16_MAX, FLOAT16_MAX).half().float())


@fault("one layer through float16")
def _(net: Any) -> None:
    net.third.weight.copy_(net.third.weight.half().float())


@fault("int8 posing as float")
def _(net: Any) -> None:
    step = net.hidden.weight.abs().max() / 127
    net.hidden.weight.copy_(torch.round(net.hidden.weight / step) * step)
