"""How many numbers were trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from triplicate.measures import Better, History, RunMeasure, Shown
from triplicate.parts import part


@part("parameters")
@dataclass(frozen=True)
class Parameters(RunMeasure):
    """How many numbers were trained."""

    heading: ClassVar[str] = "parameters"
    shown: ClassVar[Shown] = Shown.WHOLE
    better: ClassVar[Better | None] = Better.SMALLER
    is_exact: ClassVar[bool] = True

    def of_run(self, run: History) -> float | None:
        return run.measures["parameters"]
