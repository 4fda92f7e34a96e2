"""Precision, recall and F1 of every class, from counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ClassScores:
    """Precision, recall and F1 of every class [classes], each a fraction."""

    precision: Tensor
    recall: Tensor
    f1: Tensor


def by_class(confusion: Tensor) -> ClassScores:
    """From counts [classes, classes] (true class, predicted class).

    A class that was never predicted has precision 0, one without images recall 0, as in scikit-learn.
    """
    counts = confusion.double()
    correct, predicted, true = counts.diagonal(), counts.sum(0), counts.sum(1)
    return ClassScores(
        precision=correct / predicted.clamp(min=1),
        recall=correct / true.clamp(min=1),
        f1=2 * correct / (predicted + true).clamp(min=1),
    )
