"""Schedules of the learning rate. Every file here is one."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from triplicate.parts import Part


@dataclass(frozen=True)
class Schedule(Part, kind="schedule"):
    """What a configuration names as `schedule`."""

    @abstractmethod
    def factor(self, epoch: int, epochs: int) -> float:
        """What the learning rate is multiplied by in an epoch (the first is 1) of so many."""
