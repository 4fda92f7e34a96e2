"""The rate falls every few epochs."""

from __future__ import annotations

from dataclasses import dataclass

from triplicate.parts import key, part
from triplicate.schedules import Schedule


@part("step")
@dataclass(frozen=True)
class Step(Schedule):
    """The rate is multiplied after every few epochs (torch.optim.lr_scheduler.StepLR)."""

    every: int = key("epochs between two changes of the rate", unit="epochs", at_least=1)
    gamma: float = key("the rate is multiplied by this at each change", above=0, at_most=1)

    def factor(self, epoch: int, epochs: int) -> float:
        return self.gamma ** ((epoch - 1) // self.every)
