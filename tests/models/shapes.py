"""What each layer of a network makes of an image."""

from __future__ import annotations

import torch
from torch import nn


def shapes_of(model: nn.Sequential, images: torch.Tensor) -> dict[str, tuple[int, ...]]:
    """Layer → the shape of one example behind it, for images [B, channels, height, width]."""
    shapes = {}
    for name, layer in model.named_children():
        images = layer(images)
        shapes[name] = tuple(images.shape[1:])
    return shapes
