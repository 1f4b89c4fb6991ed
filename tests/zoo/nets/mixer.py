"""MLP-Mixer (Tolstikhin et al. 2021) and ConvMixer (Trockman and Kolter 2022)."""

from __future__ import annotations

from torch import Tensor, nn


def mlp(features: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(features, hidden), nn.GELU(), nn.Linear(hidden, features))


class MixerBlock(nn.Module):
    """An MLP across the patches, then one across the channels."""

    def __init__(self, patches: int, channels: int) -> None:
        super().__init__()
        self.norm1, self.tokens = nn.LayerNorm(channels), mlp(patches, 2 * patches)
        self.norm2, self.channels = nn.LayerNorm(channels), mlp(channels, 2 * channels)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channels(self.norm2(x))


class Mixer(nn.Module):
    def __init__(self, side: int = 32, patch: int = 8, channels: int = 32) -> None:
        super().__init__()
        patches = (side // patch) ** 2
        self.embed = nn.Conv2d(3, channels, patch, patch)
        self.blocks = nn.Sequential(MixerBlock(patches, channels), MixerBlock(patches, channels))
        self.norm, self.head = nn.LayerNorm(channels), nn.Linear(channels, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = self.embed(image).flatten(2).transpose(1, 2)
        return self.head(self.norm(self.blocks(x)).mean(1))


def mlp_mixer() -> nn.Module:
    return Mixer()


class Residual(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


def convmixer() -> nn.Module:
    """Patches stay a map; a residual depthwise convolution mixes them."""
    channels = 24
    blocks = [
        nn.Sequential(
            Residual(nn.Conv2d(channels, channels, 5, groups=channels, padding="same"), nn.GELU(), nn.BatchNorm2d(channels)),
            nn.Conv2d(channels, channels, 1), nn.GELU(), nn.BatchNorm2d(channels),
        )
        for _ in range(2)
    ]  # fmt: skip
    return nn.Sequential(
        nn.Conv2d(3, channels, 4, 4), nn.GELU(), nn.BatchNorm2d(channels), *blocks,
        nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(channels, 10),
    )  # fmt: skip
