"""The epoch whose weights were kept and tested."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from triplicate.measures import Better, History, RunMeasure, Shown
from triplicate.parts import part


@part("tested_epoch")
@dataclass(frozen=True)
class TestedEpoch(RunMeasure):
    """The epoch whose weights were kept and tested."""

    heading: ClassVar[str] = "tested epoch"
    better: ClassVar[Better | None] = Better.SMALLER
    shown: ClassVar[Shown] = Shown.TENTHS

    def of_run(self, run: History) -> float | None:
        return run.measures["tested_epoch"]
