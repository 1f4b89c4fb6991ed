"""GoogLeNet (Szegedy et al. 2014) and Inception v3 (Szegedy et al. 2015)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def conv(
    channels: int, out: int, kernel: int | tuple[int, int], stride: int = 1, same: bool = True
) -> nn.Sequential:
    """Convolution, batch norm with the papers' epsilon, ReLU."""
    sides = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = tuple(side // 2 for side in sides) if same else (0, 0)
    return nn.Sequential(
        nn.Conv2d(channels, out, sides, stride, padding, bias=False),
        nn.BatchNorm2d(out, eps=1e-3),
        nn.ReLU(inplace=True),
    )


class Branches(nn.Module):
    """Branches on the same input, concatenated."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def inception_v1_block(channels: int, out: int) -> nn.Module:
    """1x1; 1x1 -> 3x3; 1x1 -> 5x5; pool -> 1x1."""
    pool = nn.MaxPool2d(3, stride=1, padding=1, ceil_mode=True)
    return Branches(
        conv(channels, out, 1),
        nn.Sequential(conv(channels, out, 1), conv(out, out, 3)),
        nn.Sequential(conv(channels, out // 2, 1), conv(out // 2, out, 5)),
        nn.Sequential(pool, conv(channels, out, 1)),
    )


def googlenet() -> nn.Module:
    return nn.Sequential(
        conv(3, 16, 7, 2), nn.MaxPool2d(3, 2, ceil_mode=True), nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0),
        conv(16, 24, 3), nn.MaxPool2d(3, 2, ceil_mode=True),
        inception_v1_block(24, 8), inception_v1_block(32, 12),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.4), nn.Linear(48, 10),
    )  # fmt: skip


def inception_v3() -> nn.Module:
    """A stem without padding, one block of each kind: A, the grid reduction, factorised 7x7, and the split C."""
    average = nn.AvgPool2d(3, stride=1, padding=1)
    block_a = Branches(
        conv(24, 8, 1),
        nn.Sequential(conv(24, 8, 1), conv(8, 12, 5)),
        nn.Sequential(conv(24, 8, 1), conv(8, 12, 3), conv(12, 12, 3)),
        nn.Sequential(average, conv(24, 8, 1)),
    )
    reduction = Branches(
        conv(40, 16, 3, 2, same=False),
        nn.Sequential(conv(40, 8, 1), conv(8, 16, 3, 2, same=False)),
        nn.MaxPool2d(3, stride=2),
    )
    block_b = Branches(
        conv(72, 16, 1),
        nn.Sequential(conv(72, 12, 1), conv(12, 12, (1, 7)), conv(12, 16, (7, 1))),
        nn.Sequential(average, conv(72, 16, 1)),
    )
    block_c = Branches(
        conv(48, 16, 1),
        nn.Sequential(conv(48, 16, 1), Branches(conv(16, 16, (1, 3)), conv(16, 16, (3, 1)))),
    )
    return nn.Sequential(
        conv(3, 8, 3, 2, same=False), conv(8, 8, 3, same=False), conv(8, 16, 3), nn.MaxPool2d(3, 2),
        conv(16, 24, 1), block_a, reduction, block_b, block_c,
        nn.AdaptiveAvgPool2d(1), nn.Dropout(), nn.Flatten(), nn.Linear(48, 10),
    )  # fmt: skip
