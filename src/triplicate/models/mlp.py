"""The multilayer perceptron: Linear, activation, …, Linear."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import nn


def mlp(
    image_shape: tuple[int, int, int],
    hidden: Sequence[int],
    classes: int,
    activation: Callable[[], nn.Module],
) -> nn.Sequential:
    """A fully connected network over flattened images.

    Args:
        image_shape: channels, height and width of an image.
        hidden: width of each hidden layer; none gives softmax regression.
        classes: width of the last layer.
        activation: makes the module behind each hidden layer.

    Returns:
        A module from images [B, channels, height, width] to class scores [B, classes].
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    widths = [math.prod(image_shape), *hidden]
    for number, (wide, narrow) in enumerate(pairwise(widths), start=1):
        layers[f"linear{number}"] = nn.Linear(wide, narrow)
        layers[f"activation{number}"] = activation()
    layers["output"] = nn.Linear(widths[-1], classes)
    return nn.Sequential(layers)
