"""The multilayer perceptron: Linear, activation, …, Linear."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import nn


def mlp(
    shape: tuple[int, ...],
    hidden: Sequence[int],
    outputs: int,
    activation: Callable[[], nn.Module],
    norm: str = "none",
    dropout: float = 0.0,
) -> nn.Sequential:
    """A fully connected network over flattened images.

    Args:
        shape: of one image (channels, height, width), or of one point.
        hidden: width of each hidden layer; none gives softmax regression.
        outputs: width of the last layer.
        activation: makes the module behind each hidden layer.
        norm: none, or BatchNorm1d (arXiv 1502.03167) before or after each activation.
        dropout: rate behind each hidden layer.

    Returns:
        A module from images [B, *shape] to scores [B, outputs].
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    add_hidden(layers, [math.prod(shape), *hidden], activation, norm, dropout)
    layers["output"] = nn.Linear([math.prod(shape), *hidden][-1], outputs)
    return nn.Sequential(layers)


def add_hidden(
    layers: OrderedDict[str, nn.Module],
    widths: Sequence[int],
    activation: Callable[[], nn.Module],
    norm: str,
    dropout: float,
) -> None:
    """Append the hidden layers between these widths: Linear, activation, with BatchNorm1d and Dropout if asked for."""
    for number, (wide, narrow) in enumerate(pairwise(widths), start=1):
        layers[f"linear{number}"] = nn.Linear(wide, narrow)
        if norm == "before":
            layers[f"norm{number}"] = nn.BatchNorm1d(narrow)
        layers[f"activation{number}"] = activation()
        if norm == "after":
            layers[f"norm{number}"] = nn.BatchNorm1d(narrow)
        if dropout > 0:
            layers[f"dropout{number}"] = nn.Dropout(dropout)
