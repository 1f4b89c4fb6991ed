"""Convolutions and attention in one net: GhostNet (Han et al. 2019), MobileViT (Mehta and Rastegari 2021),
PoolFormer (Yu et al. 2021), and a squeeze-free net of the activations that are left."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Ghost(nn.Module):
    """Half of the channels by a convolution, the rest from those by a cheap depthwise one."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        made = out // 2
        self.primary = nn.Sequential(
            nn.Conv2d(channels, made, 1, bias=False), nn.BatchNorm2d(made), nn.ReLU()
        )
        cheap = nn.Conv2d(made, made, 3, padding=1, groups=made, bias=False)
        self.cheap = nn.Sequential(cheap, nn.BatchNorm2d(made), nn.ReLU())
        self.out = out

    def forward(self, x: Tensor) -> Tensor:
        primary = self.primary(x)
        return torch.cat([primary, self.cheap(primary)], 1)[:, : self.out]


def ghostnet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.Hardswish(),
        Ghost(16, 24), nn.MaxPool2d(2), Ghost(24, 48),
        nn.AdaptiveAvgPool2d(1), nn.Conv2d(48, 64, 1), nn.Hardtanh(-2, 2), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


class MobileViTBlock(nn.Module):
    """A local convolution, attention among the same position of every 2x2 patch, and a fusion with the input."""

    def __init__(self, channels: int, features: int, patch: int = 2) -> None:
        super().__init__()
        self.patch = patch
        self.local = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.SiLU(),
            nn.Conv2d(channels, features, 1, bias=False),
        )  # fmt: skip
        self.norm1, self.norm2 = nn.LayerNorm(features), nn.LayerNorm(features)
        self.attention = nn.MultiheadAttention(features, 2, batch_first=True)
        self.mlp = nn.Sequential(
            nn.Linear(features, 2 * features), nn.SiLU(), nn.Linear(2 * features, features)
        )
        self.back = nn.Sequential(
            nn.Conv2d(features, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.SiLU()
        )
        self.fuse = nn.Sequential(
            nn.Conv2d(2 * channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.SiLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.local(x)
        batch, features, height, width = y.shape
        side, rows, columns = self.patch, height // self.patch, width // self.patch
        y = y.reshape(batch * features * rows, side, columns, side).transpose(1, 2)
        y = y.reshape(batch, features, rows * columns, side * side).transpose(1, 3)
        y = y.reshape(batch * side * side, rows * columns, features)
        z = self.norm1(y)
        y = y + self.attention(z, z, z, need_weights=False)[0]
        y = y + self.mlp(self.norm2(y))
        y = y.reshape(batch, side * side, rows * columns, features).transpose(1, 3)
        y = y.reshape(batch * features * rows, columns, side, side).transpose(1, 2)
        y = self.back(y.reshape(batch, features, height, width))
        return self.fuse(torch.cat([x, y], 1))


def mobilevit() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.SiLU(), nn.MaxPool2d(2),
        MobileViTBlock(16, 24),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10),
    )  # fmt: skip


class PoolMixer(nn.Module):
    """Average pooling, without counting pads, minus the input, takes the place of attention."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(1, channels), nn.GroupNorm(1, channels)
        self.pool = nn.AvgPool2d(3, 1, 1, count_include_pad=False)
        self.mlp = nn.Sequential(
            nn.Conv2d(channels, 4 * channels, 1), nn.GELU(), nn.Conv2d(4 * channels, channels, 1)
        )
        self.scale1 = nn.Parameter(torch.full((channels, 1, 1), 1e-5))
        self.scale2 = nn.Parameter(torch.full((channels, 1, 1), 1e-5))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        x = x + self.scale1 * (self.pool(y) - y)
        return x + self.scale2 * self.mlp(self.norm2(x))


def poolformer() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 24, 7, 4, 2), PoolMixer(24), nn.Conv2d(24, 32, 3, 2, 1), PoolMixer(32), nn.GroupNorm(4, 32),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
    )  # fmt: skip


def activations() -> nn.Module:
    """One convolution with each activation that the families above do not use."""
    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, 2, 1)]
    used = (
        nn.PReLU(16), nn.SELU(), nn.CELU(0.5), nn.Softplus(), nn.Softsign(), nn.Mish(), nn.GELU("tanh"), nn.Tanh(),
        nn.Hardsigmoid(), nn.LogSigmoid(), nn.InstanceNorm2d(16, affine=True),
    )  # fmt: skip
    for activation in used:
        layers += [nn.Conv2d(16, 16, 3, padding=1, padding_mode="zeros"), activation]
    return nn.Sequential(*layers, nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(16, 10), nn.LogSoftmax(1))
