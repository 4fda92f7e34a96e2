"""Schedules of the learning rate. Every file here is one."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from triplicate.parts import Part, key


@dataclass(frozen=True)
class Schedule(Part, kind="schedule"):
    """What a configuration names as `schedule`: the rate of each epoch. Every schedule can begin with a warm-up."""

    warmup: int = key(
        "epochs over which the rate rises evenly to the configured one; then the schedule begins",
        unit="epochs",
        at_least=0,
        formerly=0,
    )
    warmup_from: float = key(
        "learning rate of the first epoch of the warm-up, as a fraction of the configured one",
        above=0,
        at_most=1,
        formerly=0.1,
    )

    @abstractmethod
    def factor(self, epoch: int, epochs: int) -> float:
        """What the learning rate is multiplied by in an epoch (the first is 1) of so many, those of a warm-up not
        counted.
        """

    def scale(self, epoch: int, epochs: int) -> float:
        """What the learning rate is multiplied by in an epoch (the first is 1) of so many, with the warm-up.

        As torch.optim.lr_scheduler.SequentialLR of LinearLR and the schedule.
        """
        done = epoch - 1
        if done < self.warmup:
            return self.warmup_from + (1 - self.warmup_from) * done / self.warmup
        return self.factor(epoch - self.warmup, epochs - self.warmup)

    def identity(self) -> dict[str, object]:
        """Without a warm-up it makes no difference where one would begin."""
        values = super().identity()
        return values if self.warmup > 0 else {k: v for k, v in values.items() if k != "warmup_from"}
