"""AlexNet (Krizhevsky et al. 2012) and VGG (Simonyan and Zisserman 2014): wide Flatten, dense layers."""

from __future__ import annotations

from torch import nn


def alexnet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 11, 4, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        nn.Conv2d(16, 24, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        nn.AdaptiveAvgPool2d((3, 3)), nn.Flatten(),
        nn.Dropout(), nn.Linear(24 * 9, 64), nn.ReLU(inplace=True), nn.Linear(64, 10),
    )  # fmt: skip


def vgg() -> nn.Module:
    """With batch norm after each biased convolution; its answer is a distribution."""
    layers: list[nn.Module] = []
    for channels, out in ((3, 8), (8, 16), (16, 32)):
        layers += [nn.Conv2d(channels, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(32 * 16, 64), nn.ReLU(), nn.Linear(64, 10), nn.Softmax(1)
    )
