"""Networks on signals and volumes: a 1-D CNN, a temporal convolutional network (Bai et al. 2018), a small C3D."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def cnn_1d() -> nn.Module:
    """For a signal of two channels: strided and depthwise convolutions, pooling, a wide Flatten."""
    return nn.Sequential(
        nn.Conv1d(2, 16, 7, 2, 3, bias=False), nn.BatchNorm1d(16), nn.ReLU(), nn.MaxPool1d(3, 2, 1),
        nn.Conv1d(16, 16, 5, padding=2, groups=16), nn.Conv1d(16, 32, 1), nn.BatchNorm1d(32), nn.ELU(),
        nn.AvgPool1d(2), nn.Flatten(), nn.Linear(32 * 8, 24), nn.LeakyReLU(0.1), nn.Linear(24, 10),
    )  # fmt: skip


class CausalBlock(nn.Module):
    """Two dilated convolutions that only look back: padded on both sides, then cut on the right."""

    def __init__(self, channels: int, out: int, dilation: int) -> None:
        super().__init__()
        self.padding = 2 * dilation
        self.conv1 = nn.Conv1d(channels, out, 3, padding=self.padding, dilation=dilation)
        self.conv2 = nn.Conv1d(out, out, 3, padding=self.padding, dilation=dilation)
        self.shortcut = nn.Conv1d(channels, out, 1) if channels != out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.conv1(x)[:, :, : -self.padding])
        y = torch.relu(self.conv2(y)[:, :, : -self.padding])
        return torch.relu(y + self.shortcut(x))


class TCN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(CausalBlock(2, 12, 1), CausalBlock(12, 12, 2), CausalBlock(12, 16, 4))
        self.head = nn.Linear(16, 10)

    def forward(self, signal: Tensor) -> Tensor:
        return self.head(self.blocks(signal)[:, :, -1])


def tcn() -> nn.Module:
    return TCN()


def cnn_3d() -> nn.Module:
    return nn.Sequential(
        nn.Conv3d(1, 8, 3, padding=1, bias=False), nn.BatchNorm3d(8), nn.ReLU(), nn.MaxPool3d((1, 2, 2)),
        nn.Conv3d(8, 16, 3, padding=1, bias=False), nn.BatchNorm3d(16), nn.ReLU(), nn.MaxPool3d(2),
        nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(16, 10),
    )  # fmt: skip
