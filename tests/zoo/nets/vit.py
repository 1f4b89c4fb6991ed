"""ViT (Dosovitskiy et al. 2020), by our own attention and by ``torch.nn``'s encoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    """One product for queries, keys and values, as timm writes it."""

    def __init__(self, channels: int, heads: int, fused: bool) -> None:
        super().__init__()
        self.heads, self.fused = heads, fused
        self.qkv = nn.Linear(channels, 3 * channels)
        self.project = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, channels = x.shape
        size = channels // self.heads
        query, key, value = (
            self.qkv(x).reshape(batch, tokens, 3, self.heads, size).permute(2, 0, 3, 1, 4).unbind(0)
        )
        if self.fused:
            mixed = nn.functional.scaled_dot_product_attention(query, key, value)
        else:
            mixed = (query * size**-0.5 @ key.transpose(-2, -1)).softmax(dim=-1) @ value
        return self.project(mixed.transpose(1, 2).reshape(batch, tokens, channels))


class Block(nn.Module):
    def __init__(self, channels: int, heads: int, fused: bool) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(channels, eps=1e-6), Attention(channels, heads, fused)
        self.norm2 = nn.LayerNorm(channels, eps=1e-6)
        self.mlp = nn.Sequential(
            nn.Linear(channels, 4 * channels), nn.GELU(), nn.Dropout(0.1), nn.Linear(4 * channels, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    """Patches, a class token, learnt positions."""

    def __init__(self, blocks: list[nn.Module], channels: int = 32, side: int = 32, patch: int = 8) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, channels, patch, patch)
        self.token = nn.Parameter(torch.zeros(1, 1, channels))
        self.positions = nn.Parameter(torch.zeros(1, (side // patch) ** 2 + 1, channels))
        self.blocks = nn.Sequential(*blocks)
        self.norm, self.head = nn.LayerNorm(channels, eps=1e-6), nn.Linear(channels, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = self.embed(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], dim=1) + self.positions
        return self.head(self.norm(self.blocks(x))[:, 0])


def vit() -> nn.Module:
    return ViT([Block(32, 4, fused=False), Block(32, 4, fused=False)])


def vit_sdpa() -> nn.Module:
    return ViT([Block(32, 4, fused=True), Block(32, 4, fused=True)])


def vit_torch_encoder() -> nn.Module:
    """``nn.MultiheadAttention`` inside, which takes another path when it predicts."""
    layer = nn.TransformerEncoderLayer(32, 4, 64, activation="gelu", batch_first=True, norm_first=True)
    return ViT([nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)])
