"""The first epoch whose test accuracy reaches the target of the stopping rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from triplicate.measures import Better, History, RunMeasure, Shown
from triplicate.parts import part


@part("epochs_to_target")
@dataclass(frozen=True)
class EpochsToTarget(RunMeasure):
    """The first epoch whose test accuracy reaches the target of the stopping rule."""

    heading: ClassVar[str] = "epochs to target"
    shown: ClassVar[Shown] = Shown.TENTHS
    better: ClassVar[Better | None] = Better.SMALLER

    def of_run(self, run: History) -> float | None:
        target = run.config["stopping"].get("target_accuracy")
        if target is None:
            return None
        return next((float(e["epoch"]) for e in run.epochs if e["test_accuracy"] >= target), None)
