"""The module of parallel branches (arXiv 1409.4842, the naive version: no 1×1 before 3×3 and 5×5)."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from triplicate.activations import Activation

BRANCHES = 4


class Inception(nn.Module):
    """Four branches side by side: images [B, channels, height, width] → [B, 4 · filters, height, width].

    Their channels follow one another in this order: 1×1, 3×3, 5×5, max-pooling 3×3 with a 1×1 behind it.
    """

    def __init__(self, channels: int, filters: int, activation: Activation) -> None:
        super().__init__()
        self.branch1x1 = convolution(channels, filters, 1, activation)
        self.branch3x3 = convolution(channels, filters, 3, activation)
        self.branch5x5 = convolution(channels, filters, 5, activation)
        self.branch_pool = convolution(channels, filters, 1, activation, nn.MaxPool2d(3, stride=1, padding=1))

    def forward(self, images: Tensor) -> Tensor:
        branches = (self.branch1x1, self.branch3x3, self.branch5x5, self.branch_pool)
        return torch.cat([branch(images) for branch in branches], dim=1)


def convolution(
    channels: int, filters: int, kernel: int, activation: Activation, pool: nn.Module | None = None
) -> nn.Sequential:
    """A convolution that keeps the size of the image, its norm and activation; before them the pooling, if any."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if pool is not None:
        layers["pool"] = pool
    # Without a bias: the norm has one of its own.
    layers["convolution"] = nn.Conv2d(channels, filters, kernel, padding=kernel // 2, bias=False)
    layers["norm"] = nn.BatchNorm2d(filters)
    layers["activation"] = activation()
    return nn.Sequential(layers)
