"""Recall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from triplicate.measures import Better, ConfusionMeasure, Shown
from triplicate.measures.shared.classes import by_class
from triplicate.parts import part

if TYPE_CHECKING:
    from torch import Tensor


@part("recall")
@dataclass(frozen=True)
class Recall(ConfusionMeasure):
    """Of the images of a class the fraction that are predicted as it, as the mean over the classes."""

    heading: ClassVar[str] = "recall %"
    shown: ClassVar[Shown] = Shown.PERCENT
    better: ClassVar[Better | None] = Better.GREATER

    def of_counts(self, counts: Tensor) -> float:
        return float(by_class(counts).recall.mean())
