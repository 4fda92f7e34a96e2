"""The loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from triplicate.measures import Better, EpochMeasure
from triplicate.parts import part


@part("loss")
@dataclass(frozen=True)
class LossMeasure(EpochMeasure):
    """The mean over the images of what is minimised. The engine takes it as it trains and evaluates."""

    heading: ClassVar[str] = "loss"
    better: ClassVar[Better | None] = Better.SMALLER
    splits: ClassVar[tuple[str, ...]] = ("train", "evaluated_train", "test", "validation")
