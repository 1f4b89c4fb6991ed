"""The PyTorch network that faults are planted in: one of each layer that an export gets wrong, small and all alive.

It takes square images, normalised outside, so that an image with height and width exchanged still fits.
"""

from __future__ import annotations

import torch
from torch import nn

from tests.mutants import torch_faults

CLASSES = 10


class Add(nn.Module):
    """A sum as a module, so that it can be replaced."""

    def forward(self, x: torch.Tensor, shortcut: torch.Tensor) -> torch.Tensor:
        return x + shortcut


class Outputs(nn.Module):
    """The two outputs by name."""

    def forward(self, scores: torch.Tensor, auxiliary: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"scores": scores, "auxiliary": auxiliary}


class Network(nn.Module):
    """Every step is a module of its own. ``depthwise`` makes numbers beyond what float16 holds, its norm undoes that.

    One neuron of ``hidden`` never wakes: a fault in it cannot be seen.
    """

    def __init__(self, width: int, probabilities: bool) -> None:
        super().__init__()
        self.image = nn.Identity()
        self.pad = nn.ZeroPad2d((0, 1, 0, 1))
        self.stem = nn.Conv2d(3, width, 3, stride=2)
        self.norm = nn.BatchNorm2d(width, eps=1e-3)
        self.activation = nn.ReLU()
        self.depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.depthwise_norm = nn.BatchNorm2d(width, eps=1e-3)
        self.swish = nn.Hardswish()
        self.pointwise = nn.Conv2d(width, width, 1)
        self.residual = Add()
        self.max_pool = nn.MaxPool2d(2)
        self.grouped = nn.Conv2d(width, 2 * width, 3, padding=2, dilation=2, groups=2)
        self.gelu = nn.GELU()
        self.average_pool = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
        self.resize = nn.Upsample((9, 9), mode="bilinear", align_corners=False)
        self.mix = nn.Conv2d(2 * width, 2 * width, 3, stride=2)
        self.dropout = nn.Dropout(0.3)
        self.flatten = nn.Flatten()
        self.hidden = nn.Linear(4 * 4 * 2 * width, 32)
        self.hidden_activation = nn.ReLU()
        self.second = nn.Linear(32, 32)
        self.second_activation = nn.LeakyReLU(0.1)
        self.third = nn.Linear(32, 32)
        self.head = nn.Linear(32, CLASSES)
        self.auxiliary = nn.Linear(32, CLASSES)
        self.scores = nn.Softmax(1) if probabilities else nn.Identity()
        self.outputs = Outputs()

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        x = self.stem(self.pad(self.image(image)))
        x = shortcut = self.activation(self.norm(x))
        x = self.swish(self.depthwise_norm(self.depthwise(x)))
        x = self.residual(self.pointwise(x), shortcut)
        x = self.gelu(self.grouped(self.max_pool(x)))
        x = self.mix(self.resize(self.average_pool(x)))
        x = self.hidden_activation(self.hidden(self.flatten(self.dropout(x))))
        x = self.third(self.second_activation(self.second(x)))
        return self.outputs(self.scores(self.head(x)), self.auxiliary(x))


def network(width: int = 8, probabilities: bool = False, fault: str = "") -> Network:
    """The network, with one fault of ``torch_faults`` where it is named."""
    made = Network(width, probabilities)
    if fault:
        with torch.no_grad():
            torch_faults.FAULTS[fault](made)
    return made
