"""RegNetY (Radosavovic et al. 2020): grouped bottlenecks of one width a stage, with squeeze and excite."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def conv_norm(channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, out, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(out)
    )


class YBlock(nn.Module):
    def __init__(self, channels: int, out: int, stride: int, group_width: int) -> None:
        super().__init__()
        self.conv1 = conv_norm(channels, out, 1)
        self.conv2 = conv_norm(out, out, 3, stride, out // group_width)
        self.squeeze, self.excite = nn.Conv2d(out, channels // 4, 1), nn.Conv2d(channels // 4, out, 1)
        self.conv3 = conv_norm(out, out, 1)
        changes = stride != 1 or channels != out
        self.shortcut = conv_norm(channels, out, 1, stride) if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.conv2(torch.relu(self.conv1(x))))
        gate = nn.functional.adaptive_avg_pool2d(y, 1)
        y = y * torch.sigmoid(self.excite(torch.relu(self.squeeze(gate))))
        return torch.relu(self.conv3(y) + self.shortcut(x))


class RegNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_norm(3, 16, 3, 2), nn.ReLU(inplace=True))
        self.trunk = nn.Sequential(YBlock(16, 24, 2, 8), YBlock(24, 24, 1, 8), YBlock(24, 64, 2, 8))
        self.head = nn.Linear(64, 10)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.trunk(self.stem(image)).mean((-2, -1)))


def regnet() -> nn.Module:
    return RegNet()
