"""He's initialisation, uniform."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from triplicate.initializers import Initializer
from triplicate.lazy import nn
from triplicate.parts import part

if TYPE_CHECKING:
    from torch import Tensor


@part("he")
@dataclass(frozen=True)
class He(Initializer):
    """Uniform with variance 2 / fan_in (arXiv 1502.01852)."""

    def draw(self, weight: Tensor) -> object:
        return nn.init.kaiming_uniform_(weight, nonlinearity="relu")
