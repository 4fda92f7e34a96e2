"""He's initialisation, normal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from triplicate.initializers import Initializer
from triplicate.lazy import nn
from triplicate.parts import part

if TYPE_CHECKING:
    from torch import Tensor


@part("he_normal")
@dataclass(frozen=True)
class HeNormal(Initializer):
    """Normal with variance 2 / fan_in (arXiv 1502.01852)."""

    def draw(self, weight: Tensor) -> object:
        return nn.init.kaiming_normal_(weight, nonlinearity="relu")
