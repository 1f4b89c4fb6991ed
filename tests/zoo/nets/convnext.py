"""ConvNeXt (Liu et al. 2022) and ConvNeXt V2 (Woo et al. 2023)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ChannelsFirstNorm(nn.LayerNorm):
    """LayerNorm over the channels of an NCHW tensor."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class GlobalResponseNorm(nn.Module):
    """V2: each channel by its global L2 norm over the mean of all channels' norms. Takes NHWC."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1, 1, 1, channels))
        self.beta = nn.Parameter(torch.zeros(1, 1, 1, channels))

    def forward(self, x: Tensor) -> Tensor:
        energy = torch.norm(x, p=2, dim=(1, 2), keepdim=True)
        return self.gamma * (x * energy / (energy.mean(dim=-1, keepdim=True) + 1e-6)) + self.beta + x


class Block(nn.Module):
    """Depthwise 7x7, then a pointwise MLP on NHWC, scaled by channel, added."""

    def __init__(self, channels: int, version: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.expand, self.act = nn.Linear(channels, 4 * channels), nn.GELU()
        self.respond = GlobalResponseNorm(4 * channels) if version == 2 else nn.Identity()
        self.project = nn.Linear(4 * channels, channels)
        self.gamma = nn.Parameter(1e-6 * torch.ones(channels)) if version == 1 else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.project(self.respond(self.act(self.expand(y))))
        if self.gamma is not None:
            y = self.gamma * y
        return x + y.permute(0, 3, 1, 2)


class ConvNeXt(nn.Module):
    """A patch stem, two stages with a normalised 2x2 downsampling between them."""

    def __init__(self, version: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 4, 4), ChannelsFirstNorm(16, eps=1e-6))
        self.stage1 = nn.Sequential(Block(16, version), Block(16, version))
        self.down = nn.Sequential(ChannelsFirstNorm(16, eps=1e-6), nn.Conv2d(16, 32, 2, 2))
        self.stage2 = nn.Sequential(Block(32, version), Block(32, version))
        self.norm, self.head = nn.LayerNorm(32, eps=1e-6), nn.Linear(32, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = self.stage2(self.down(self.stage1(self.stem(image))))
        return self.head(self.norm(x.mean((-2, -1))))


def convnext() -> nn.Module:
    return ConvNeXt(1)


def convnext_v2() -> nn.Module:
    return ConvNeXt(2)
