"""Blocks with a skip around them (arXiv 1512.03385), and depthwise-separable convolutions (arXiv 1704.04861)."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from triplicate.activations import Activation


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


def stem(channels: int, filters: int, activation: Activation) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["convolution"] = nn.Conv2d(channels, filters, 3, padding=1, bias=False)  # the norm has a bias of its own
    layers["norm"] = nn.BatchNorm2d(filters)
    layers["activation"] = activation()
    return nn.Sequential(layers)


def separable(channels: int, outputs: int, activation: Activation) -> nn.Sequential:
    """A 3×3 convolution of each channel by itself, then a 1×1 convolution across the channels."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["depthwise"] = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
    layers["pointwise"] = nn.Conv2d(channels, outputs, 1, bias=False)
    layers["norm"] = nn.BatchNorm2d(outputs)
    layers["activation"] = activation()
    return nn.Sequential(layers)


def block(channels: int, outputs: int, convolutions: int, activation: Activation) -> Residual:
    """Separable convolutions, the first of which changes the number of channels, and a skip around them all."""
    body: OrderedDict[str, nn.Module] = OrderedDict()
    for number, width in enumerate([channels] + [outputs] * (convolutions - 1), start=1):
        body[f"separable{number}"] = separable(width, outputs, activation)
    return Residual(channels, outputs, nn.Sequential(body))
