"""Xavier's initialisation, normal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from triplicate.initializers import Initializer
from triplicate.lazy import nn
from triplicate.parts import part

if TYPE_CHECKING:
    from torch import Tensor


@part("xavier_normal")
@dataclass(frozen=True)
class XavierNormal(Initializer):
    """Normal with variance 2 / (fan_in + fan_out) (Glorot and Bengio, AISTATS 2010)."""

    def draw(self, weight: Tensor) -> object:
        return nn.init.xavier_normal_(weight)
