"""U-Net (Ronneberger et al. 2015), upsampling by transposed convolution or bilinearly; its output is an image."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def double_conv(channels: int, out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True),
        nn.Conv2d(out, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True),
    )  # fmt: skip


class Up(nn.Module):
    """Twice the size, beside the encoder's map of that size."""

    def __init__(self, channels: int, out: int, bilinear: bool) -> None:
        super().__init__()
        self.up: nn.Module
        if bilinear:
            resize = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
            self.up = nn.Sequential(resize, nn.Conv2d(channels, out, 1))
        else:
            self.up = nn.ConvTranspose2d(channels, out, 2, stride=2)
        self.conv = double_conv(2 * out, out)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.conv(torch.cat([skip, self.up(x)], dim=1))


class UNet(nn.Module):
    def __init__(self, bilinear: bool, classes: int = 3) -> None:
        super().__init__()
        self.first = double_conv(3, 8)
        self.down1 = nn.Sequential(nn.MaxPool2d(2), double_conv(8, 16))
        self.down2 = nn.Sequential(nn.MaxPool2d(2), double_conv(16, 32))
        self.up1, self.up2 = Up(32, 16, bilinear), Up(16, 8, bilinear)
        self.head = nn.Conv2d(8, classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        x1 = self.first(image)
        x2 = self.down1(x1)
        return self.head(self.up2(self.up1(self.down2(x2), x2), x1))


def unet_transposed() -> nn.Module:
    return UNet(bilinear=False)


def unet_bilinear() -> nn.Module:
    return UNet(bilinear=True)


def segmenter_interpolate() -> nn.Module:
    """A dilated encoder with image-level pooling (DeepLab v3, Chen et al. 2017), resized to the input."""
    return DilatedSegmenter()


class DilatedSegmenter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 24, 3, 2, 1, bias=False), nn.BatchNorm2d(24), nn.ReLU(),
        )  # fmt: skip
        self.rates = nn.ModuleList(
            nn.Conv2d(24, 16, 3, padding=rate, dilation=rate, bias=False) for rate in (1, 2, 4)
        )
        self.level = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(24, 16, 1), nn.ReLU())
        self.norm, self.head = nn.BatchNorm2d(64), nn.Conv2d(64, 3, 1)

    def forward(self, image: Tensor) -> Tensor:
        x = self.encoder(image)
        level = nn.functional.interpolate(self.level(x), size=x.shape[-2:], mode="nearest")
        x = torch.relu(self.norm(torch.cat([*(conv(x) for conv in self.rates), level], 1)))
        return nn.functional.interpolate(
            self.head(x), size=image.shape[-2:], mode="bilinear", align_corners=False
        )
