"""PyTorch's own initialisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from triplicate.initializers import Initializer
from triplicate.parts import part

if TYPE_CHECKING:
    from torch import Tensor, nn


@part("default")
@dataclass(frozen=True)
class Default(Initializer):
    """What PyTorch drew when the model was built, biases too."""

    def draw(self, weight: Tensor) -> object:
        return weight

    def initialize(self, model: nn.Module) -> None:
        """Leave everything as it is."""
