"""RepVGG (Ding et al. 2021), as it is trained: 3x3, 1x1 and identity branches, each with its batch norm, summed."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class RepVGGBlock(nn.Module):
    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.dense = nn.Sequential(nn.Conv2d(channels, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out))
        self.pointwise = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))
        self.identity = nn.BatchNorm2d(channels) if stride == 1 and channels == out else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.dense(x) + self.pointwise(x)
        return torch.relu(y if self.identity is None else y + self.identity(x))


def repvgg() -> nn.Module:
    return nn.Sequential(
        RepVGGBlock(3, 16, 2), RepVGGBlock(16, 24, 2), RepVGGBlock(24, 24, 1), RepVGGBlock(24, 48, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, 10),
    )  # fmt: skip
