"""Images trained on in a second of the measure `seconds`, evaluation included."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from triplicate.measures import Better, History, RunMeasure, Shown
from triplicate.parts import part


@part("images_per_second")
@dataclass(frozen=True)
class ImagesPerSecond(RunMeasure):
    """Images trained on in a second of the measure `seconds`, evaluation included."""

    heading: ClassVar[str] = "images a second"
    shown: ClassVar[Shown] = Shown.WHOLE
    better: ClassVar[Better | None] = Better.GREATER
    of_machine: ClassVar[bool] = True

    def of_run(self, run: History) -> float | None:
        images = run.measures["images"]
        seconds = sum(e["seconds"] for e in run.epochs)
        return None if images is None else images * len(run.epochs) / seconds
