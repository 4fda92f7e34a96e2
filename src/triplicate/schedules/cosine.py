"""Half a cosine."""

from __future__ import annotations

import math
from dataclasses import dataclass

from triplicate.parts import part
from triplicate.schedules import Schedule


@part("cosine")
@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine from the rate to zero (torch.optim.lr_scheduler.CosineAnnealingLR; arXiv 1608.03983)."""

    def factor(self, epoch: int, epochs: int) -> float:
        return (1 + math.cos(math.pi * (epoch - 1) / epochs)) / 2
