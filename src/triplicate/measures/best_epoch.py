"""The epoch with the greatest test accuracy, the first of equals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from triplicate.measures import Better, History, RunMeasure, Shown
from triplicate.measures.shared.epochs import best_tested
from triplicate.parts import part


@part("best_epoch")
@dataclass(frozen=True)
class BestEpoch(RunMeasure):
    """The epoch with the greatest test accuracy, the first of equals."""

    heading: ClassVar[str] = "best epoch"
    better: ClassVar[Better | None] = Better.SMALLER
    shown: ClassVar[Shown] = Shown.TENTHS

    def of_run(self, run: History) -> float | None:
        return float(best_tested(run)["epoch"])
