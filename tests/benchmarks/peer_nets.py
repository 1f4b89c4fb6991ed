"""Six networks at their published sizes (224x224, 1000 classes), with random weights, to compare converters on.

Each has the layers of torchvision's model of the same name; a parameter count says so.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

CLASSES = 1000


def convolution(
    inputs: int,
    outputs: int,
    size: int = 1,
    stride: int = 1,
    groups: int = 1,
    act: type[nn.Module] | None = nn.ReLU,
    eps: float = 1e-5,
) -> nn.Sequential:
    """Convolution that keeps the size (before its stride), batch normalisation, activation."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps),
    ]
    return nn.Sequential(*layers, act()) if act else nn.Sequential(*layers)


def divisible(value: float) -> int:
    """The multiple of 8 nearest to ``value``, not below 90 % of it (MobileNetV2's rule)."""
    near = max(8, int(value + 4) // 8 * 8)
    return near + 8 if near < 0.9 * value else near


class SqueezeExcite(nn.Module):
    """Scale every channel by a gate computed from the means of all (Hu et al., 2018)."""

    def __init__(self, channels: int, hidden: int, act: type[nn.Module], gate: type[nn.Module]) -> None:
        super().__init__()
        self.pool, self.act, self.gate = nn.AdaptiveAvgPool2d(1), act(), gate()
        self.reduce, self.expand = nn.Conv2d(channels, hidden, 1), nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(self.expand(self.act(self.reduce(self.pool(x)))))


class Inverted(nn.Module):
    """Expand, depthwise, (squeeze and excite,) project; added to its input where the shapes agree."""

    def __init__(
        self,
        inputs: int,
        wide: int,
        outputs: int,
        size: int,
        stride: int,
        act: type[nn.Module],
        excite: nn.Module | None = None,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [] if wide == inputs else [convolution(inputs, wide, act=act, eps=eps)]
        layers.append(convolution(wide, wide, size, stride, wide, act, eps))
        layers += [excite] if excite else []
        self.block = nn.Sequential(*layers, convolution(wide, outputs, act=None, eps=eps))
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x) if self.residual else self.block(x)


def classifier(features: nn.Module, *head: nn.Module) -> nn.Sequential:
    """Features, the mean of each channel, a head."""
    return nn.Sequential(features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), *head)


def mobilenet_v2() -> nn.Module:
    """Sandler et al., 2018, table 2."""
    layers: list[nn.Module] = [convolution(3, 32, 3, 2, act=nn.ReLU6)]
    have = 32
    for expand, outputs, count, stride in [
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    ]:  # fmt: skip
        for number in range(count):
            layers.append(Inverted(have, have * expand, outputs, 3, 1 if number else stride, nn.ReLU6))
            have = outputs
    layers.append(convolution(have, 1280, act=nn.ReLU6))
    return classifier(nn.Sequential(*layers), nn.Dropout(0.2), nn.Linear(1280, CLASSES))


def mobilenet_v3_small() -> nn.Module:
    """Howard et al., 2019, table 2."""
    eps, relu, swish = 1e-3, nn.ReLU, nn.Hardswish
    layers: list[nn.Module] = [convolution(3, 16, 3, 2, act=swish, eps=eps)]
    have = 16
    for size, wide, outputs, excited, act, stride in [
        (3, 16, 16, True, relu, 2), (3, 72, 24, False, relu, 2), (3, 88, 24, False, relu, 1), (5, 96, 40, True, swish, 2),
        (5, 240, 40, True, swish, 1), (5, 240, 40, True, swish, 1), (5, 120, 48, True, swish, 1),
        (5, 144, 48, True, swish, 1), (5, 288, 96, True, swish, 2), (5, 576, 96, True, swish, 1),
        (5, 576, 96, True, swish, 1),
    ]:  # fmt: skip
        excite = SqueezeExcite(wide, divisible(wide / 4), nn.ReLU, nn.Hardsigmoid) if excited else None
        layers.append(Inverted(have, wide, outputs, size, stride, act, excite, eps))
        have = outputs
    layers.append(convolution(have, 576, act=swish, eps=eps))
    head = (nn.Linear(576, 1024), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(1024, CLASSES))
    return classifier(nn.Sequential(*layers), *head)


