"""ShuffleNet (Zhang et al. 2017) and ShuffleNetV2 (Ma et al. 2018)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Interleave the groups' channels, so that the next grouped convolution mixes them."""
    _, channels, height, width = x.shape
    x = x.view(-1, groups, channels // groups, height, width)
    return x.transpose(1, 2).reshape(-1, channels, height, width)


class Shuffle(nn.Module):
    """V1: grouped 1x1, shuffle, depthwise 3x3, grouped 1x1; a strided unit concatenates its pooled input."""

    def __init__(self, channels: int, out: int, stride: int, groups: int) -> None:
        super().__init__()
        made, middle = out - channels if stride == 2 else out, out // 4
        self.groups = groups
        self.reduce = nn.Sequential(
            nn.Conv2d(channels, middle, 1, groups=groups, bias=False), nn.BatchNorm2d(middle)
        )
        depthwise = nn.Conv2d(middle, middle, 3, stride, 1, groups=middle, bias=False)
        self.depthwise = nn.Sequential(depthwise, nn.BatchNorm2d(middle))
        self.expand = nn.Sequential(
            nn.Conv2d(middle, made, 1, groups=groups, bias=False), nn.BatchNorm2d(made)
        )
        self.pool = nn.AvgPool2d(3, 2, 1) if stride == 2 else None

    def forward(self, x: Tensor) -> Tensor:
        y = channel_shuffle(torch.relu(self.reduce(x)), self.groups)
        y = self.expand(self.depthwise(y))
        return torch.relu(x + y) if self.pool is None else torch.relu(torch.cat([self.pool(x), y], 1))


def branch(channels: int, out: int, stride: int) -> nn.Sequential:
    """V2's right-hand branch."""
    return nn.Sequential(
        nn.Conv2d(channels, out, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True),
        nn.Conv2d(out, out, 3, stride, 1, groups=out, bias=False), nn.BatchNorm2d(out),
        nn.Conv2d(out, out, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True),
    )  # fmt: skip


class ShuffleV2(nn.Module):
    """V2: half of the channels pass by; concatenate, then shuffle two groups."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = branch(channels // 2, channels // 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        left, right = x.chunk(2, dim=1)
        return channel_shuffle(torch.cat([left, self.branch(right)], 1), 2)


class DownV2(nn.Module):
    """V2's strided unit: both branches compute."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.left = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 2, 1, groups=channels, bias=False), nn.BatchNorm2d(channels),
            nn.Conv2d(channels, out // 2, 1, bias=False), nn.BatchNorm2d(out // 2), nn.ReLU(inplace=True),
        )  # fmt: skip
        self.right = branch(channels, out // 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return channel_shuffle(torch.cat([self.left(x), self.right(x)], 1), 2)


class ShuffleNet(nn.Module):
    def __init__(self, units: list[nn.Module], channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True)
        )
        self.units = nn.Sequential(*units)
        self.head = nn.Linear(channels, 10)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.units(self.stem(image)).mean([2, 3]))


def shufflenet() -> nn.Module:
    return ShuffleNet([Shuffle(8, 32, 2, 2), Shuffle(32, 32, 1, 2), Shuffle(32, 64, 2, 2)], 64)


def shufflenet_v2() -> nn.Module:
    return ShuffleNet([DownV2(8, 24), ShuffleV2(24), DownV2(24, 48), ShuffleV2(48)], 48)
