"""The same rate in every epoch."""

from __future__ import annotations

from dataclasses import dataclass

from triplicate.parts import part
from triplicate.schedules import Schedule


@part("constant")
@dataclass(frozen=True)
class Constant(Schedule):
    """The same rate in every epoch."""

    def factor(self, epoch: int, epochs: int) -> float:
        return 1.0
