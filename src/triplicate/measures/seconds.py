"""The wall time of its stack, divided in every epoch by the runs that are in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from triplicate.measures import Better, History, RunMeasure, Shown
from triplicate.parts import part


@part("seconds")
@dataclass(frozen=True)
class Seconds(RunMeasure):
    """The wall time of its stack, divided in every epoch by the runs that are in it."""

    heading: ClassVar[str] = "seconds"
    shown: ClassVar[Shown] = Shown.TENTHS
    better: ClassVar[Better | None] = Better.SMALLER
    of_machine: ClassVar[bool] = True

    def of_run(self, run: History) -> float | None:
        return float(sum(e["seconds"] for e in run.epochs))
