"""Glorot's rule as some courses write it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from triplicate.initializers import Initializer
from triplicate.lazy import nn
from triplicate.parts import part

if TYPE_CHECKING:
    from torch import Tensor


@part("glorot")
@dataclass(frozen=True)
class Glorot(Initializer):
    """Normal with variance 1 / fan_in; `xavier` is the rule of the paper."""

    def draw(self, weight: Tensor) -> object:
        return nn.init.kaiming_normal_(weight, nonlinearity="linear")
