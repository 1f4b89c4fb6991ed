"""PyTorch networks that onnx2keras is tried on: each a function to ``(module, input shape without the batch)``."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn


def shipped() -> tuple[nn.Module, tuple[int, ...]]:
    """The network that fwexport trains."""
    features = OrderedDict(
        conv1=nn.Conv2d(1, 32, 3, padding=1), relu1=nn.ReLU(), pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(32, 64, 3, padding=1), relu2=nn.ReLU(), pool2=nn.MaxPool2d(2),
    )  # fmt: skip
    classifier = OrderedDict(
        flatten=nn.Flatten(), hidden=nn.Linear(64 * 7 * 7, 128), relu3=nn.ReLU(), dropout=nn.Dropout(0.5),
        logits=nn.Linear(128, 10),
    )  # fmt: skip
    net = OrderedDict(features=nn.Sequential(features), classifier=nn.Sequential(classifier))
    return nn.Sequential(net), (1, 28, 28)


class Inverted(nn.Module):
    """MobileNet's block: expand, depthwise, project, add."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = 2 * channels
        self.expand, self.norm1 = nn.Conv2d(channels, wide, 1, bias=False), nn.BatchNorm2d(wide)
        self.depthwise = nn.Conv2d(wide, wide, 3, padding=1, groups=wide, bias=False)
        self.norm2, self.act = nn.BatchNorm2d(wide), nn.Hardswish()
        self.squeeze, self.excite = nn.Conv2d(wide, 4, 1), nn.Conv2d(4, wide, 1)
        self.project, self.norm3 = nn.Conv2d(wide, channels, 1, bias=False), nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.act(self.norm1(self.expand(x)))
        y = self.act(self.norm2(self.depthwise(y)))
        scale = torch.relu(self.squeeze(y.mean((2, 3), keepdim=True)))
        y = y * nn.functional.hardsigmoid(self.excite(scale))
        return x + self.norm3(self.project(y))


class Mobile(nn.Module):
    """A stem with stride 2, two inverted residual blocks, global average pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU6()
        )
        self.blocks = nn.Sequential(Inverted(8), Inverted(8))
        self.pool, self.head = nn.AdaptiveAvgPool2d(1), nn.Linear(8, 5)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(torch.flatten(self.pool(self.blocks(self.stem(image))), 1))


class Fire(nn.Module):
    """SqueezeNet's block: two branches, concatenated."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, 4, 1)
        self.expand1x1, self.expand3x3 = nn.Conv2d(4, 8, 1), nn.Conv2d(4, 8, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.squeeze(x))
        return torch.cat([torch.relu(self.expand1x1(x)), torch.relu(self.expand3x3(x))], 1)


def squeeze() -> tuple[nn.Module, tuple[int, ...]]:
    """Pooling that rounds up, concatenation, a classifier of convolutions."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True), Fire(8),
        nn.MaxPool2d(3, 2, ceil_mode=True), Fire(16), nn.Dropout(), nn.Conv2d(16, 5, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    ), (3, 33, 33)  # fmt: skip


def residual() -> tuple[nn.Module, tuple[int, ...]]:
    """ResNet's stem (stride 2, padded max pooling), a grouped convolution, a Flatten of many channels, PReLU."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 7, stride=2, padding=3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
        nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=2), nn.PReLU(8), nn.AvgPool2d(3, 2, 1),
        nn.Flatten(), nn.Linear(8 * 2 * 2, 12), nn.LeakyReLU(0.1), nn.Linear(12, 5), nn.Softmax(1),
    ), (3, 32, 32)  # fmt: skip


NETS = {
    "shipped": shipped,
    "mobile": lambda: (Mobile(), (3, 32, 32)),
    "squeeze": squeeze,
    "residual": residual,
}
