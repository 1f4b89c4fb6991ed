"""Swin Transformer (Liu et al. 2021): attention in windows that shift by half in every second block."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def windows(x: Tensor, size: int) -> Tensor:
    """(N, H, W, C) -> (N * windows, size * size, C)."""
    _, height, width, channels = x.shape
    x = x.view(-1, height // size, size, width // size, size, channels)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, size * size, channels)


def whole(x: Tensor, size: int, height: int, width: int) -> Tensor:
    """The inverse of ``windows``."""
    channels = x.shape[-1]
    x = x.view(-1, height // size, width // size, size, size, channels)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, height, width, channels)


class WindowAttention(nn.Module):
    """Attention with a learnt bias for each relative position."""

    def __init__(self, channels: int, size: int, heads: int) -> None:
        super().__init__()
        self.heads, self.tokens = heads, size * size
        self.qkv, self.project = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)
        self.bias_table = nn.Parameter(torch.zeros((2 * size - 1) ** 2, heads))
        at = torch.stack(torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")).flatten(1)
        apart = (at[:, :, None] - at[:, None, :]).permute(1, 2, 0) + size - 1
        self.register_buffer(
            "index", (apart[..., 0] * (2 * size - 1) + apart[..., 1]).view(-1), persistent=False
        )

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        channels = x.shape[-1]
        qkv = self.qkv(x).reshape(-1, self.tokens, 3, self.heads, channels // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        scores = query * (channels // self.heads) ** -0.5 @ key.transpose(-2, -1)
        bias = self.bias_table[self.index].view(self.tokens, self.tokens, self.heads).permute(2, 0, 1)
        scores = scores + bias.unsqueeze(0)
        if mask is not None:
            count = mask.shape[0]
            scores = scores.view(-1, count, self.heads, self.tokens, self.tokens) + mask[None, :, None]
            scores = scores.view(-1, self.heads, self.tokens, self.tokens)
        mixed = scores.softmax(dim=-1) @ value
        return self.project(mixed.transpose(1, 2).reshape(-1, self.tokens, channels))


def shift_mask(side: int, size: int, shift: int) -> Tensor:
    """(windows, tokens, tokens): -100 between positions that only the roll made neighbours."""
    regions = torch.zeros(1, side, side, 1)
    spans = (slice(0, -size), slice(-size, -shift), slice(-shift, None))
    for number, (rows, columns) in enumerate((r, c) for r in spans for c in spans):
        regions[:, rows, columns] = number
    flat = windows(regions, size).squeeze(-1)
    return torch.where(flat[:, None] == flat[:, :, None], 0.0, -100.0)


class SwinBlock(nn.Module):
    def __init__(self, channels: int, side: int, heads: int, size: int = 4, shift: int = 0) -> None:
        super().__init__()
        self.size, self.shift = size, shift
        self.norm1, self.attention = nn.LayerNorm(channels), WindowAttention(channels, size, heads)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.GELU(), nn.Linear(2 * channels, channels)
        )
        self.register_buffer("mask", shift_mask(side, size, shift) if shift else None, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        _, height, width, _ = x.shape
        y = self.norm1(x)
        if self.shift:
            y = torch.roll(y, (-self.shift, -self.shift), dims=(1, 2))
        y = whole(self.attention(windows(y, self.size), self.mask), self.size, height, width)
        if self.shift:
            y = torch.roll(y, (self.shift, self.shift), dims=(1, 2))
        x = x + y
        return x + self.mlp(self.norm2(x))


class PatchMerging(nn.Module):
    """Every 2x2 becomes one position of twice the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * channels)
        self.reduce = nn.Linear(4 * channels, 2 * channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        corners = [x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return self.reduce(self.norm(torch.cat(corners, -1)))


class Swin(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.norm0 = nn.Conv2d(3, 16, 4, 4), nn.LayerNorm(16)
        self.stage1 = nn.Sequential(SwinBlock(16, 16, 2), SwinBlock(16, 16, 2, shift=2))
        self.merge = PatchMerging(16)
        self.stage2 = nn.Sequential(SwinBlock(32, 8, 4), SwinBlock(32, 8, 4, shift=2))
        self.norm, self.head = nn.LayerNorm(32), nn.Linear(32, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = self.norm0(self.embed(image).permute(0, 2, 3, 1))
        x = self.norm(self.stage2(self.merge(self.stage1(x))))
        return self.head(x.mean((1, 2)))


def swin() -> nn.Module:
    return Swin()
