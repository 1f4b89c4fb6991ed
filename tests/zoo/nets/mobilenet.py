"""MobileNetV1 (Howard et al. 2017), V2 (Sandler et al. 2018), V3 (Howard et al. 2019), V4 (Qin et al. 2024)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Activation = Callable[[], nn.Module]


def conv_norm(
    channels: int,
    out: int,
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
    activation: Activation | None = nn.ReLU6,
) -> nn.Sequential:
    """A convolution that keeps the size (over its stride), batch norm, and an activation unless it is None."""
    layers = [
        nn.Conv2d(channels, out, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out),
    ]
    return nn.Sequential(*layers, *([activation()] if activation else []))


def separable(channels: int, out: int, stride: int) -> nn.Sequential:
    """V1's block: depthwise 3x3, then pointwise."""
    return nn.Sequential(
        conv_norm(channels, channels, 3, stride, channels, nn.ReLU),
        conv_norm(channels, out, activation=nn.ReLU),
    )


class SqueezeExcite(nn.Module):
    """Channel attention as in V3: ReLU inside, hard sigmoid as the gate."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(channels, channels // 4, 1)
        self.expand = nn.Conv2d(channels // 4, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.expand(torch.relu(self.reduce(self.pool(x))))
        return x * nn.functional.hardsigmoid(gate)


class InvertedResidual(nn.Module):
    """V2's and V3's block: expand, depthwise, (squeeze and excite), project without an activation; add."""

    def __init__(
        self,
        channels: int,
        out: int,
        stride: int,
        expansion: int = 4,
        kernel: int = 3,
        activation: Activation = nn.ReLU6,
        attention: bool = False,
    ) -> None:
        super().__init__()
        wide = channels * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers.append(conv_norm(channels, wide, activation=activation))
        layers.append(conv_norm(wide, wide, kernel, stride, wide, activation))
        if attention:
            layers.append(SqueezeExcite(wide))
        layers.append(conv_norm(wide, out, activation=None))
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.residual else self.layers(x)


class UniversalInvertedBottleneck(nn.Module):
    """V4's block: optional depthwise convolutions before the expansion and after it."""

    def __init__(
        self, channels: int, out: int, stride: int, first: int, middle: int, expansion: int = 4
    ) -> None:
        super().__init__()
        wide = channels * expansion
        layers: list[nn.Module] = []
        if first:
            layers.append(conv_norm(channels, channels, first, 1 if middle else stride, channels, None))
        layers.append(conv_norm(channels, wide, activation=nn.ReLU))
        if middle:
            layers.append(conv_norm(wide, wide, middle, stride, wide, nn.ReLU))
        layers.append(conv_norm(wide, out, activation=None))
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.residual else self.layers(x)


class MobileMQA(nn.Module):
    """V4's attention: many query heads share one key and value, taken from a downsampled map."""

    def __init__(self, channels: int, heads: int = 2) -> None:
        super().__init__()
        self.heads, self.size = heads, channels // heads
        self.norm = nn.BatchNorm2d(channels)
        self.query = nn.Conv2d(channels, channels, 1, bias=False)
        self.down = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 2, 1, groups=channels, bias=False), nn.BatchNorm2d(channels)
        )
        self.key = nn.Conv2d(channels, self.size, 1, bias=False)
        self.value = nn.Conv2d(channels, self.size, 1, bias=False)
        self.project = nn.Conv2d(channels, channels, 1, bias=False)
        self.scale = nn.Parameter(torch.full((channels, 1, 1), 1e-5))

    def forward(self, x: Tensor) -> Tensor:
        _, channels, height, width = x.shape
        y = self.norm(x)
        query = self.query(y).reshape(-1, self.heads, self.size, height * width).transpose(2, 3)
        small = self.down(y)
        key = self.key(small).flatten(2).unsqueeze(1)
        value = self.value(small).flatten(2).transpose(1, 2).unsqueeze(1)
        weights = torch.softmax(query @ key * self.size**-0.5, dim=-1)
        mixed = (weights @ value).transpose(2, 3).reshape(-1, channels, height, width)
        return x + self.project(mixed) * self.scale


class Classifier(nn.Module):
    """Features, global average pooling, and a head on the pooled features."""

    def __init__(self, features: list[nn.Module], head: nn.Module) -> None:
        super().__init__()
        self.features = nn.Sequential(*features)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = head

    def forward(self, image: Tensor) -> Tensor:
        return self.head(torch.flatten(self.pool(self.features(image)), 1))


def mobilenet_v1() -> nn.Module:
    blocks = [separable(8, 16, 1), separable(16, 32, 2), separable(32, 32, 1), separable(32, 64, 2)]
    return Classifier([conv_norm(3, 8, 3, 2, activation=nn.ReLU), *blocks], nn.Linear(64, 10))


def mobilenet_v2() -> nn.Module:
    blocks = [
        InvertedResidual(8, 8, 1, expansion=1),
        InvertedResidual(8, 16, 2, expansion=6),
        InvertedResidual(16, 16, 1, expansion=6),
        InvertedResidual(16, 24, 2, expansion=6),
        conv_norm(24, 64),
    ]
    return Classifier([conv_norm(3, 8, 3, 2), *blocks], nn.Sequential(nn.Dropout(0.2), nn.Linear(64, 10)))


def mobilenet_v3() -> nn.Module:
    blocks = [
        InvertedResidual(8, 8, 2, 1, 3, nn.ReLU, attention=True),
        InvertedResidual(8, 16, 1, 4, 3, nn.ReLU),
        InvertedResidual(16, 16, 1, 4, 5, nn.Hardswish, attention=True),
        InvertedResidual(16, 24, 2, 6, 5, nn.Hardswish, attention=True),
        conv_norm(24, 64, activation=nn.Hardswish),
    ]
    head = nn.Sequential(nn.Linear(64, 96), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(96, 10))
    return Classifier([conv_norm(3, 8, 3, 2, activation=nn.Hardswish), *blocks], head)


def mobilenet_v4() -> nn.Module:
    """A fused block, then the four forms of the universal block: extra depthwise, inverted, ConvNext-like, feed-forward."""
    fused = nn.Sequential(conv_norm(8, 16, 3, 2, activation=nn.ReLU), conv_norm(16, 16, activation=None))
    blocks = [
        fused,
        UniversalInvertedBottleneck(16, 24, 2, first=5, middle=3),
        UniversalInvertedBottleneck(24, 24, 1, first=0, middle=3),
        UniversalInvertedBottleneck(24, 24, 1, first=3, middle=0),
        MobileMQA(24),
        UniversalInvertedBottleneck(24, 24, 1, first=0, middle=0),
        conv_norm(24, 64, activation=nn.ReLU),
    ]
    return Classifier([conv_norm(3, 8, 3, 2, activation=nn.ReLU), *blocks], nn.Linear(64, 10))
