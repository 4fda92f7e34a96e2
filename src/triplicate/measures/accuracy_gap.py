"""Training less test accuracy, in the tested epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from triplicate.measures import Better, History, RunMeasure, Shown
from triplicate.measures.shared.epochs import training_accuracy
from triplicate.parts import part


@part("accuracy_gap")
@dataclass(frozen=True)
class AccuracyGap(RunMeasure):
    """Training less test accuracy, in the tested epoch."""

    heading: ClassVar[str] = "training - test accuracy %"
    shown: ClassVar[Shown] = Shown.PERCENT
    better: ClassVar[Better | None] = Better.SMALLER

    def of_run(self, run: History) -> float | None:
        training, test = run.measures[training_accuracy(run.measures)], run.measures["test_accuracy"]
        return None if training is None or test is None else training - test
