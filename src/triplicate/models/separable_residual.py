"""A residual network (arXiv 1512.03385) of depthwise-separable convolutions (arXiv 1704.04861)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor, nn

from triplicate.config import SeparableResidualConfig
from triplicate.models.images import POOL, need_images, need_room


class Residual(nn.Module):
    """A body and a skip around it: images [B, channels, height, width] → [B, outputs, height, width].

    The skip is the input itself, or a 1×1 convolution of it where the body changes the number of channels.
    """

    def __init__(self, channels: int, outputs: int, body: nn.Module) -> None:
        super().__init__()
        # The skip is listed before the body, so that the last convolution listed is also the last on the way.
        self.skip = nn.Identity() if channels == outputs else nn.Conv2d(channels, outputs, 1, bias=False)
        self.body = body

    def forward(self, images: Tensor) -> Tensor:
        total: Tensor = self.skip(images) + self.body(images)
        return total


def separable_residual(
    image_shape: tuple[int, ...],
    config: SeparableResidualConfig,
    outputs: int,
    activation: Callable[[], nn.Module],
) -> nn.Sequential:
    """A stem, residual blocks with pooling behind every two, and a classifier of two layers.

    A stage is two blocks, with a skip around both if `config` says so; an odd last block is a stage of its
    own, without that skip and without pooling.

    Args:
        image_shape: channels, height and width of an image.
        outputs: width of the last layer.
        activation: makes the module behind each convolution and behind the hidden layer.

    Returns:
        A module from images [B, channels, height, width] to scores [B, outputs].

    Raises:
        UserError: the data are no images, or pooling leaves nothing of them.
    """
    need_images(image_shape, "separable_residual")
    need_room(image_shape, len(config.channels) // 2, "model.channels", "blocks")
    widths = [config.stem, *config.channels]
    layers: OrderedDict[str, nn.Module] = OrderedDict(stem=_stem(image_shape[0], config.stem, activation))
    for number, start in enumerate(range(0, len(config.channels), 2), start=1):
        around = widths[start : start + 3]
        layers[f"stage{number}"] = _stage(around, config, activation)
        if len(around) == 3:
            layers[f"pool{number}"] = nn.MaxPool2d(POOL)
    layers["mean"] = nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["hidden"] = nn.Linear(widths[-1], config.hidden)
    layers["activation"] = activation()
    layers["dropout"] = nn.Dropout(config.dropout)
    layers["output"] = nn.Linear(config.hidden, outputs)
    return nn.Sequential(layers)


def _stem(channels: int, filters: int, activation: Callable[[], nn.Module]) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["convolution"] = nn.Conv2d(channels, filters, 3, padding=1, bias=False)  # the norm has a bias of its own
    layers["norm"] = nn.BatchNorm2d(filters)
    layers["activation"] = activation()
    return nn.Sequential(layers)


def _stage(widths: Sequence[int], config: SeparableResidualConfig, activation: Callable[[], nn.Module]) -> nn.Module:
    """One or two blocks; `widths` are the channels before the first and behind each."""
    blocks: OrderedDict[str, nn.Module] = OrderedDict()
    for number, (channels, outputs) in enumerate(pairwise(widths), start=1):
        blocks[f"block{number}"] = _block(channels, outputs, config.convolutions, activation)
    stage = nn.Sequential(blocks)
    if config.pair_skips and len(blocks) == 2:
        return Residual(widths[0], widths[-1], stage)
    return stage


def _block(channels: int, outputs: int, convolutions: int, activation: Callable[[], nn.Module]) -> Residual:
    """Separable convolutions, the first of which changes the number of channels, and a skip around them all."""
    body: OrderedDict[str, nn.Module] = OrderedDict()
    for number, width in enumerate([channels] + [outputs] * (convolutions - 1), start=1):
        body[f"separable{number}"] = _separable(width, outputs, activation)
    return Residual(channels, outputs, nn.Sequential(body))


def _separable(channels: int, outputs: int, activation: Callable[[], nn.Module]) -> nn.Sequential:
    """A 3×3 convolution of each channel by itself, then a 1×1 convolution across the channels."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["depthwise"] = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
    layers["pointwise"] = nn.Conv2d(channels, outputs, 1, bias=False)
    layers["norm"] = nn.BatchNorm2d(outputs)
    layers["activation"] = activation()
    return nn.Sequential(layers)
