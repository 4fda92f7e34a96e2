"""Normal weights of one standard deviation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from triplicate.initializers import Initializer
from triplicate.lazy import nn
from triplicate.parts import key, part

if TYPE_CHECKING:
    from torch import Tensor


@part("random")
@dataclass(frozen=True)
class Random(Initializer):
    """Normal weights of the same standard deviation in every layer."""

    std: float = key("standard deviation of the weights", above=0)

    def draw(self, weight: Tensor) -> object:
        return nn.init.normal_(weight, std=self.std)