def efficientnet_b0() -> nn.Module:
    """Tan and Le, 2019, table 1."""
    layers: list[nn.Module] = [convolution(3, 32, 3, 2, act=nn.SiLU)]
    have = 32
    for expand, size, outputs, count, stride in [
        (1, 3, 16, 1, 1), (6, 3, 24, 2, 2), (6, 5, 40, 2, 2), (6, 3, 80, 3, 2), (6, 5, 112, 3, 1), (6, 5, 192, 4, 2),
        (6, 3, 320, 1, 1),
    ]:  # fmt: skip
        for number in range(count):
            excite = SqueezeExcite(have * expand, have // 4, nn.SiLU, nn.Sigmoid)
            layers.append(
                Inverted(have, have * expand, outputs, size, 1 if number else stride, nn.SiLU, excite)
            )
            have = outputs
    layers.append(convolution(have, 1280, act=nn.SiLU))
    return classifier(nn.Sequential(*layers), nn.Dropout(0.2), nn.Linear(1280, CLASSES))


class Basic(nn.Module):
    """ResNet's block of two 3x3 convolutions."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            convolution(inputs, outputs, 3, stride), convolution(outputs, outputs, 3, act=None)
        )
        same = stride == 1 and inputs == outputs
        self.short = nn.Identity() if same else convolution(inputs, outputs, 1, stride, act=None)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.block(x) + self.short(x))


def resnet18() -> nn.Module:
    """He et al., 2016, table 1."""
    layers: list[nn.Module] = [convolution(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)]
    have = 64
    for outputs, stride in [(64, 1), (128, 2), (256, 2), (512, 2)]:
        layers += [Basic(have, outputs, stride), Basic(outputs, outputs, 1)]
        have = outputs
    return classifier(nn.Sequential(*layers), nn.Linear(512, CLASSES))


class Shuffle(nn.Module):
    """ShuffleNetV2's unit: two branches, concatenated, their channels interleaved."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        half, enters = outputs // 2, inputs if stride > 1 else inputs // 2
        self.split = stride == 1
        self.left = nn.Sequential() if self.split else nn.Sequential(
            convolution(inputs, inputs, 3, stride, inputs, act=None), convolution(inputs, half)
        )  # fmt: skip
        self.right = nn.Sequential(
            convolution(enters, half), convolution(half, half, 3, stride, half, act=None), convolution(half, half)
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        left, right = x.chunk(2, 1) if self.split else (x, x)
        both = torch.cat([self.left(left), self.right(right)], 1)
        batch, channels, rows, columns = both.shape
        pairs = both.view(batch, 2, channels // 2, rows, columns).transpose(1, 2).contiguous()
        return pairs.view(batch, channels, rows, columns)


def shufflenet_v2_x0_5() -> nn.Module:
    """Ma et al., 2018, table 5."""
    layers: list[nn.Module] = [convolution(3, 24, 3, 2), nn.MaxPool2d(3, 2, 1)]
    have = 24
    for outputs, count in [(48, 4), (96, 8), (192, 4)]:
        layers += [Shuffle(have, outputs, 2), *(Shuffle(outputs, outputs, 1) for _ in range(count - 1))]
        have = outputs
    layers.append(convolution(have, 1024))
    return classifier(nn.Sequential(*layers), nn.Linear(1024, CLASSES))


class Fire(nn.Module):
    """SqueezeNet's block: squeeze, then 1x1 and 3x3 side by side."""

    def __init__(self, inputs: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze, self.act = nn.Conv2d(inputs, squeeze, 1), nn.ReLU()
        self.expand1x1, self.expand3x3 = (
            nn.Conv2d(squeeze, expand, 1),
            nn.Conv2d(squeeze, expand, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.squeeze(x))
        return torch.cat([self.act(self.expand1x1(x)), self.act(self.expand3x3(x))], 1)


def squeezenet1_1() -> nn.Module:
    """Iandola et al., 2016, in the authors' version 1.1."""

    def pool() -> nn.Module:
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    features = nn.Sequential(
        nn.Conv2d(3, 64, 3, 2), nn.ReLU(), pool(), Fire(64, 16, 64), Fire(128, 16, 64), pool(), Fire(128, 32, 128),
        Fire(256, 32, 128), pool(), Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256),
    )  # fmt: skip
    head = nn.Sequential(nn.Dropout(0.5), nn.Conv2d(512, CLASSES, 1), nn.ReLU())
    return classifier(nn.Sequential(features, head))


NETS: dict[str, Callable[[], nn.Module]] = {
    net.__name__: net
    for net in (
        mobilenet_v2, resnet18, mobilenet_v3_small, efficientnet_b0, shufflenet_v2_x0_5, squeezenet1_1
    )
}  # fmt: skip
# Of torchvision's models, 1000 classes.
PARAMETERS = {
    "mobilenet_v2": 3_504_872,
    "resnet18": 11_689_512,
    "mobilenet_v3_small": 2_542_856,
    "efficientnet_b0": 5_288_548,
    "shufflenet_v2_x0_5": 1_366_792,
    "squeezenet1_1": 1_235_496,
}
SHAPE = (3, 224, 224)


def build(name: str) -> nn.Module:
    """The network in evaluation mode, seeded, with weights and batch-norm statistics under which its input matters."""
    torch.manual_seed(0)
    net = NETS[name]()
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.8, 1.2)
            nn.init.normal_(module.bias, 0, 0.1)
            module.momentum = 1.0
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    with torch.no_grad():
        net(torch.rand(16, 3, 96, 96))  # takes the statistics
    return net.eval()


def parameters(net: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(parameter.numel() for parameter in net.parameters())
