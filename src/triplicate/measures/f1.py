"""The F1 score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from triplicate.measures import Better, ConfusionMeasure, Shown
from triplicate.measures.shared.classes import by_class
from triplicate.parts import part

if TYPE_CHECKING:
    from torch import Tensor


@part("f1")
@dataclass(frozen=True)
class F1(ConfusionMeasure):
    """The harmonic mean of precision and recall of each class, as the mean over the classes."""

    heading: ClassVar[str] = "F1 %"
    shown: ClassVar[Shown] = Shown.PERCENT
    better: ClassVar[Better | None] = Better.GREATER

    def of_counts(self, counts: Tensor) -> float:
        return float(by_class(counts).f1.mean())
