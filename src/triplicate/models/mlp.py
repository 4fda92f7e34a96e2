"""The multilayer perceptron: Linear, activation, …, Linear."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from triplicate.lazy import nn
from triplicate.models import Model
from triplicate.models.layers.hidden import add_hidden
from triplicate.parts import key, part

if TYPE_CHECKING:
    from triplicate.activations import Activation


@part("mlp")
@dataclass(frozen=True)
class Mlp(Model):
    """A fully connected network over flattened examples: hidden layers, each with the activation, then logits.

    Without hidden layers it is softmax regression. `norm` is BatchNorm1d (arXiv 1502.03167).
    """

    hidden: tuple[int, ...] = key("width of each hidden layer", unit="units", at_least=1)
    norm: str = key(
        "batch normalisation before or after the activation of each hidden layer", choices=("none", "before", "after")
    )
    dropout: float = key(
        "fraction of the units of each hidden layer that are dropped in training", at_least=0, below=1, per_run=True
    )
    backend: str = key(
        "what computes the forward and backward passes: torch, or numpy, where they are written out",
        choices=("torch", "numpy"),
    )

    def uses_activation(self, name: str) -> bool:
        return bool(self.hidden)

    @property
    def uses_numpy(self) -> bool:
        return self.backend == "numpy"

    def build(self, shape: tuple[int, ...], outputs: int, activation: Activation) -> nn.Sequential:
        layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
        widths = [math.prod(shape), *self.hidden]
        add_hidden(layers, widths, activation, self.norm, self.dropout)
        layers["output"] = nn.Linear(widths[-1], outputs)
        return nn.Sequential(layers)
