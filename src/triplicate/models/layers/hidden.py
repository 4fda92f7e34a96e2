"""The hidden layers of a fully connected network."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from triplicate.lazy import nn

if TYPE_CHECKING:
    from triplicate.activations import Activation


def add_hidden(
    layers: OrderedDict[str, nn.Module], widths: Sequence[int], activation: Activation, norm: str, dropout: float
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
