"""The rate falls after every epoch."""

from __future__ import annotations

from dataclasses import dataclass

from triplicate.parts import key, part
from triplicate.schedules import Schedule


@part("exponential")
@dataclass(frozen=True)
class Exponential(Schedule):
    """The rate is multiplied after every epoch (torch.optim.lr_scheduler.ExponentialLR)."""

    gamma: float = key("the rate is multiplied by this at each change", above=0, at_most=1)

    def factor(self, epoch: int, epochs: int) -> float:
        return self.gamma ** (epoch - 1)
