"""ResNet (He et al. 2015), its pre-activation form (He et al. 2016) and ResNeXt (Xie et al. 2016), a block a stage."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def conv(channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, out, kernel, stride, kernel // 2, groups=groups, bias=False)


class Basic(nn.Module):
    """Two 3x3 convolutions around an identity, which is projected where the shape changes."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = conv(channels, out, 3, stride), nn.BatchNorm2d(out)
        self.conv2, self.norm2 = conv(out, out, 3), nn.BatchNorm2d(out)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels != out:
            self.shortcut = nn.Sequential(conv(channels, out, 1, stride), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class Bottleneck(nn.Module):
    """1x1, grouped 3x3 with the stride, 1x1 to four times the width."""

    def __init__(self, channels: int, out: int, stride: int, groups: int = 1) -> None:
        super().__init__()
        width = out // 2 if groups > 1 else out // 4
        self.conv1, self.norm1 = conv(channels, width, 1), nn.BatchNorm2d(width)
        self.conv2, self.norm2 = conv(width, width, 3, stride, groups), nn.BatchNorm2d(width)
        self.conv3, self.norm3 = conv(width, out, 1), nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels != out:
            self.shortcut = nn.Sequential(conv(channels, out, 1, stride), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.norm1(self.conv1(x)))
        y = self.relu(self.norm2(self.conv2(y)))
        y = self.norm3(self.conv3(y))
        y += self.shortcut(x)
        return self.relu(y)


class PreActivation(nn.Module):
    """Batch norm and ReLU come before each convolution; the identity is never touched."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(channels), conv(channels, out, 3, stride)
        self.norm2, self.conv2 = nn.BatchNorm2d(out), conv(out, out, 3)
        self.shortcut = conv(channels, out, 1, stride) if stride != 1 or channels != out else None

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.norm1(x))
        identity = x if self.shortcut is None else self.shortcut(y)
        return identity + self.conv2(torch.relu(self.norm2(self.conv1(y))))


class ResNet(nn.Module):
    """A 7x7 stem with padded max pooling, three stages, global average pooling."""

    def __init__(self, stages: list[nn.Module], channels: int, last: nn.Module) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 16, 7, 2, 3, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, 1),
        )
        self.stages = nn.Sequential(*stages, last)
        self.pool = nn.AdaptiveAvgPool2d((1, 1))
        self.head = nn.Linear(channels, 10)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(torch.flatten(self.pool(self.stages(self.stem(image))), 1))


def resnet_basic() -> nn.Module:
    return ResNet([Basic(16, 16, 1), Basic(16, 32, 2), Basic(32, 64, 2)], 64, nn.Identity())


def resnet_bottleneck() -> nn.Module:
    return ResNet([Bottleneck(16, 64, 1), Bottleneck(64, 64, 1), Bottleneck(64, 128, 2)], 128, nn.Identity())


def resnet_preactivation() -> nn.Module:
    stages: list[nn.Module] = [PreActivation(16, 16, 1), PreActivation(16, 32, 2), PreActivation(32, 64, 2)]
    return ResNet(stages, 64, nn.Sequential(nn.BatchNorm2d(64), nn.ReLU()))


def resnext() -> nn.Module:
    stages: list[nn.Module] = [Bottleneck(16, 32, 1, groups=4), Bottleneck(32, 64, 2, groups=8)]
    return ResNet(stages, 64, nn.Identity())
