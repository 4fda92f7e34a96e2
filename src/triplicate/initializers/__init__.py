"""Initialisations: how the weights of a model that PyTorch has just built are drawn anew. Every file here is one."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from triplicate.lazy import nn
from triplicate.parts import Part

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Initializer(Part, kind="init", per_run=True):
    """What a configuration names as `init`. Runs of one stack may have different ones."""

    @abstractmethod
    def draw(self, weight: Tensor) -> object:
        """Fill the weight of a linear or convolutional layer in place, from torch's global generator."""

    def initialize(self, model: nn.Module) -> None:
        """Draw the weights of every linear and convolutional layer in place; biases become zero."""
        for module in model.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                self.draw(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
