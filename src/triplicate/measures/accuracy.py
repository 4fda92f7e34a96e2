"""The accuracy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from triplicate.measures import Better, EpochMeasure, Shown
from triplicate.parts import part


@part("accuracy")
@dataclass(frozen=True)
class Accuracy(EpochMeasure):
    """The fraction of images whose predicted class is their label. The engine counts them."""

    heading: ClassVar[str] = "accuracy %"
    shown: ClassVar[Shown] = Shown.PERCENT
    better: ClassVar[Better | None] = Better.GREATER
    splits: ClassVar[tuple[str, ...]] = ("train", "evaluated_train", "test", "validation")
