"""A small network of inception modules (arXiv 1409.4842, the naive version: no 1×1 convolutions before 3×3 and 5×5)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor, nn

from triplicate.config import InceptionConfig
from triplicate.models.images import POOL, need_images, need_room

_BRANCHES = 4


class Inception(nn.Module):
    """Four branches side by side: images [B, channels, height, width] → [B, 4 · filters, height, width].

    Their channels follow one another in this order: 1×1, 3×3, 5×5, max-pooling 3×3 with a 1×1 behind it.
    """

    def __init__(self, channels: int, filters: int, activation: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.branch1x1 = _convolution(channels, filters, 1, activation)
        self.branch3x3 = _convolution(channels, filters, 3, activation)
        self.branch5x5 = _convolution(channels, filters, 5, activation)
        self.branch_pool = _convolution(channels, filters, 1, activation, nn.MaxPool2d(3, stride=1, padding=1))

    def forward(self, images: Tensor) -> Tensor:
        branches = (self.branch1x1, self.branch3x3, self.branch5x5, self.branch_pool)
        return torch.cat([branch(images) for branch in branches], dim=1)


def inception_small(
    image_shape: tuple[int, ...],
    config: InceptionConfig,
    outputs: int,
    activation: Callable[[], nn.Module],
) -> nn.Sequential:
    """A stem with pooling, inception modules with pooling between them, and one layer over the global mean.

    Args:
        image_shape: channels, height and width of an image.
        outputs: width of the last layer.
        activation: makes the module behind each convolution.

    Returns:
        A module from images [B, channels, height, width] to scores [B, outputs].

    Raises:
        UserError: the data are no images, or pooling leaves nothing of them.
    """
    need_images(image_shape, "inception_small")
    need_room(image_shape, max(1, len(config.branches)), "model.branches", "modules")
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["stem"] = _convolution(image_shape[0], config.stem, 3, activation)
    layers["pool1"] = nn.MaxPool2d(POOL)
    channels = config.stem
    for number, filters in enumerate(config.branches, start=1):
        if number > 1:
            layers[f"pool{number}"] = nn.MaxPool2d(POOL)
        layers[f"inception{number}"] = Inception(channels, filters, activation)
        channels = _BRANCHES * filters
    layers["mean"] = nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["dropout"] = nn.Dropout(config.dropout)
    layers["output"] = nn.Linear(channels, outputs)
    return nn.Sequential(layers)


def _convolution(
    channels: int, filters: int, kernel: int, activation: Callable[[], nn.Module], pool: nn.Module | None = None
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
