"""Memory at its peak: what torch held on the GPU for the stack; on a CPU the whole process so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from triplicate.measures import Better, History, RunMeasure, Shown
from triplicate.parts import part


@part("peak_memory_mib")
@dataclass(frozen=True)
class PeakMemory(RunMeasure):
    """Memory at its peak: what torch held on the GPU for the stack; on a CPU the whole process so far."""

    heading: ClassVar[str] = "peak memory MiB"
    shown: ClassVar[Shown] = Shown.WHOLE
    better: ClassVar[Better | None] = Better.SMALLER
    of_machine: ClassVar[bool] = True

    def of_run(self, run: History) -> float | None:
        return run.measures["peak_memory_mib"]
