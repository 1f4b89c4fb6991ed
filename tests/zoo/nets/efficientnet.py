"""EfficientNet (Tan and Le 2019) and EfficientNetV2 (Tan and Le 2021)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SqueezeExcite(nn.Module):
    """Channel attention; the width inside follows the block's input, not its expansion."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate = x.mean((2, 3), keepdim=True)
        return torch.sigmoid(self.fc2(nn.functional.silu(self.fc1(gate)))) * x


class StochasticDepth(nn.Module):
    """Drops a sample's whole branch in training; nothing when the model predicts."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        keep = torch.empty(x.shape[0], 1, 1, 1, device=x.device).bernoulli_(1 - self.rate)
        return x * keep / (1 - self.rate)


def norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class MBConv(nn.Module):
    """Inverted residual with squeeze and excite; the fused form has one full convolution instead of two."""

    def __init__(
        self, channels: int, out: int, kernel: int, stride: int, expansion: int, fused: bool = False
    ) -> None:
        super().__init__()
        wide = channels * expansion
        layers: list[nn.Module] = []
        if fused:
            layers += [
                nn.Conv2d(channels, wide, kernel, stride, kernel // 2, bias=False),
                norm(wide),
                nn.SiLU(),
            ]
        else:
            if expansion != 1:
                layers += [nn.Conv2d(channels, wide, 1, bias=False), norm(wide), nn.SiLU()]
            depthwise = nn.Conv2d(wide, wide, kernel, stride, kernel // 2, groups=wide, bias=False)
            layers += [depthwise, norm(wide), nn.SiLU(), SqueezeExcite(wide, max(1, channels // 4))]
        layers += [nn.Conv2d(wide, out, 1, bias=False), norm(out)]
        self.layers = nn.Sequential(*layers)
        self.drop = StochasticDepth(0.1)
        self.residual = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.layers(x)) + x if self.residual else self.layers(x)


class EfficientNet(nn.Module):
    def __init__(self, blocks: list[nn.Module], channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), norm(8), nn.SiLU())
        self.blocks = nn.Sequential(*blocks)
        self.top = nn.Sequential(nn.Conv2d(channels, 64, 1, bias=False), norm(64), nn.SiLU())
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(64, 10))

    def forward(self, image: Tensor) -> Tensor:
        x = self.top(self.blocks(self.stem(image)))
        return self.head(x.mean((2, 3)))


def efficientnet() -> nn.Module:
    return EfficientNet(
        [MBConv(8, 8, 3, 1, 1), MBConv(8, 16, 3, 2, 6), MBConv(16, 16, 5, 1, 6), MBConv(16, 24, 5, 2, 6)], 24
    )


def efficientnet_v2() -> nn.Module:
    return EfficientNet(
        [MBConv(8, 16, 3, 2, 4, fused=True), MBConv(16, 16, 3, 1, 4, fused=True), MBConv(16, 24, 3, 2, 4)], 24
    )
