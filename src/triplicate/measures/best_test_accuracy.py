"""The greatest test accuracy over the epochs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from triplicate.measures import Better, History, RunMeasure, Shown
from triplicate.measures.shared.epochs import best_tested
from triplicate.parts import part


@part("best_test_accuracy")
@dataclass(frozen=True)
class BestTestAccuracy(RunMeasure):
    """The greatest test accuracy over the epochs."""

    heading: ClassVar[str] = "best test accuracy %"
    shown: ClassVar[Shown] = Shown.PERCENT
    better: ClassVar[Better | None] = Better.GREATER

    def of_run(self, run: History) -> float | None:
        return float(best_tested(run)["test_accuracy"])
