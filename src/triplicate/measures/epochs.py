"""How many epochs the run trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from triplicate.measures import Better, History, RunMeasure, Shown
from triplicate.parts import part


@part("epochs")
@dataclass(frozen=True)
class Epochs(RunMeasure):
    """How many epochs the run trained."""

    heading: ClassVar[str] = "epochs"
    better: ClassVar[Better | None] = Better.SMALLER
    shown: ClassVar[Shown] = Shown.TENTHS

    def of_run(self, run: History) -> float | None:
        return float(len(run.epochs))
